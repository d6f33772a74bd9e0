"""The text of a document as one string, with the headings, pages and rules of its parts."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from outcrop.documents.section import Section
from outcrop.recipes.rule_numbers import head_of

_RULE_LEVEL = 3
"Articles, sections and rules; those above are parts of the book that hold rules."
_FEWEST_RULES = 3
"A document with fewer numbered lines is no rule book, unless its headings say so: # § 78c. Definitions."


class _PlacedRule(NamedTuple):
    """The head of a rule, or of a part of the book, where it stands."""

    start: int
    number: str | None
    "None for a part of the book that is in no rule."
    is_named: bool = False
    "Whether it is a heading that calls itself a rule, by a word or sign and not by a number alone."


@dataclass(frozen=True, kw_only=True)
class DocumentText:
    """The texts of a document's sections in a row."""

    text: str
    sections: Sequence[Section]
    starts: Sequence[int]
    "Where each section begins in the text."

    @classmethod
    def of(cls, sections: Iterable[Section]) -> "DocumentText":
        """The text of sections that come in order, those without letters left out."""
        kept = [section for section in sections if section.text]
        starts, at = [], 0
        for section in kept:
            starts.append(at)
            at += len(section.text)
        return cls(text="".join(section.text for section in kept), sections=kept, starts=starts)

    def section_at(self, place: int) -> Section | None:
        """The section that a character stands in; None in a document without any."""
        number = bisect_right(self.starts, place) - 1
        return self.sections[number] if number >= 0 else None

    def rule_at(self, place: int) -> str | None:
        """The number of the rule that a character stands in, of a rule book."""
        number = bisect_right(self._rules, place, key=lambda rule: rule.start) - 1
        return self._rules[number].number if number >= 0 else None

    @cached_property
    def borders(self) -> frozenset[int]:
        """Where a part with headings of its own begins, or a rule."""
        found = {rule.start for rule in self._rules if rule.number is not None}
        before: tuple[str, ...] = ()
        for section, start in zip(self.sections, self.starts, strict=True):
            if section.headings != before:
                found.add(start)
            before = section.headings
        return frozenset(found)

    @cached_property
    def _rules(self) -> list[_PlacedRule]:
        """The heads of rules in their order; without a rule book, those that headings name as such."""
        found = [
            rule._replace(start=start + rule.start)
            for section, start in zip(self.sections, self.starts, strict=True)
            for rule in _rules_in(section)
        ]
        is_book = sum(rule.number is not None for rule in found) >= _FEWEST_RULES
        return found if is_book else [rule for rule in found if rule.is_named]


def _rules_in(section: Section) -> Iterator[_PlacedRule]:
    place, blank_before = 0, True
    lines = section.text.split("\n")
    titles = {" ".join(heading.split()) for heading in section.headings}
    for number, line in enumerate(lines):
        bare = " ".join(line.strip().lstrip("#").split())
        if bare:
            blank_after = number + 1 == len(lines) or not lines[number + 1].strip()
            is_heading = bare in titles
            head = head_of(line, is_heading=is_heading, alone=blank_before and blank_after)
            if head is not None:
                rule = head.number if head.level >= _RULE_LEVEL else None
                yield _PlacedRule(place, rule, is_heading and rule is not None and not rule[0].isdigit())
        blank_before = not bare
        place += len(line) + 1
