"""A few records of a file with the mask of their tokens.

They are the first, the longest, and those with the least digests, so that the same data shows the same records.

Records with personal data are not shown, so that a report may be handed on.
"""

import unicodedata
from collections.abc import Iterator
from operator import itemgetter

from outcrop.datasets.encoding import EncodedRecord
from outcrop.datasets.observing import personal
from outcrop.datasets.observing.observer import SeenRecord
from outcrop.datasets.report.value import Gap, SampleRecord, TokenPiece
from outcrop.tokens.tokenizer import Tokenizer

_MOST_BY_DIGEST = 6
_WHOLE, _HEAD, _BEFORE, _AFTER, _TAIL = 360, 80, 60, 140, 20
"Tokens of a sample that is shown whole; of a longer one, its parts that are: beginning, the first learned, the end."
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"Categories of characters that would not show, or turn what stands beside them."


class SampleRecords:
    """The records of a file that are shown token by token."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._num_seen = 0
        self._first: SampleRecord | None = None
        self._longest: SampleRecord | None = None
        self._by_digest: list[tuple[bytes, SampleRecord]] = []

    def add(self, seen: SeenRecord) -> None:
        self._num_seen += 1
        is_first = self._num_seen == 1
        is_longest = self._longest is None or _num_tokens(seen) > self._longest.num_tokens
        is_chosen = len(self._by_digest) < _MOST_BY_DIGEST or seen.digest < self._by_digest[-1][0]
        if not (is_first or is_longest or is_chosen) or next(personal.find(seen.text), None) is not None:
            return
        if is_first:
            self._first = _sample(seen, "the first", self._tokenizer)
        if is_longest:
            self._longest = _sample(seen, "the longest", self._tokenizer)
        if is_chosen and all(digest != seen.digest for digest, _ in self._by_digest):
            chosen = _sample(seen, "one of a few", self._tokenizer)
            self._by_digest = sorted([*self._by_digest, (seen.digest, chosen)], key=itemgetter(0))[:_MOST_BY_DIGEST]

    def found(self) -> tuple[SampleRecord, ...]:
        by_line: dict[int, SampleRecord] = {}
        for sample in (self._first, self._longest, *(sample for _, sample in self._by_digest)):
            if sample is not None:
                by_line.setdefault(sample.line, sample)
        return tuple(sample for _, sample in sorted(by_line.items()))


def shown(text: str) -> str:
    """A text with its invisible characters written as codes, those too that turn what stands beside them."""
    return "".join(
        f"\\u{ord(letter):04x}" if unicodedata.category(letter) in _HIDDEN and letter not in "\n\t" else letter
        for letter in text
    )


def _num_tokens(seen: SeenRecord) -> int:
    return sum(len(sequence.ids) for sequence in seen.encoded)


def _sample(seen: SeenRecord, why: str, tokenizer: Tokenizer) -> SampleRecord:
    return SampleRecord(
        line=seen.record.line,
        why=why,
        num_tokens=_num_tokens(seen),
        num_supervised=sum(sequence.num_supervised for sequence in seen.encoded),
        num_sequences=len(seen.encoded),
        pieces=tuple(_pieces(seen.encoded[0], tokenizer)),
    )


def _pieces(sequence: EncodedRecord, tokenizer: Tokenizer) -> Iterator[TokenPiece | Gap]:
    end, supervised = 0, sequence.supervised
    for first, last in _windows(sequence):
        if first > end:
            yield Gap(first - end)
        for place in range(first, last):
            yield _piece(sequence.ids[place], supervised[place], tokenizer)
        end = last
    if end < len(sequence.ids):
        yield Gap(len(sequence.ids) - end)


def _windows(sequence: EncodedRecord) -> list[tuple[int, int]]:
    """The parts of a sequence that are shown, each by its first place and the one behind its last."""
    num = len(sequence.ids)
    if num <= _WHOLE:
        return [(0, num)]
    learned = sequence.learned[0].start if sequence.learned else 0
    parts = [(0, _HEAD), (max(0, learned - _BEFORE), min(num, learned + _AFTER)), (num - _TAIL, num)]
    joined: list[tuple[int, int]] = []
    for first, last in parts:
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def _piece(token_id: int, learned: bool, tokenizer: Tokenizer) -> TokenPiece:
    if token_id in tokenizer.special_ids:
        return TokenPiece(shown(tokenizer.token(token_id) or ""), token_id, learned, special=True, partial=False)
    content = tokenizer.bytes_of(token_id)
    try:
        text, partial = shown(content.decode()), False
    except UnicodeDecodeError:
        text, partial = content.hex(" ").upper(), True
    return TokenPiece(text, token_id, learned, special=False, partial=partial)
