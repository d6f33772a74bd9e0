"""Places of a text that a guardrail is to find, decided while more text is to come.

A matcher says from where on more text may change what it finds. What lies before that is final, however the text came:
a stream and the same text in one piece have the same places.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

import regex

from outcrop.errors import Invalid

LONGEST_S = 1.0
"For one expression over one text: one that goes back again and again would never end."


class Side(StrEnum):
    """Where a text comes from: a user, or the model."""

    INPUT = "INPUT"
    OUTPUT = "OUTPUT"


class Action(StrEnum):
    """The action on a place that is found."""

    BLOCK = "BLOCK"
    ANONYMIZE = "ANONYMIZE"
    NONE = "NONE"
    "It is told, and nothing else."


class MatchCandidate(NamedTuple):
    """A place that a matcher has looked at, from `begin` to `end`; the search goes on behind it."""

    begin: int
    end: int
    found: tuple[int, int] | None
    "The place itself, without what only leads to it; None where it failed its check."


class TextMatcher(Protocol):
    """Finds places in a text."""

    def candidates(self, text: str, begin: int) -> Iterator[MatchCandidate]:
        """The candidates from `begin` on, from left to right. What stands before is only looked back at."""

    def undecided(self, text: str) -> int:
        """The place from which on a candidate may begin that more text would change."""


def anything(_found: str) -> bool:
    """Accept whatever an expression finds."""
    return True


@dataclass(frozen=True, kw_only=True)
class PatternMatcher:
    """Finds what an expression describes."""

    name: str
    "For whoever is told that it takes too long."
    pattern: "regex.Pattern[str]"
    width: int | None
    "The most letters of a match; None: no bound, so nothing is decided before the text ends."
    letters: "regex.Pattern[str] | None" = None
    "A class of letters that all of a match consists of: nothing behind another letter is undecided."
    check: Callable[[str], bool] = anything
    "Whether it is one, by its check digits."
    by_group: bool = False
    "Whether the place is group 1: what leads to it is no part of it."

    def candidates(self, text: str, begin: int) -> Iterator[MatchCandidate]:
        try:
            for match in self.pattern.finditer(text, begin, timeout=LONGEST_S):
                start, end = match.span(1) if self.by_group else match.span()
                if match.end() > match.start():
                    found = (start, end) if end > start and self.check(text[start:end]) else None
                    yield MatchCandidate(match.start(), match.end(), found)
        except TimeoutError as error:
            raise Invalid(
                f"The expression {self.name} of the guardrail took more than {LONGEST_S:g} s over one text. Write it "
                "without repetitions inside of repetitions."
            ) from error

    def undecided(self, text: str) -> int:
        if self.width is None:
            return 0
        bound = max(0, len(text) - self.width - 1)
        if self.letters is None:
            return bound
        at = len(text)
        while at > bound and self.letters.match(text, at - 1):
            at -= 1
        return at


@dataclass(frozen=True, kw_only=True)
class TextRule:
    """A thing that a guardrail looks for in texts, with its action on each side."""

    policy: str
    "`word`, `list`, `entity` or `expression`."
    name: str
    "The type of an entity, the name of an expression; of words, nothing."
    matcher: TextMatcher
    actions: dict[Side, Action]
    "A side that is missing is not looked at."
    expression: str = ""
    "Of a custom expression, as it was written."

    @property
    def tag(self) -> str:
        """The tag that stands in a masked text."""
        return f"{{{self.name}}}"


class FoundPlace(NamedTuple):
    """A place that a rule found in a text."""

    start: int
    end: int
    rule: TextRule
    action: Action
    text: str


class ScannedText(NamedTuple):
    """A text that was looked at as a whole."""

    places: list[FoundPlace]
    masked: str
    "With tags in place of what is anonymized."
    blocked: bool


def scan(text: str, rules: "tuple[TextRule, ...] | list[TextRule]", side: Side) -> ScannedText:
    """All places of a text, and the text as it may be shown."""
    places = [
        FoundPlace(*candidate.found, rule, rule.actions[side], text[slice(*candidate.found)])
        for rule in rules
        if side in rule.actions
        for candidate in rule.matcher.candidates(text, 0)
        if candidate.found is not None
    ]
    places.sort(key=_from_left)
    return ScannedText(places, masked(text, places), any(place.action is Action.BLOCK for place in places))


def masked(text: str, places: list[FoundPlace]) -> str:
    """The text with tags in place of what is anonymized; of places that overlap, the first gives the tag."""
    parts, shown = list[str](), 0
    for place in places:
        if place.action is Action.ANONYMIZE:
            if place.start >= shown:
                parts += [text[shown : place.start], place.rule.tag]
            shown = max(shown, place.end)
    return "".join([*parts, text[shown:]])


def masked_place(places: list[FoundPlace], at: int) -> int:
    """Where a place of the text stands in the masked text; one within what is masked, behind its tag."""
    moved, shown = at, 0
    for place in places:
        if place.action is not Action.ANONYMIZE or place.start >= at:
            continue
        if place.start >= shown:
            moved += len(place.rule.tag)
        moved -= max(0, min(place.end, at) - max(place.start, shown))
        shown = max(shown, place.end)
    return moved


def _from_left(place: FoundPlace) -> tuple[int, int]:
    return place.start, -place.end


class TextScanner:
    """Looks at a text that comes in pieces, and lets through what is decided.

    All that it lets through, in a row, is the masked text up to the first place that blocks, whatever the pieces were.
    """

    def __init__(self, rules: "tuple[TextRule, ...] | list[TextRule]", side: Side) -> None:
        self._rules = [rule for rule in rules if side in rule.actions]
        self._side = side
        self._begins = [0] * len(self._rules)
        self._text = ""
        self._shown = 0
        self._waiting: list[FoundPlace] = []
        self.places: list[FoundPlace] = []
        "Those that were met so far."
        self.blocked = False

    def push(self, text: str) -> str:
        """The text that may be shown now. After `blocked` is set there is no more."""
        self._text += text
        return self._advance(min((rule.matcher.undecided(self._text) for rule in self._rules), default=len(self._text)))

    def finish(self) -> str:
        """The rest, once no more text comes."""
        return self._advance(len(self._text), last=True)

    def _advance(self, safe: int, *, last: bool = False) -> str:
        if self.blocked:
            return ""
        if safe <= self._shown and not last:
            return ""
        for number, rule in enumerate(self._rules):
            self._look(number, rule, len(self._text) + 1 if last else safe)
        self._waiting.sort(key=_from_left)
        parts = list[str]()
        while self._waiting and (self._waiting[0].start < safe or last):
            place = self._waiting.pop(0)
            self.places.append(place)
            if place.action is Action.BLOCK:
                parts.append(self._text[self._shown : max(self._shown, place.start)])
                self.blocked = True
                return "".join(parts)
            if place.action is Action.ANONYMIZE:
                if place.start >= self._shown:
                    parts += [self._text[self._shown : place.start], place.rule.tag]
                self._shown = max(self._shown, place.end)
        parts.append(self._text[self._shown : safe])
        self._shown = max(self._shown, safe)
        return "".join(parts)

    def _look(self, number: int, rule: TextRule, safe: int) -> None:
        """Take a rule's places that begin before `safe`, and remember where its search goes on."""
        begin = self._begins[number]
        for candidate in rule.matcher.candidates(self._text, begin):
            if candidate.begin >= safe:
                break
            begin = candidate.end
            if candidate.found is not None:
                start, end = candidate.found
                self._waiting.append(FoundPlace(start, end, rule, rule.actions[self._side], self._text[start:end]))
        self._begins[number] = max(begin, min(safe, len(self._text)))
