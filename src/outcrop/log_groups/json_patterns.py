"""Filter patterns of CloudWatch Logs over lines that are JSON objects.

    { $.status >= 500 && ($.path = "/invoke*" || $.retry IS TRUE) }
    { $.user.roles[0] != "admin" }        { $.error NOT EXISTS }        { $['trace.id'] IS NULL }

Numbers are compared with numbers, texts with texts, in which `*` stands for any letters. A member that is not there
fits NOT EXISTS and nothing else. Wildcards in selectors and regular expressions are refused by name.
"""

import math
import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from outcrop.errors import Invalid

Condition = Callable[[Any], bool]
"Whether a parsed message is asked for."
_DEEPEST = 50
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<selector>\$(?:\.?\[(?:'[^']*'|"[^"]*"|[^\]'"]*)\]|\.[\w-]+|\.\*)+)
      | (?P<mark>&&|\|\||\(|\)|<=|>=|!=|=|<|>)
      | "(?P<text>(?:[^"\\]|\\.)*)"
      | (?P<bare>[^\s()&|=<>!"]+)
    )""",
    re.VERBOSE,
)
_STEP = re.compile(r"""\.?\[(?:'([^']*)'|"([^"]*)"|([^\]]*))\]|\.([\w-]+|\*)""")
_NUMBERS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ESCAPED = re.compile(r"\\(.)")
_ABSENT = object()


class _Token(NamedTuple):
    """A piece of a pattern: what it is, what it says, where it stands."""

    kind: str
    value: str
    at: int


def parse(pattern: str) -> Callable[[str], bool]:
    """The matcher of a pattern in braces. Raises Invalid."""
    text = pattern.strip()
    if not text.endswith("}"):
        raise Invalid("Invalid filter pattern: the brace is not closed.")
    condition = _Parser(_tokens(text[1:-1])).whole()

    def matches(message: str) -> bool:
        if "{" not in message:
            return False
        try:
            return condition(orjson.loads(message))
        except orjson.JSONDecodeError:
            return False

    return matches


def _tokens(text: str) -> list[_Token]:
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Invalid(f"Invalid filter pattern: not understood at {text[at:].strip()[:40]!r}.")
        kind = str(match.lastgroup)
        found.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return found


class _Parser:
    """Reads tokens from left to right; `||` binds less than `&&`."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Condition:
        condition = self._any_of(0)
        if self._at < len(self._tokens):
            raise self._unexpected("&&, || or the end")
        return condition

    def _any_of(self, depth: int) -> Condition:
        if depth > _DEEPEST:
            raise Invalid("Invalid filter pattern: its parentheses are nested too deep.")
        parts = [self._all_of(depth)]
        while self._takes("||"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else lambda value: any(part(value) for part in parts)

    def _all_of(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._takes("&&"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda value: all(part(value) for part in parts)

    def _one(self, depth: int) -> Condition:
        if self._takes("("):
            condition = self._any_of(depth + 1)
            if not self._takes(")"):
                raise self._unexpected("')'")
            return condition
        select = _selection(self._next("selector", "a selector such as $.level").value)
        if self._takes("IS"):
            return _is(select, self._next("bare", "NULL, TRUE or FALSE").value)
        if self._takes("NOT"):
            if not self._takes("EXISTS"):
                raise self._unexpected("EXISTS")
            return lambda value: select(value) is _ABSENT
        sign = self._next("mark", "=, !=, <, <=, > or >=, IS or NOT EXISTS").value
        if sign not in _NUMBERS:
            raise Invalid(f"Invalid filter pattern: expected a comparison, found {sign!r}.")
        if self._at < len(self._tokens) and self._tokens[self._at].kind == "text":
            return _text(select, sign, _ESCAPED.sub(r"\1", self._next("text", "a value").value))
        return _bare(select, sign, self._next("bare", "a value").value)

    def _takes(self, word: str) -> bool:
        here = self._tokens[self._at] if self._at < len(self._tokens) else None
        taken = here is not None and here.kind in ("mark", "bare") and here.value == word
        self._at += taken
        return taken

    def _next(self, kind: str, wanted: str) -> _Token:
        if self._at == len(self._tokens) or self._tokens[self._at].kind != kind:
            raise self._unexpected(wanted)
        self._at += 1
        return self._tokens[self._at - 1]

    def _unexpected(self, wanted: str) -> Invalid:
        here = self._tokens[self._at].value if self._at < len(self._tokens) else "the end"
        return Invalid(f"Invalid filter pattern: expected {wanted}, found {here[:40]!r}.")


def _selection(selector: str) -> Callable[[Any], Any]:
    """The reader of a member of messages; it finds _ABSENT where there is none."""
    steps: list[str | int] = []
    for single, double, index, name in _STEP.findall(selector):
        if "*" in (index.strip(), name):
            raise Invalid(f"filterPattern: wildcards in selectors ({selector}) are not built in Outcrop yet.")
        if index and not index.strip().isdecimal():
            raise Invalid(f"Invalid filter pattern: {index[:40]!r} is no place in a list.")
        steps.append(int(index) if index else single or double or name)

    def select(value: Any) -> Any:
        for step in steps:
            if isinstance(step, int):
                value = value[step] if isinstance(value, list) and step < len(value) else _ABSENT
            else:
                value = value.get(step, _ABSENT) if isinstance(value, dict) else _ABSENT
        return value

    return select


def _is(select: Callable[[Any], Any], word: str) -> Condition:
    values = {"NULL": None, "TRUE": True, "FALSE": False}
    if word not in values:
        raise Invalid(f"Invalid filter pattern: expected NULL, TRUE or FALSE behind IS, found {word[:40]!r}.")
    wanted = values[word]
    return lambda value: select(value) is wanted


def _bare(select: Callable[[Any], Any], sign: str, value: str) -> Condition:
    if value.startswith("%"):
        raise Invalid("filterPattern: regular expressions (%…%) are not built in Outcrop yet.")
    try:
        number = float(value)
    except ValueError:
        return _text(select, sign, value)
    if not math.isfinite(number):
        return _text(select, sign, value)
    compare = _NUMBERS[sign]

    def fits(message: Any) -> bool:
        found = select(message)
        return isinstance(found, int | float) and not isinstance(found, bool) and compare(found, number)

    return fits


def _text(select: Callable[[Any], Any], sign: str, wanted: str) -> Condition:
    if sign not in ("=", "!="):
        raise Invalid(f"Invalid filter pattern: {sign} compares numbers, and {wanted[:40]!r} is none.")
    first, *others = wanted.split("*")
    equal = sign == "="

    def fits(message: Any) -> bool:
        found = select(message)
        return isinstance(found, str) and _is_like(found, first, others) == equal

    return fits


def _is_like(text: str, first: str, others: list[str]) -> bool:
    """Whether the pieces between wildcards follow each other in the text: one look, however many they are."""
    if not others:
        return text == first
    *between, last = others
    if not text.startswith(first):
        return False
    at = len(first)
    for piece in between:
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return len(text) - len(last) >= at and text.endswith(last)
