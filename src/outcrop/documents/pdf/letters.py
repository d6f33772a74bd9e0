"""Letters of a PDF page with their boxes, turned upright, and the runs of them that touch on a line.

Called in the child process only (`process.py`). pdfium gives the letters in the order in which the page draws them.
Boxes are (left, bottom, right, top) in points. Text that stands on its side, and Japanese that runs down, is turned
so that every line runs from left to right, or from right to left, and the next line lies below it.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_MOST_LETTERS = 200_000
"Of one page: a newspaper has 60,000."
_GAP = 1.2
"Heights of a letter that part two words which do not belong to one run, as cells of a table or columns do."
_SIDEWAYS = 3
"Quarter turns of lines that run down the page."
_FIRST_LEFTWARD = "\u0590"
HYPHEN = "\u2010"
"Stands for a hyphen that the end of a line made, until `paragraphs.py` has joined the word."


class Letter(NamedTuple):
    """A character with its box, upright."""

    char: str
    left: float
    bottom: float
    right: float
    top: float
    made: bool
    "pdfium made it up: a space between words, or the end of a line."
    turns: int


class Run(NamedTuple):
    """Letters that touch on one line."""

    text: str
    left: float
    bottom: float
    right: float
    top: float


def runs_of(textpage: Any) -> list[list[Run]]:
    """The runs of a page by the direction of their lines, the direction of most letters first."""
    letters = _upright(list(_letters(textpage)))
    directions = Counter(letter.turns for letter in letters if not letter.made)
    parted = [[one for one in letters if one.turns == turns] for turns, _ in directions.most_common()]
    return [runs for runs in (list(_runs(one)) for one in parted) if runs]


def _letters(textpage: Any) -> Iterator[Letter]:
    import pypdfium2.raw as pdfium

    box = pdfium.FS_RECTF()
    raw = textpage.raw
    for index in range(min(pdfium.FPDFText_CountChars(raw), _MOST_LETTERS)):
        code = pdfium.FPDFText_GetUnicode(raw, index)
        made = pdfium.FPDFText_IsGenerated(raw, index) == 1
        if code == 2 and pdfium.FPDFText_IsHyphen(raw, index) == 1:
            char = HYPHEN
        elif code == 0 or 0xD800 <= code < 0xE000:
            continue
        else:
            char = chr(code)
        pdfium.FPDFText_GetLooseCharBox(raw, index, box)
        angle = pdfium.FPDFText_GetCharAngle(raw, index)
        turns = round(angle / (math.pi / 2)) % 4 if angle > 0.1 else 0
        yield Letter(char, box.left, box.bottom, box.right, box.top, made, turns)


def _upright(letters: Sequence[Letter]) -> list[Letter]:
    if _runs_down(letters):
        # What pdfium makes up for such pages parts every letter from the next: it goes.
        letters = [one._replace(turns=_SIDEWAYS) for one in letters if one.turns == 0 and not one.made]
    return [_turned(one) if one.turns else one for one in letters]


def _turned(letter: Letter) -> Letter:
    _, left, bottom, right, top, _, turns = letter
    if turns == 1:
        return letter._replace(left=bottom, bottom=-right, right=top, top=-left)
    if turns == 2:
        return letter._replace(left=-right, bottom=-top, right=-left, top=-bottom)
    return letter._replace(left=-top, bottom=left, right=-bottom, top=right)


def _runs_down(letters: Sequence[Letter]) -> bool:
    """Whether the page is Japanese or Chinese in lines from top to bottom."""
    down = across = 0
    before: Letter | None = None
    for one in letters:
        if one.made or one.char.isspace() or one.turns:
            continue
        if before is not None and is_wide(one.char) and is_wide(before.char):
            height = max(before.top - before.bottom, 0.1)
            if abs(one.left - before.left) < 0.3 * height and 0.3 * height < before.top - one.top < 2.5 * height:
                down += 1
            elif abs(one.bottom - before.bottom) < 0.3 * height:
                across += 1
        before = one
    return down > 10 and down > 2 * across


def _runs(letters: Sequence[Letter]) -> Iterator[Run]:
    run: list[Letter] = []
    for one in letters:
        if one.char in "\r\n":
            if run:
                yield from _whole(run)
            run = []
            continue
        if one.made or one.char.isspace():
            if run:
                run.append(one._replace(char=" "))
            continue
        last = next((each for each in reversed(run) if each.char != " "), None)
        if last is not None and (last.char == HYPHEN or _parted(last, one)):
            yield from _whole(run)
            run = []
        run.append(one)
    if run:
        yield from _whole(run)


def _parted(last: Letter, one: Letter) -> bool:
    height = max(min(last.top - last.bottom, one.top - one.bottom), 0.1)
    shared = min(last.top, one.top) - max(last.bottom, one.bottom)
    gap = max(one.left - last.right, last.left - one.right)
    return shared < 0.3 * height or gap > _GAP * max(last.top - last.bottom, one.top - one.bottom)


def _whole(run: list[Letter]) -> Iterator[Run]:
    while run and run[-1].char == " ":
        run.pop()
    if not run:
        return
    solid = [one for one in run if one.char != " "]
    text = "".join([one.char for one in run])
    yield Run(
        text=text if max(text) < _FIRST_LEFTWARD else "".join(_read_forward(run)),
        left=min(one.left for one in solid),
        bottom=min(one.bottom for one in solid),
        right=max(one.right for one in solid),
        top=max(one.top for one in solid),
    )


def _read_forward(run: Sequence[Letter]) -> Iterator[str]:
    """The characters in the order of reading.

    pdfium turns letters that are read from right to left. Where one drawn sign stands for a whole word, it turns the
    word's characters too, which were in order: they share one box, and are turned back.
    """
    at = 0
    while at < len(run):
        one, end = run[at], at + 1
        if is_leftward(one.char):
            while end < len(run) and run[end][1:5] == one[1:5] and not run[end].made:
                end += 1
            while end > at + 1 and not is_leftward(run[end - 1].char):
                end -= 1
        yield from (each.char for each in reversed(run[at:end]))
        at = end


def is_wide(char: str) -> bool:
    """Whether it is of a script that writes no spaces between words, with its marks: Japanese, Chinese."""
    return "\u2e80" <= char <= "\ua4cf" or "\uf900" <= char <= "\ufaff" or "\ufe30" <= char <= "\uffef"


def is_leftward(char: str) -> bool:
    """Whether it is a letter of Arabic, Hebrew and the like, or a mark over one."""
    return char >= _FIRST_LEFTWARD and (
        unicodedata.bidirectional(char) in ("R", "AL") or "\u0590" <= char <= "\u05cf" or "\u064b" <= char <= "\u065f"
    )
