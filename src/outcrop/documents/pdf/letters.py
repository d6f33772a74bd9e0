"""Words of a PDF page with their boxes, turned upright, and the runs of them that touch on a line.

Called in the child process only (`process.py`). pdfium gives the letters in the order in which the page draws them.
Boxes are (left, bottom, right, top) in points. Text that stands on its side, and Japanese that runs down, is turned
so that every line runs from left to right, or from right to left, and the next line lies below it.
"""

import ctypes
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

_MOST_LETTERS = 200_000
"Of one page: a newspaper has 60,000."
_GAP = 1.2
"Heights of a letter that part two words which do not belong to one run, as cells of a table or columns do."
_WORD = re.compile("[^\x02\t-\r \xa0\u3000]+\x02?|\x02")
_LINE_END = re.compile("[ \xa0]*[\r\n]")
_WRITTEN = 4.0
"A size of a font below which no page is written."
_SIDEWAYS = 3
"Quarter turns of lines that run down the page."
_FIRST_LEFTWARD = "\u0590"
HYPHEN = "\u2010"
"Stands for a hyphen that the end of a line made, until `paragraphs.py` has joined the word."


class Word(NamedTuple):
    """Letters without a blank between them, with their box, upright."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float
    "Of the font of its first letter, in points."
    turns: int
    runs_down: bool
    "Whether its letters stand below each other, each upright."
    ends_line: bool
    "Whether pdfium takes it for the last of a line."


class WordRun(NamedTuple):
    """Words that touch on one line. It is as high as its first letter: a root or an index makes no line higher."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float


def runs_of(textpage: Any) -> list[list[WordRun]]:
    """The runs of a page by the direction of their lines, the direction of most letters first."""
    words = _upright(list(_words(_Letters(textpage))))
    directions: Counter[int] = Counter()
    for word in words:
        directions[word.turns] += len(word.text)
    parted = [[one for one in words if one.turns == turns] for turns, _ in directions.most_common()]
    return [list(_runs(one)) for one in parted]


class _Letters:
    """The letters of a page as pdfium knows them, by their numbers."""

    def __init__(self, textpage: Any) -> None:
        import pypdfium2.raw as pdfium

        self._pdfium, self._raw = pdfium, textpage.raw
        self._box, self._matrix = pdfium.FS_RECTF(), pdfium.FS_MATRIX()
        self.text = self._as_a_whole() or self._one_by_one()
        "A letter beyond the first 65,536 is two in it; what may be a hyphen is U+0002."

    def _as_a_whole(self) -> str:
        """All letters in one call; nothing where pdfium leaves some out, so that they could not be counted."""
        num_letters = self._pdfium.FPDFText_CountChars(self._raw)
        if num_letters > _MOST_LETTERS:
            return ""
        units = (ctypes.c_ushort * (num_letters + 1))()
        if self._pdfium.FPDFText_GetText(self._raw, 0, num_letters, units) != num_letters + 1:
            return ""
        text = bytes(units)[:-2].decode("utf-16-le", "surrogatepass")
        return text.replace("\ufffe", "\2") if len(text) == num_letters else ""

    def _one_by_one(self) -> str:
        number, code_of = (
            min(self._pdfium.FPDFText_CountChars(self._raw), _MOST_LETTERS),
            self._pdfium.FPDFText_GetUnicode,
        )
        return "".join([chr(code_of(self._raw, at)) for at in range(number)])

    def is_hyphen(self, number: int) -> bool:
        return bool(self._pdfium.FPDFText_IsHyphen(self._raw, number) == 1)

    def box(self, number: int) -> tuple[float, float, float, float]:
        self._pdfium.FPDFText_GetLooseCharBox(self._raw, number, self._box)
        return self._box.left, self._box.bottom, self._box.right, self._box.top

    def turns(self, number: int) -> int:
        angle = self._pdfium.FPDFText_GetCharAngle(self._raw, number)
        return round(angle / (math.pi / 2)) % 4 if angle > 0.1 else 0

    def size(self, number: int) -> float:
        size: float = self._pdfium.FPDFText_GetFontSize(self._raw, number)
        if size < _WRITTEN and self._pdfium.FPDFText_GetMatrix(self._raw, number, self._matrix):
            size *= math.hypot(self._matrix.c, self._matrix.d)  # many programs set a size of 1, and enlarge the page
        return size


def _words(letters: _Letters) -> Iterator[Word]:
    # pdfium makes up a blank or the end of a line wherever letters do not touch, so that the boxes of a word's first
    # and last letters are its own. Asking for every letter's takes three times as long.
    last: Word | None = None
    for found in _WORD.finditer(letters.text):
        text = found[0]
        ends_line = _LINE_END.match(letters.text, found.end()) is not None
        if text[-1] == "\x02" and letters.is_hyphen(found.end() - 1):
            text, ends_line = text[:-1] + HYPHEN, True
        last = _word(letters, text, found.start(), last, ends_line=ends_line)
        yield last


