"""Token ids of words that were met before, for tokenizers that encode each word by itself.

Text is mostly words that were met already, so looking them up takes a fraction of the time of encoding them. It is the
same only for a tokenizer that never looks past a space with a letter on both sides: one whose pattern is listed here,
with nothing put before a text or changed in it. A word that is met for the first time is encoded by the tokenizer.
"""

import re
import struct
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

from outcrop.errors import Invalid
from outcrop.tokens.continuation import continuing

_MOST_WORDS, _MOST_LETTERS = 100_000, 40
"Some 20 MB, and as much again of words that were met before those. What is longer is met once."
_SPACE = re.compile(r"(?<=\S) (?=\S)")
"""The one place where texts are cut. No pattern below matches across it: a space is the first letter of a match, or
within a run of white space, and only such a run looks at what follows."""
_SPLITS = {
    # Llama 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    # Qwen 2 and 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    # The bundled starter
    r"'(?:[sdmt]|ll|ve|re)| ?[\p{L}&&[^\p{Han}\p{Hiragana}\p{Katakana}ー]]+|\p{Hiragana}|[\p{Katakana}ー]+|\p{Han}+"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+",
}

EncodeAll = Callable[[Sequence[str]], list[list[int]]]
_JOINED = 256
"Words that are encoded as one text: the tokenizer's work for a text is more than that for a word."
_SPACE_LETTER = "Ġ"
"The space, as byte-level tokenizers spell it."
_NUMBER = "i"


def keeps_words_apart(spec: Mapping[str, Any]) -> bool:
    """Whether a tokenizer, by its description, encodes what stands before and behind a space each by itself."""
    if continuing(dict(spec)) != spec or (spec.get("normalizer") or {"type": "NFC"})["type"] != "NFC":
        return False
    if spec["model"]["type"] != "BPE" or spec["model"].get("dropout"):
        return False
    return _has_listed_split(spec.get("pre_tokenizer"))


def _has_listed_split(step: Any) -> bool:
    match step:
        case {"type": "ByteLevel"}:
            return bool(step.get("use_regex", True))  # GPT-2's pattern
        case {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, {"type": "ByteLevel"} as last]}:
            return bool(last.get("use_regex", True))
        case {"type": "Sequence", "pretokenizers": [{"type": "Split"} as first, {"type": "ByteLevel"} as last]}:
            isolated = first["behavior"] == "Isolated" and not first["invert"]
            return isolated and first["pattern"].get("Regex") in _SPLITS and not last.get("use_regex", True)
    return False


class _Cut(NamedTuple):
    """A text, cut at its spaces: the first word, and those behind a space, without it."""

    first: str
    rest: Sequence[str]
    ids: list[bytes | None]
    "Of each word of the rest; None for one that is not known."
    unknown: Sequence[int]
    "The places of words whose ids are not known."


class _KnownWords:
    """The ids of words, packed; those that are not met again for long are forgotten."""

    def __init__(self) -> None:
        self.ids: dict[str, bytes] = {}
        self._before: dict[str, bytes] = {}
        "Known before `ids` was full and began anew; a word that is met again is taken over."

    def get(self, word: str) -> bytes | None:
        found = self.ids.get(word)
        if found is None and (found := self._before.get(word)) is not None:
            self.ids[word] = found
        return found

    def fill(self, words: Sequence[str], ids: list[bytes | None]) -> list[int]:
        """Puts in what is known of words that have no ids in `ids`; returns the places of the others."""
        unknown, place = [], -1
        for _ in range(ids.count(None)):
            place = ids.index(None, place + 1)
            if self._before and (known := self.get(words[place])) is not None:
                ids[place] = known
            else:
                unknown.append(place)
        return unknown

    def keep(self, new: Mapping[str, bytes]) -> None:
        if len(self.ids) + len(new) > _MOST_WORDS:
            self._before, self.ids = self.ids, {}
        self.ids.update(new)


