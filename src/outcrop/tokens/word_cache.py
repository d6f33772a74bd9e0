"""Token ids of words that were met before, for tokenizers that encode each word by itself.

Text is mostly words that were met already, so looking them up takes a fraction of the time of encoding them. It is the
same only for a tokenizer that never looks past a space with a letter on both sides: one whose pattern is listed here,
with nothing put before a text or changed in it. A word that is met for the first time is encoded by the tokenizer.

All texts of a batch are looked up at once, in arrays over their UTF-8: W words, T ids.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from outcrop.errors import Invalid
from outcrop.tokens.continuation import continuing

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
Keys = NDArray[np.uint64]
Places = NDArray[np.int64]
_SPACE, _BORDER, _BORDER_LETTER = 0x20, 0, "\0"
"A text that has the byte of the border between texts is encoded as a whole."
_WHITE = np.isin(np.arange(256), [_BORDER, *range(0x09, 0x0E), *range(0x1C, 0x21)])
"Bytes beside which a space is not cut: it would be one of a run of white space."
_WIDE = "[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_WIDE_BESIDE_SPACE = re.compile(f" {_WIDE}|{_WIDE} ")
"Such a run with white space of several bytes; a text that has one is encoded as a whole."
_HALF_BYTES, _KEY_BYTES = 8, 15
"A word's key has two halves. The last byte tells whether it begins a text; longer words are met once."
_BEGINS, _FOLLOWS = np.uint64(1 << 56), np.uint64(2 << 56)
_LOW = np.array([(1 << 8 * num) - 1 for num in range(_HALF_BYTES + 1)], dtype=np.uint64)
"Masks of so many bytes."
_FACTORS = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_ROW_BITS, _MOST_IDS = 18, 1_000_000
"Eight megabytes of the table, and four of the ids."
_JOINABLE = re.compile(r" \S(?:[^ ]{0,62}\S)?")
_JOINED = 256
"Words that are encoded as one text: the tokenizer's work for a text is more than that for a word."
_SPACE_LETTER = "Ġ"
"The space, as byte-level tokenizers spell it."


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


class _CutWords:
    """The words of texts: where each is in their bytes, and its key."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._bytes = _BORDER_LETTER.join(texts).encode()
        num = len(self._bytes)
        padded = self._bytes + bytes(2 * _HALF_BYTES)
        letters = np.frombuffer(padded, np.uint8, num)
        is_white = np.concatenate([[True], _WHITE[letters], [True]])
        is_border = letters == _BORDER
        cuts = np.flatnonzero(is_border | ((letters == _SPACE) & ~is_white[:-2] & ~is_white[2:]))
        self._start_W = np.concatenate([[0], cuts + 1])
        self._end_W = np.concatenate([cuts, [num]])
        self._begins_W = np.concatenate([[True], is_border[cuts]])
        self.first = np.flatnonzero(self._begins_W)
        "The first word of each text."
        size_W = self._end_W - self._start_W
        self.fits_W = size_W <= _KEY_BYTES
        "Whether its key holds a word whole."
        eights = np.ndarray((num + _HALF_BYTES + 1,), dtype="<u8", buffer=padded, strides=(1,))
        self.low_W: Keys = eights[self._start_W] & _LOW[np.minimum(size_W, _HALF_BYTES)]
        high_W = eights[self._start_W + _HALF_BYTES] & _LOW[np.clip(size_W - _HALF_BYTES, 0, _HALF_BYTES - 1)]
        self.high_W: Keys = high_W | np.where(self._begins_W, _BEGINS, _FOLLOWS)

    def spelled(self, places: Places) -> list[str]:
        """The words at these places, with the space before those that do not begin their text."""
        starts = self._start_W[places] - ~self._begins_W[places]
        bounds = zip(starts.tolist(), self._end_W[places].tolist(), strict=True)
        return [self._bytes[start:end].decode() for start, end in bounds]


class _Ids(NamedTuple):
    """Where the ids of words lie among those of all, and how many they are."""

    start_W: Places
    num_W: Places


class _Known:
    """A table of words with their ids, a row a word."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all words."""
        self._low, self._high = (np.zeros(1 << _ROW_BITS, dtype=np.uint64) for _ in range(2))
        self._start, self._num = (np.zeros(1 << _ROW_BITS, dtype=np.int64) for _ in range(2))
        self.ids: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        "Of all words, one after the other."

    def look_up(self, words: _CutWords) -> tuple[_Ids, Places]:
        """The ids of words, and the places of those that are not known."""
        row_W = _rows(words)
        known_W = words.fits_W & (self._low[row_W] == words.low_W) & (self._high[row_W] == words.high_W)
        return _Ids(self._start[row_W], self._num[row_W]), np.flatnonzero(~known_W)

    def add(self, ids: NDArray[np.int32], num: Places) -> _Ids:
        """Puts the ids of words, one after the other, behind all others; `num` is how many each word has."""
        start = len(self.ids) + np.cumsum(num) - num
        self.ids = np.concatenate([self.ids, ids])
        return _Ids(start, num)

    def keep(self, words: _CutWords, ids: _Ids, places: Places) -> None:
        """Give the words at these places their rows, as far as their keys hold them."""
        places = places[words.fits_W[places]]
        rows = _rows(words)[places]
        self._low[rows], self._high[rows] = words.low_W[places], words.high_W[places]
        self._start[rows], self._num[rows] = ids.start_W[places], ids.num_W[places]


