"""Words and phrases in texts: in any case and width, with any blanks between them, never inside longer words."""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property

import regex

from outcrop.guardrails.matching import MatchCandidate

_WIDE = r"\p{Han}\p{Hiragana}\p{Katakana}ー"
_OF_WORDS = rf"[[\p{{L}}\p{{M}}\p{{N}}_]--[{_WIDE}]]"
"Letters that words with blanks between them consist of. Japanese has none: there a word may stand anywhere."
_ENDS = regex.compile(rf"(?V1){_OF_WORDS}")
_HIDDEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
"Letters that nobody sees."


class WordMatcher:
    """Finds any of some words."""

    def __init__(self, words: Iterable[str]) -> None:
        told = {folded.text.strip() for folded in (FoldedText(word, 0) for word in words)}
        self._words = sorted(told - {""})
        self.longest = max(map(len, self._words), default=0)

    @cached_property
    def _pattern(self) -> "regex.Pattern[str]":
        kinds: dict[tuple[bool, bool], list[str]] = {}
        for word in self._words:
            kinds.setdefault((_is_of_words(word[0]), _is_of_words(word[-1])), []).append(word)
        before, behind = rf"(?<!{_OF_WORDS})", rf"(?!{_OF_WORDS})"
        parts, lists = list[str](), dict[str, list[str]]()
        for number, ((begins, ends), words) in enumerate(kinds.items()):
            lists[f"w{number}"] = words
            parts.append(f"{before if begins else ''}\\L<w{number}>{behind if ends else ''}")
        return regex.compile("(?V1)" + ("|".join(parts) or r"(?!)"), **lists)

    def candidates(self, text: str, begin: int) -> Iterator[MatchCandidate]:
        before = begin - 1  # the letter before tells whether a word begins here
        while before > 0 and text[before] in _HIDDEN:
            before -= 1
        folded = FoldedText(text, max(0, before))
        for match in self._pattern.finditer(folded.text, folded.at(begin)):
            start, end = folded.places[match.start()], folded.end(match.end())
            yield MatchCandidate(start, end, (start, end))

    def undecided(self, text: str) -> int:
        """The first place from which on the text may yet become a word, or a longer one."""
        folded = FoldedText(text, self._tail(text))
        for at in range(max(0, len(folded.text) - self.longest), len(folded.text)):
            tail = folded.text[at:]
            number = bisect_left(self._words, tail)
            if number < len(self._words) and self._words[number].startswith(tail):
                return folded.places[at]
        return len(text)

    def _tail(self, text: str) -> int:
        """The place behind which the text holds as many letters as the longest word has."""
        at, left = len(text), self.longest + 1
        while at > 0 and left:
            at -= 1
            left -= text[at] not in _HIDDEN and not (text[at].isspace() and at and text[at - 1].isspace())
        return at


class FoldedText:
    """The end of a text as words are compared, and where each of its letters stands in the text."""

    def __init__(self, text: str, begin: int) -> None:
        letters, places = list[str](), list[int]()
        ends = list[int]()
        for at in range(begin, len(text)):
            letter = text[at]
            if letter in _HIDDEN:
                if ends:
                    ends[-1] = at + 1  # it belongs to the letter before it
                continue
            if letter.isspace():
                if letters and letters[-1] == " ":
                    ends[-1] = at + 1
                    continue
                letter = " "
            elif not letter.isascii():
                letter = unicodedata.normalize("NFKC", letter)
            for one in letter.casefold():
                letters.append(one)
                places.append(at)
                ends.append(at + 1)
        self.text = "".join(letters)
        self.places = places
        self._ends = ends

    def at(self, place: int) -> int:
        """The first letter that stands at a place of the text, or behind it."""
        return bisect_left(self.places, place)

    def end(self, number: int) -> int:
        """The place of the text behind the letter before `number`."""
        return self._ends[number - 1]


def _is_of_words(letter: str) -> bool:
    return _ENDS.match(letter) is not None