class WordCache:
    """The ids of words, for one tokenizer; `encode_all` encodes several texts by themselves."""

    def __init__(self, spec: Mapping[str, Any], encode_all: EncodeAll) -> None:
        assert keeps_words_apart(spec)
        self._encode_all = encode_all
        self._first = _KnownWords()
        "Words that begin a text."
        self._rest = _KnownWords()
        "Words behind a space, without it."
        added = spec.get("added_tokens", [])
        self._tokens = {token["content"]: int(token["id"]) for token in added}
        self._token_starts = {spelling[:2] for spelling in self._tokens}
        self._are_tokens_plain = len({token["normalized"] for token in added}) < 2 and not any(
            token["lstrip"] or token["rstrip"] or token["single_word"] for token in added
        )
        "Whether a text falls apart at its added tokens, the longest where several begin."
        longest_first = sorted(self._tokens, key=len, reverse=True)
        self._token = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
        self._composes = spec.get("normalizer") is not None
        self._of_space = {number for piece, number in spec["model"]["vocab"].items() if piece[:1] == _SPACE_LETTER}
        "Ids that a word behind a space begins with, and that no other id of it can be."
        self._joins = not any(" " in token for token in self._tokens)
        "Whether words of several texts may stand in one: no added token reaches from one into the next."

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text. Raises what `encode_all` does."""
        parted = [self._parted(text) for text in texts]
        try:
            ids = iter(self._ids([part for parts in parted for part in parts[::2]]))
        except Invalid:  # it shall tell the place in the text, not in the word
            return self._encode_all(texts)
        return [next(ids) if len(parts) == 1 else list(self._joined(parts, ids)) for parts in parted]

    def _parted(self, text: str) -> Sequence[str]:
        """The texts between added tokens; every second part is such a token."""
        return self._token.split(text) if self._are_tokens_plain and self._may_hold_tokens(text) else (text,)

    def _may_hold_tokens(self, text: str) -> bool:
        return any(map(text.__contains__, self._token_starts))

    def _joined(self, parts: Sequence[str], ids: Iterator[list[int]]) -> Iterator[int]:
        for number, part in enumerate(parts):
            if number % 2:
                yield self._tokens[part]
            else:
                yield from next(ids)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts without added tokens."""
        found = [self._look_up(text) for text in texts]
        whole = [text for text, one in zip(texts, found, strict=True) if one is None]
        first = {one.first: None for one in found if one and self._first.get(one.first) is None}
        rest = {one.rest[place]: None for one in found if one for place in one.unknown}
        answers = iter(self._encode_all([*whole, *first]))
        of_whole = iter([next(answers) for _ in whole])
        new_first = {word: _packed(next(answers)) for word in first}
        staying = [word for word in rest if len(word) <= _MOST_LETTERS and " " not in word and _can_stay(word)]
        new_rest = dict(zip(staying, map(_packed, self._encode_words(staying)), strict=True))
        self._rest.keep(new_rest)
        passing = [word for word in rest if word not in new_rest]
        new_rest |= zip(passing, map(_packed, self._encode_each(passing)), strict=True)
        ids = []
        for one in found:
            if one is None:
                ids.append(next(of_whole))
                continue
            for place in one.unknown:
                one.ids[place] = new_rest[one.rest[place]]
            begun = self._first.get(one.first) or new_first[one.first]
            ids.append(_unpacked(begun + b"".join(cast(list[bytes], one.ids))))
        self._first.keep({word: known for word, known in new_first.items() if _ends_a_word(word)})
        return ids

    def _encode_each(self, words: Sequence[str]) -> list[list[int]]:
        return self._encode_all([f" {word}" for word in words])

    def _encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of words behind a space each, many of them in one text; each may stand between two spaces."""
        if not self._joins:
            return self._encode_each(words)
        joined = [words[start : start + _JOINED] for start in range(0, len(words), _JOINED)]
        found = []
        for some, ids in zip(joined, self._encode_all([f" {' '.join(some)}" for some in joined]), strict=True):
            starts = [place for place, one in enumerate(ids) if one in self._of_space]
            if len(starts) != len(some) or starts[0]:  # a vocabulary without the space
                return self._encode_each(words)
            found += [ids[start:end] for start, end in pairwise([*starts, len(ids)])]
        return found

    def _look_up(self, text: str) -> _Cut | None:
        """The words of a text, and the ids of those that are known. None: it is to be encoded as a whole."""
        if self._composes and not unicodedata.is_normalized("NFC", text):
            return None
        if not self._are_tokens_plain and self._may_hold_tokens(text):
            return None
        words = text.split(" ")
        if not words[0] and len(words) > 1:  # the space that a text begins with stays with its first word
            words[:2] = [f" {words[1]}"]
        cut = self._cut(words)
        if not cut.unknown and self._first.get(cut.first) is not None:
            return cut
        unknown = [cut.rest[place] for place in cut.unknown]
        if not _ends_a_word(cut.first) or (unknown and _STAYS_NOT.search(" ".join(unknown))):
            cut = self._cut(_SPACE.split(text))
            unknown = [cut.rest[place] for place in cut.unknown]
        long = sum(len(word) for word in (cut.first, *unknown) if len(word) > _MOST_LETTERS)
        return None if long > len(text) // 4 else cut

    def _cut(self, words: list[str]) -> _Cut:
        first, *rest = words
        ids = list(map(self._rest.ids.get, rest))
        return _Cut(first, rest, ids, self._rest.fill(rest, ids) if None in ids else ())


def _packed(ids: Sequence[int]) -> bytes:
    return struct.pack(f"{len(ids)}{_NUMBER}", *ids)


def _unpacked(ids: bytes) -> list[int]:
    return array(_NUMBER, ids).tolist()


_STAYS_NOT = re.compile(r"(?:^| )(?:\s|$)|\s(?: |$)")
"Finds, among words with a space between them, one of which `_can_stay` says no."


def _can_stay(word: str) -> bool:
    """Whether a word that stands between two spaces may be cut off there: white space beside one belongs to it."""
    return not word[:1].isspace() and _ends_a_word(word)


def _ends_a_word(word: str) -> bool:
    return bool(word) and not word[-1].isspace()