def _rows(words: _CutWords) -> Places:
    mixed = words.low_W * _FACTORS[0] ^ words.high_W * _FACTORS[1]
    rows: Places = (((mixed ^ (mixed >> np.uint64(32))) * _FACTORS[2]) >> np.uint64(64 - _ROW_BITS)).astype(np.int64)
    return rows


class WordCache:
    """The ids of words, for one tokenizer; `encode_all` encodes several texts by themselves."""

    def __init__(self, spec: Mapping[str, Any], encode_all: EncodeAll) -> None:
        assert keeps_words_apart(spec)
        self._encode_all = encode_all
        self._known = _Known()
        self._lock = Lock()
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
        vocabulary = {**spec["model"]["vocab"], **self._tokens}
        self._is_of_space = np.zeros(max(vocabulary.values(), default=0) + 1, dtype=np.bool_)
        self._is_of_space[[number for piece, number in vocabulary.items() if piece[:1] == _SPACE_LETTER]] = True
        "Whether a word behind a space begins with an id, which no other id of it can be."
        self._joins = not any(" " in token for token in self._tokens)
        "Whether words of several texts may stand in one: no added token reaches from one into the next."

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text. Raises what `encode_all` does."""
        parted = [self._parted(text) for text in texts]
        parts = [part for parts in parted for part in parts[::2]]
        cut = [self._may_be_cut(part) for part in parts]
        try:
            with self._lock:
                of_cut = iter(self._ids([part for part, may in zip(parts, cut, strict=True) if may]))
            of_whole = iter(self._encode_all([part for part, may in zip(parts, cut, strict=True) if not may]))
        except (UnicodeEncodeError, Invalid):  # it shall tell the place in the text, not in a part
            return self._encode_all(texts)
        ids = iter([next(of_cut if may else of_whole) for may in cut])
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

    def _may_be_cut(self, text: str) -> bool:
        """Whether a text without added tokens is what its words are."""
        if _BORDER_LETTER in text or (not self._are_tokens_plain and self._may_hold_tokens(text)):
            return False
        if text.isascii():
            return True
        composed = not self._composes or unicodedata.is_normalized("NFC", text)
        return composed and not _WIDE_BESIDE_SPACE.search(text)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts that may be cut."""
        if not texts:
            return []
        if len(self._known.ids) > _MOST_IDS:
            self._known.clear()
        words = _CutWords(texts)
        ids, unknown = self._known.look_up(words)
        spelled = words.spelled(unknown)
        new, number = self._add_words(list(dict.fromkeys(spelled)))
        which = np.fromiter(map(number.__getitem__, spelled), dtype=np.int64, count=len(spelled))
        ids.start_W[unknown], ids.num_W[unknown] = new.start_W[which], new.num_W[which]
        self._known.keep(words, ids, unknown)
        end_W = np.cumsum(ids.num_W)
        before_W = end_W - ids.num_W
        ids_T = self._known.ids[np.arange(end_W[-1]) + np.repeat(ids.start_W - before_W, ids.num_W)]
        bounds = [*before_W[words.first].tolist(), int(end_W[-1])]
        return [ids_T[start:end].tolist() for start, end in pairwise(bounds)]

    def _add_words(self, words: Sequence[str]) -> tuple[_Ids, Mapping[str, int]]:
        """The ids of new words as they are spelled, and the place of each word among them."""
        joined = [word for word in words if self._joins and _JOINABLE.fullmatch(word)]
        several = ["".join(joined[start : start + _JOINED]) for start in range(0, len(joined), _JOINED)]
        ids = _flat(self._encode_all(several))
        starts = np.flatnonzero(self._is_of_space[ids])
        if len(starts) != len(joined):  # the vocabulary has no space
            joined, ids, starts = [], ids[:0], starts[:0]
        together = set(joined)
        apart = [word for word in words if word not in together]
        each = self._encode_all(apart)
        num = np.concatenate([np.diff(starts, append=len(ids)), np.fromiter(map(len, each), np.int64, len(each))])
        number = {word: place for place, word in enumerate([*joined, *apart])}
        return self._known.add(np.concatenate([ids, _flat(each)]), num), number


def _flat(several: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    return np.fromiter(chain.from_iterable(several), dtype=np.int32, count=sum(map(len, several)))