def _word(letters: _Letters, text: str, start: int, last: Word | None, *, ends_line: bool) -> Word:
    left, bottom, right, top = letters.box(start)
    if last is not None and last.bottom == bottom and last.top == top:
        turns, size = last.turns, last.size  # on the same line, in the same font
    else:
        turns, size = letters.turns(start), letters.size(start)
    below = False
    if len(text) > 1:
        left_too, bottom_too, right_too, top_too = letters.box(start + len(text) - 1)
        height = top - bottom
        below = abs(left_too - left) < 0.3 * height and top_too < top - 0.3 * height
        left, right = min(left, left_too), max(right, right_too)
        if below or turns:
            bottom, top = min(bottom, bottom_too), max(top, top_too)
    if max(text) >= _FIRST_LEFTWARD:
        if any(map(is_leftward, text)):
            text = _read_forward([(char, letters.box(start + at)) for at, char in enumerate(text)])
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
    text = text.replace("\0", "")
    return Word(text, left, bottom, right, top, size, turns, below and is_wide(text[:1]), ends_line)


def _read_forward(letters: Sequence[tuple[str, tuple[float, ...]]]) -> str:
    """The characters in the order of reading.

    pdfium turns letters that are read from right to left. Where one drawn sign stands for a whole word, it turns the
    word's characters too, which were in order: they share one box, and are turned back.
    """
    read: list[str] = []
    at = 0
    while at < len(letters):
        end = at + 1
        if is_leftward(letters[at][0]):
            while end < len(letters) and letters[end][1] == letters[at][1]:
                end += 1
            while end > at + 1 and not is_leftward(letters[end - 1][0]):
                end -= 1
        read += [char for char, _ in reversed(letters[at:end])]
        at = end
    return "".join(read)


def _upright(words: Sequence[Word]) -> list[Word]:
    words = [word for word in words if word.text]
    if _runs_down(words):
        # The ends of lines that pdfium makes up for such pages part every letter from the next: they do not count.
        words = [one._replace(turns=_SIDEWAYS, ends_line=False) if one.turns == 0 else one for one in words]
    return [_turned(one) if one.turns else one for one in words]


def _turned(word: Word) -> Word:
    _, left, bottom, right, top, _, turns, _, _ = word
    if turns == 1:
        return word._replace(left=bottom, bottom=-right, right=top, top=-left)
    if turns == 2:
        return word._replace(left=-right, bottom=-top, right=-left, top=-bottom)
    return word._replace(left=-top, bottom=left, right=-bottom, top=right)


def _runs_down(words: Sequence[Word]) -> bool:
    """Whether the page is Japanese or Chinese in lines from top to bottom."""
    wide = [word for word in words if not word.turns and is_wide(word.text[0])]
    down = sum(len(word.text) for word in wide if word.runs_down)
    across = sum(len(word.text) for word in wide if len(word.text) > 1 and not word.runs_down)
    for before, word in pairwise(wide):
        height = max(before.top - before.bottom, 0.1)
        if len(before.text) == 1 and abs(word.left - before.left) < 0.3 * height:
            down += 0.3 * height < before.top - word.top < 2.5 * height
    return down > 10 and down > 2 * across


def _runs(words: Sequence[Word]) -> Iterator[WordRun]:
    run: list[Word] = []
    for word in words:
        if run and (run[-1].ends_line or _parted(run[-1], word)):
            yield _whole(run)
            run = []
        run.append(word)
    if run:
        yield _whole(run)


def _parted(last: Word, word: Word) -> bool:
    height = max(min(last.top - last.bottom, word.top - word.bottom), 0.1)
    shared = min(last.top, word.top) - max(last.bottom, word.bottom)
    gap = max(word.left - last.right, last.left - word.right)
    return shared < 0.3 * height or gap > _GAP * max(last.top - last.bottom, word.top - word.bottom)


def _whole(run: Sequence[Word]) -> WordRun:
    text = run[0].text
    for before, word in pairwise(run):
        close = is_wide(before.text[-1]) and is_wide(word.text[0]) and _touch(before, word)
        text += word.text if close else " " + word.text
    first = max(run, key=lambda word: len(word.text))
    return WordRun(
        text=text,
        left=min(word.left for word in run),
        bottom=first.bottom,
        right=max(word.right for word in run),
        top=first.top,
        size=first.size,
    )


def _touch(before: Word, word: Word) -> bool:
    return word.left - before.right < 0.3 * (before.top - before.bottom)


def is_wide(char: str) -> bool:
    """Whether it is of a script that writes no spaces between words, with its marks: Japanese, Chinese."""
    return "\u2e80" <= char <= "\ua4cf" or "\uf900" <= char <= "\ufaff" or "\ufe30" <= char <= "\uffef"


def is_leftward(char: str) -> bool:
    """Whether it is a letter of Arabic, Hebrew and the like, or a mark over one."""
    return char >= _FIRST_LEFTWARD and (
        unicodedata.bidirectional(char) in ("R", "AL") or "\u0590" <= char <= "\u05cf" or "\u064b" <= char <= "\u065f"
    )
