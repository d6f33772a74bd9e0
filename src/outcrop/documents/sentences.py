"""Sentences of a text by rule, in English and other languages of Europe, Japanese, Chinese, Arabic and Hindi.

Every character of the text is in one of them: each holds the blanks after it. A full stop that belongs to an
abbreviation or a number ends none, and a Japanese sentence does not end within a quotation.
"""

import re
from collections.abc import Iterable, Iterator

_SIGNS = re.compile(
    r"(?P<blank>\n[ \t　]*\n)|(?P<line>\n)|(?P<open>[「『（【《〈])|(?P<close>[」』）】》〉])"
    r"|(?P<wide>[。！？．｡]+)|(?P<narrow>[.!?…؟।۔]+[\"'”’»)\]]*)"
)
_BLANKS = re.compile(r"[^\S　]*")
"A wide blank begins the next Japanese paragraph."
_WORD = re.compile(r"[^\s(\[\"'“‘«„—–/]+$")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})$")
_ENDS_WIDE = tuple("。！？｡．")
_GOES_ON = tuple("とっ、，などでがをにはもの")
"What follows a quotation in the sentence that holds it: 「…。」と言った。"
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "jr",
        "sr",
        "rev",
        "hon",
        "gen",
        "col",
        "capt",
        "lt",
        "sgt",
        "gov",
        "sen",
        "rep",
        "pres",
        "messrs",
        "mt",
        "ft",
        "vs",
        "etc",
        "al",
        "cf",
        "viz",
        "approx",
        "ca",
        "no",
        "nos",
        "vol",
        "vols",
        "fig",
        "figs",
        "eq",
        "eqs",
        "sec",
        "secs",
        "art",
        "arts",
        "ch",
        "chap",
        "pp",
        "p",
        "para",
        "paras",
        "par",
        "cl",
        "reg",
        "regs",
        "ref",
        "refs",
        "ed",
        "eds",
        "op",
        "app",
        "subsec",
        "pt",
        "v",
        "inc",
        "ltd",
        "co",
        "corp",
        "bros",
        "dept",
        "univ",
        "est",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
        "e.g",
        "i.e",
        "a.m",
        "p.m",
        "u.s",
        "u.k",
        "u.n",
        "d.c",
        "ph.d",
        "m.d",
        "b.a",
        "m.a",
        "usw",
        "bzw",
        "z.b",
        "d.h",
        "nr",
        "bd",
        "abs",
        "vgl",
        "hrsg",
        "evtl",
        "ggf",
        "bspw",
        "inkl",
        "mme",
        "mlle",
        "sra",
        "srta",
        "ud",
        "av",
        "n°",
        "env",
    ]
)
_ENDING = frozenset(["etc", "al", "a.m", "p.m", "inc", "ltd", "co", "corp", "jr", "sr", "u.s", "u.k", "u.n", "usw"])
"Abbreviations with which a sentence may end."
_MOST_HELD = 64 * 1024
"Letters without the end of a sentence after which one is made."


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of a text, which in a row are the text."""
    start = depth = 0
    for found in _SIGNS.finditer(text):
        end, kind = found.end(), found.lastgroup
        if end <= start:
            continue
        if kind == "open":
            depth += 1
            continue
        if kind == "close":
            depth = max(0, depth - 1)
        elif kind in ("line", "blank"):
            depth = 0
        if not _ends(text, start, found, depth):
            continue
        after = _BLANKS.match(text, end)
        end = after.end() if after else end
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def sentences_over(parts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Sentences of a text in named parts, each with the name of the part it begins in."""
    held = name = ""
    for part, text in parts:
        name = name if held else part
        last = ""
        for sentence in sentences_of(held + text):
            if last:
                yield name, last
                # What was held stood before this part, and so did the sentence that began with it.
                name = part
            last = sentence
        held = last
        if len(held) > _MOST_HELD or held.endswith("\n\n"):
            yield name, held
            held = ""
    if held:
        yield name, held


def _ends(text: str, start: int, found: re.Match[str], depth: int) -> bool:
    """Whether the sentence from `start` on ends after this sign."""
    kind = found.lastgroup
    end = found.end()
    following = text[end : end + 1]
    if kind == "blank":
        return True
    if kind == "line":  # an indented paragraph, a line of speech, or the next line of a list
        return (following in ("　", "「", "『") and following != "") or text[end : end + 2] in ("- ", "* ", "• ", "・")
    if depth or kind == "close":
        spoken = kind == "close" and depth == 0 and text[found.start() - 1 : found.start()] in _ENDS_WIDE
        return spoken and not following.startswith(_GOES_ON)
    if kind == "wide":
        return following not in ("」", "』", "）", "】", "》", "〉") and not (
            found[0] == "．" and text[found.start() - 1 : found.start()].isdigit()
        )
    return _narrow_ends(text, start, found)


def _narrow_ends(text: str, start: int, found: re.Match[str]) -> bool:
    if found.end() < len(text) and not text[found.end()].isspace():
        return False
    rest = text[found.end() : found.end() + 40].lstrip()
    if rest[:1].islower():
        return False
    if found[0] != ".":
        return True
    before = text[max(start, found.start() - 24) : found.start()]
    word = _WORD.search(before)
    if word is None:
        return True
    known = word[0].casefold()
    if known in _ABBREVIATIONS:
        return known in _ENDING and rest[:1].isupper() and "." not in known
    return not (_INITIALS.fullmatch(word[0]) and word[0].isupper()) and _LIST_NUMBER.search(before) is None
