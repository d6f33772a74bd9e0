"""The fitness of a tokenizer for a file's text: of all of it, and by language of a sample.

The sample is the records with the smallest digests, so that the same data always gives the same sample, whatever its
order, and nothing of the others is kept.
"""

import heapq
from collections import Counter
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from outcrop.datasets.observing.languages import Languages
from outcrop.datasets.observing.observer import SeenRecord
from outcrop.datasets.report.value import Fitness, LanguageFit
from outcrop.tokens.tokenizer import Tokenizer

_MOST_SAMPLED, _MOST_LETTERS = 500, 1_000
"Records of the sample, and letters of each."
_MOST_CHARACTERS, _MOST_LINES, _MOST_LANGUAGES = 12, 100, 12


class _Sampled(NamedTuple):
    """A text of the sample; the heap's top is the one to give way."""

    rank: int
    text: str


class TokenizerFitness:
    """The bytes that the tokens of a file stand for, and a sample of its texts by language."""

    def __init__(self, tokenizer: Tokenizer, languages: Languages) -> None:
        self._tokenizer = tokenizer
        self._languages = languages
        self._unknown_id = _unknown_id(tokenizer)
        self._num_bytes = self._num_tokens = self._num_unknown = 0
        self._unknown_lines: list[int] = []
        self._sample: list[_Sampled] = []

    def add(self, seen: SeenRecord) -> None:
        num_unknown = 0
        for sequence in seen.encoded:
            ids = np.frombuffer(sequence.packed_ids, np.int32)
            sizes = self._tokenizer.sizes_of(ids)
            self._num_bytes += int(sizes.sum())
            self._num_tokens += int(np.count_nonzero(sizes))
            if self._unknown_id is not None:
                num_unknown += int(np.count_nonzero(ids == self._unknown_id))
        if num_unknown:
            self._num_unknown += num_unknown
            if len(self._unknown_lines) < _MOST_LINES:
                self._unknown_lines.append(seen.record.line)
        rank = -int.from_bytes(seen.digest, "big")
        if len(self._sample) < _MOST_SAMPLED:
            heapq.heappush(self._sample, _Sampled(rank, seen.text[:_MOST_LETTERS]))
        elif rank > self._sample[0].rank:
            heapq.heapreplace(self._sample, _Sampled(rank, seen.text[:_MOST_LETTERS]))

    def found(self) -> Fitness:
        by_language: dict[str, list[str]] = {}
        for sampled in self._sample:
            by_language.setdefault(self._languages.of(sampled.text), []).append(sampled.text)
        most = sorted(by_language.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        named = most if len(most) <= _MOST_LANGUAGES else most[: _MOST_LANGUAGES - 1]
        rest = [text for _, texts in most[len(named) :] for text in texts]
        fits = [self._fit(language, texts) for language, texts in named]
        return Fitness(
            num_bytes=self._num_bytes,
            num_tokens=self._num_tokens + self._num_unknown,
            num_unknown=self._num_unknown,
            unknown_lines=tuple(self._unknown_lines),
            num_sampled=len(self._sample),
            by_script_only=self._languages.by_script_only,
            languages=tuple([*fits, self._fit("others", rest)] if rest else fits),
        )

    def _fit(self, language: str, texts: list[str]) -> LanguageFit:
        split: Counter[str] = Counter()
        unknown: Counter[str] = Counter()
        num_tokens = num_unknown = 0
        for text in texts:
            ids = self._tokenizer.encode(text, begin=False)
            num_tokens += len(ids)
            split.update(_split_characters([self._tokenizer.bytes_of(one) for one in ids]))
            if self._unknown_id in ids:
                num_unknown += ids.count(self._unknown_id)
                unknown.update(self._unknown(text))
        return LanguageFit(
            language=language,
            num_records=len(texts),
            num_characters=sum(map(len, texts)),
            num_bytes=sum(len(text.encode()) for text in texts),
            num_tokens=num_tokens,
            num_split=split.total(),
            split=_most_frequent(split),
            num_unknown=num_unknown,
            unknown=_most_frequent(unknown),
        )

    def _unknown(self, text: str) -> list[str]:
        return [letter for letter in set(text) if self._unknown_id in self._tokenizer.encode(letter, begin=False)]


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    """The id that stands for what the tokenizer does not know, where it has one for nothing else."""
    found = tokenizer.token_id(tokenizer.special_tokens.get("unk_token", ""))
    return None if found in (*tokenizer.eos_ids, tokenizer.bos_id, tokenizer.pad_id) else found


def _split_characters(pieces: list[bytes]) -> list[str]:
    """The characters that are spelled by more than one of the tokens, as often as they are."""
    text = b"".join(pieces).decode("utf-8", errors="ignore")
    borders = set(accumulate(map(len, pieces)))
    if len(text) == len(text.encode()):
        return []
    found, place = [], 0
    for letter in text:
        size = len(letter.encode())
        if size > 1 and any(place + within in borders for within in range(1, size)):
            found.append(letter)
        place += size
    return found


def _most_frequent(counts: Counter[str]) -> tuple[str, ...]:
    return tuple(
        letter for letter, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_CHARACTERS]
    )
