"""Numbers of rules at the beginning of a line: § 240.10b-5, Rule 1.2(a), Section 5, Article IV, 1.2.3, 第3条."""

import re
import unicodedata
from typing import NamedTuple

_KANJI = "0-9０-９〇一二三四五六七八九十百千"
_NUMBER = r"(?:\d[\w.:–—-]*\w|\d+[A-Za-z]?|[A-Z]{1,2}-?\d[\w.–-]*|[IVXLC]{1,7}\b)(?:\(\w{1,5}\))*"
_RULE = re.compile(
    rf"(?P<number>§{{1,2}}\s*{_NUMBER}"
    rf"|(?:Rule|Regulation|Section|Sec\.|Clause|Standard|RULE|SECTION|SEC\.|REGULATION)\s+{_NUMBER}"
    rf"|(?:Article|Art\.|ARTICLE)\s+{_NUMBER}"
    rf"|第[{_KANJI}]+条(?:の[{_KANJI}]+)*"
    r"|\d{1,4}(?:\.\d{1,4}){1,4}[A-Za-z]?(?:\(\w{1,5}\))*)(?P<rest>.*)",
    re.DOTALL,
)
_CONTAINERS: tuple[tuple[int, re.Pattern[str]], ...] = tuple(
    (level, re.compile(pattern))
    for level, pattern in (
        (0, rf"(?:TITLE|BOOK|PART|Title|Book|Part)\s+[IVXLC\d]+[A-Z]?\b|第[{_KANJI}]+(?:編|部)"),
        (1, rf"(?:CHAPTER|Chapter)\s+[IVXLC\d]+[\w–-]*|第[{_KANJI}]+章"),
        (2, rf"(?:SUBCHAPTER|Subchapter|SUBPART|Subpart)\s+[IVXLC\dA-Z]+\b|第[{_KANJI}]+(?:節|款)"),
    )
)
_MARK = re.compile(r"\((?P<sign>[a-z]{1,5}|[A-Z]{1,5}|\d{1,3})(?:–\d+|-\d+)?\)\s*")
_ITEM = re.compile(r"(?P<sign>[0-9０-９]{1,3}|[一二三四五六七八九十]{1,3})[\s　]+")
_ROMAN = re.compile(r"[ivxlc]+")
_DASHES = str.maketrans("–—‑−", "----")
_CITED = re.compile(r"^\s*\d+\s*-?\s*(?:u\.?\s*s\.?\s*c\.?|c\.?\s*f\.?\s*r\.?)\s*-?\s*(?:part\s+|sec(?:tion|\.)?\s+)?")
_KIND = re.compile(r"^(?:§+|rule|regulation|section|sec\.|clause|standard|article|art\.)\s*")
_DIGITS = {sign: value for value, sign in enumerate("〇一二三四五六七八九")}
_POWERS = {"十": 10, "百": 100, "千": 1000}
_LONGEST_TITLE = 250


class RuleHead(NamedTuple):
    """The number and the title that a line gives a rule, or a part of the book that holds rules."""

    number: str
    title: str
    level: int
    "0 to 2: title or part, chapter, subchapter. 3: an article. 4: a section, a rule."


def head_of(line: str, *, is_heading: bool, alone: bool) -> RuleHead | None:
    """The head that a line is. `alone`: blank lines stand around it, so that it may be a title without more signs."""
    line = line.strip().lstrip("#").strip().strip("*").strip()
    if not line or len(line) > _LONGEST_TITLE + 50:
        return None
    for level, pattern in _CONTAINERS:
        found = pattern.match(line)
        if found and (is_heading or alone) and not line.endswith((".", ",", ";", "。")):
            return RuleHead(found[0], line[found.end() :].strip(" .—–-:　"), level)
    found = _RULE.match(line)
    if found is None or not _is_title(found["number"], found["rest"], is_heading=is_heading, alone=alone):
        return None
    is_article = found["number"].lower().startswith("art")
    title = found["rest"].strip().strip(".—–-:　 ").strip()
    if found["number"].startswith("第"):
        inner = re.match(r"[（(]([^）)]*)[）)]", title)
        title = inner[1] if inner else ""
    return RuleHead(found["number"].strip(), title, 3 if is_article else 4)


def _is_title(number: str, rest: str, *, is_heading: bool, alone: bool) -> bool:
    if is_heading:
        return True
    if number.startswith("第"):
        return rest[:1] in ("", "（", "(", "　", " ")
    if not rest.strip():
        return True
    if number[0].isdigit():
        return alone and rest[:1] in " \t." and not rest.rstrip().endswith((".", ",", ";"))
    if rest[:1] in ".—–:" and rest[1:2] in (" ", "\t", "", "—"):
        return True
    return alone and rest[:1] in " \t" and len(rest) < 120 and not rest.rstrip().endswith((".", ",", ";", ":"))


def text_after(line: str, head: RuleHead) -> str:
    """The text that a Japanese article begins on the line of its number: 第3条　何人も、…"""
    if not head.number.startswith("第") or head.level < 3:
        return ""
    rest = line.strip().lstrip("#").strip()[len(head.number) :]
    return re.sub(r"^[\s　]*[（(][^）)]*[）)][\s　]*", "", rest).strip()


class SubsectionMarks:
    """The marks of subsections as they come: (a), then (1), then (A), then (i); together the place within a rule.

    Which kind of mark stands below which is learned from the rule itself.
    """

    def __init__(self) -> None:
        self._signs: list[tuple[str, str]] = []
        self._order: list[str] = []
        "Kinds of marks, each below the one before it."

    def read(self, paragraph: str) -> str:
        """The place of a paragraph, such as (a)(1); without a mark, that of the one before."""
        text = paragraph.lstrip().lstrip("#").lstrip()
        item = None if self._signs else _ITEM.match(text)
        while (found := _MARK.match(text)) is not None:
            self._add(self._kind(found["sign"]), found[0].strip())
            text = text[found.end() :]
        if item is not None and not item["sign"].isascii():
            return f"({item['sign']})"
        return "".join(sign for _, sign in self._signs)

    def _add(self, kind: str, sign: str) -> None:
        if kind not in self._order:
            above = self._order.index(self._signs[-1][0]) + 1 if self._signs else 0
            self._order.insert(above, kind)
        level = self._order.index(kind)
        self._signs = [each for each in self._signs if self._order.index(each[0]) < level]
        self._signs.append((kind, sign))

    def _kind(self, sign: str) -> str:
        if sign.isdigit():
            return "number"
        lower = sign.lower()
        plain, roman, above = ("lower", "roman", "upper") if sign.islower() else ("upper", "Roman", "roman")
        if not _ROMAN.fullmatch(lower):
            return plain if len(sign) == 1 else f"double {plain}"
        last = self._signs[-1][0] if self._signs else ""
        if (last == above and lower == "i") or (last == roman and lower != "i" and sign.islower()):
            return roman
        before = next((each[1:-1] for kind, each in self._signs if kind == plain), "")
        # (i) after (h) is a letter, and else a number, unless nothing stands above it.
        follows = len(sign) == 1 and before != "" and before.lower() == chr(ord(lower) - 1)
        return plain if follows or not self._signs else roman


def key_of(number: str) -> str:
    """A number as it is compared: `15 U.S.C. § 78c(a)` and `Section 78c(a)` are one, and so are 第三条 and 第3条."""
    plain = unicodedata.normalize("NFKC", number).casefold().translate(_DASHES).strip()
    plain = _KIND.sub("", _CITED.sub("", plain))
    if plain.startswith("第"):
        plain = re.sub(r"[〇一二三四五六七八九十百千]+", lambda found: str(_of_kanji(found[0])), plain)
    return re.sub(r"\s+", "", plain).rstrip(".:")


def rule_and_place(number: str) -> tuple[str, str]:
    """A number's key, parted into that of the rule and the place within it: 78c and (a)(5)."""
    key = key_of(number)
    at = key.find("(")
    return (key, "") if at < 1 else (key[:at], key[at:])


def _of_kanji(numeral: str) -> int:
    total = digit = 0
    for sign in numeral:
        if sign in _POWERS:
            total += (digit or 1) * _POWERS[sign]
            digit = 0
        else:
            digit = digit * 10 + _DIGITS[sign]
    return total + digit
