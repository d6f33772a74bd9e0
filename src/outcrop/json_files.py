"""Our own JSON files, each read by a declared shape. Whatever a file holds, it is what its reader expects, or refused.

A file may come from another machine, from a disk that fails, or from somebody who means harm. `read` takes nothing for
granted: neither that it is a file, nor its size, its encoding, its nesting, its keys. What is wrong is one sentence
that names the file, the member and what was found there.
"""

import json
import math
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

MOST_BYTES = 16 * 1024 * 1024
_SHOWN = 60
_HALF = re.compile("[\ud800-\udfff]")


class FileProblem(ValueError):
    """A flaw of a file, in a sentence without its path: `parity.json: [0].ids: expected a list, found null`."""


class JsonShape(Protocol):
    def problem(self, value: Any, at: str) -> str | None:
        """The flaw of the value at this place, as `place: what`; None when nothing is wrong."""
        ...


@dataclass(frozen=True, kw_only=True)
class JsonText:
    least: int = 0
    most: int | None = None
    one_of: Sequence[str] = ()
    rule: Callable[[str], str | None] | None = None
    "What is wrong with a text, or None."

    def problem(self, value: Any, at: str) -> str | None:
        if not isinstance(value, str):
            return _expected(at, "a text", value)
        if _has_halves(value):
            return f"{at}: holds half of a surrogate pair, which is no character"
        if self.one_of and value not in self.one_of:
            return _expected(at, f"one of {', '.join(self.one_of)}", value)
        if not self.least <= len(value) <= (self.most or len(value)):
            wanted = f"a text of {self.least} to {self.most} characters"
            return f"{at}: expected {wanted}, found one of {len(value)}"
        wrong = self.rule(value) if self.rule is not None else None
        return f"{at}: {wrong}" if wrong else None


@dataclass(frozen=True, kw_only=True)
class JsonNumber:
    least: float = -math.inf
    most: float = math.inf
    whole: bool = False

    def problem(self, value: Any, at: str) -> str | None:
        kinds = int if self.whole else int | float
        if isinstance(value, bool) or not isinstance(value, kinds):
            return _expected(at, "a whole number" if self.whole else "a number", value)
        if isinstance(value, float) and not math.isfinite(value):
            return _expected(at, "a finite number", value)
        if not self.least <= value <= self.most:
            return f"{at}: {_found(value)} is not between {self.least:g} and {self.most:g}"
        return None


@dataclass(frozen=True, kw_only=True)
class JsonFlag:
    def problem(self, value: Any, at: str) -> str | None:
        return None if isinstance(value, bool) else _expected(at, "true or false", value)


@dataclass(frozen=True, kw_only=True)
class Either:
    """A choice of several shapes; the last one says what is wrong."""

    of: Sequence[JsonShape]

    def problem(self, value: Any, at: str) -> str | None:
        told = [shape.problem(value, at) for shape in self.of]
        return None if None in told else told[-1]


@dataclass(frozen=True, kw_only=True)
class Nothing:
    def problem(self, value: Any, at: str) -> str | None:
        return None if value is None else _expected(at, "null", value)


def optional(shape: JsonShape) -> JsonShape:
    """The shape, or null."""
    return Either(of=(Nothing(), shape))


@dataclass(frozen=True, kw_only=True)
class JsonItems:
    of: JsonShape
    least: int = 0
    most: int | None = None

    def problem(self, value: Any, at: str) -> str | None:
        if not isinstance(value, list):
            return _expected(at, "a list", value)
        if not self.least <= len(value) <= (self.most if self.most is not None else len(value)):
            return f"{at}: expected {_count(self.least, self.most)} items, found {len(value)}"
        if all(self.of.problem(item, "") is None for item in value):
            return None
        return _first(self.of.problem(item, f"{at}[{place}]") for place, item in enumerate(value))


@dataclass(frozen=True, kw_only=True)
class JsonNamed:
    """An object with names of its own."""

    name: JsonText
    of: JsonShape
    least: int = 0
    most: int | None = None

    def problem(self, value: Any, at: str) -> str | None:
        if not isinstance(value, dict):
            return _expected(at, "an object", value)
        if not self.least <= len(value) <= (self.most if self.most is not None else len(value)):
            return f"{at}: expected {_count(self.least, self.most)} entries, found {len(value)}"
        if all(
            self.name.problem(name, "") is None and self.of.problem(item, "") is None for name, item in value.items()
        ):
            return None
        return _first(
            self.name.problem(name, f"{at}: the name {_short(name)}") or self.of.problem(item, f"{at}[{_short(name)}]")
            for name, item in value.items()
        )


@dataclass(frozen=True, kw_only=True)
class Members:
    """An object with known members; others are not looked at."""

    required: Mapping[str, JsonShape] = field(default_factory=dict)
    optional: Mapping[str, JsonShape] = field(default_factory=dict)

    def problem(self, value: Any, at: str) -> str | None:
        if not isinstance(value, dict):
            return _expected(at, "an object", value)
        missing = next((name for name in self.required if name not in value), None)
        if missing is not None:
            return f"{_below(at, missing)}: missing"
        known = {**self.required, **self.optional}
        return _first(shape.problem(value[name], _below(at, name)) for name, shape in known.items() if name in value)


def read(path: Path, shape: JsonShape, *, most_bytes: int = MOST_BYTES, name: str | None = None) -> Any:
    """The JSON of a file, checked. `name` is what the file is called in sentences. Raises FileProblem."""
    called = name or path.name
    return read_bytes(content(path, most_bytes=most_bytes, name=called), shape, most_bytes=most_bytes, name=called)


def read_bytes(data: bytes, shape: JsonShape, *, most_bytes: int = MOST_BYTES, name: str) -> Any:
    """The JSON of a file that was read, checked as `read` does."""
    called = name
    if len(data) > most_bytes:
        raise FileProblem(f"{called}: has {len(data):,} bytes, more than {most_bytes:,}")
    value = parse(data, name=called)
    wrong = shape.problem(value, "")
    if wrong is not None:
        raise FileProblem(f"{called}: {wrong.removeprefix(': ')}")
    return value


def content(path: Path, *, most_bytes: int, name: str | None = None) -> bytes:
    """The bytes of a regular file that is not larger. Raises FileProblem."""
    called = name or path.name
    try:
        # A pipe would let the opening wait for ever for somebody who writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise FileProblem(f"{called}: is no ordinary file")
            if state.st_size > most_bytes:
                raise FileProblem(f"{called}: has {state.st_size:,} bytes, more than {most_bytes:,}")
            return file.read(most_bytes)
    except IsADirectoryError as error:
        raise FileProblem(f"{called}: is a folder, not a file") from error
    except OSError as error:
        raise FileProblem(f"{called}: cannot be read ({error.strerror})") from error


def parse(data: bytes, *, name: str, strict: bool = True) -> Any:
    """The value of JSON as the standard has it: UTF-8, nested no deeper than can be read. If `strict`, no key comes
    twice, and there is no NaN.

    What others write is not always strict: configurations of networks have an `Infinity` now and then.
    """
    hooks: dict[str, Any] = {"object_pairs_hook": _once, "parse_constant": _no_number} if strict else {}
    try:
        return json.loads(data.decode("utf-8-sig"), **hooks)
    except UnicodeDecodeError as error:
        raise FileProblem(f"{name}: is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise FileProblem(f"{name}: is nested too deep") from error
    except json.JSONDecodeError as error:
        raise FileProblem(f"{name}: is no JSON at line {error.lineno}, column {error.colno}: {error.msg}") from error
    except _AmbiguousJson as error:
        raise FileProblem(f"{name}: {error}") from error
    except ValueError as error:  # Python refuses numbers of thousands of digits
        raise FileProblem(f"{name}: holds a number of too many digits") from error


class _AmbiguousJson(ValueError):
    """JSON that says two things, or none."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _AmbiguousJson(f"the member {_short(twice)} is there twice")
    return found


def _no_number(text: str) -> None:
    raise _AmbiguousJson(f"{text} is no JSON value")


def _first(problems: Any) -> str | None:
    return next((problem for problem in problems if problem is not None), None)


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _expected(at: str, wanted: str, value: Any) -> str:
    return f"{at}: expected {wanted}, found {_found(value)}"


def _found(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            text = f"{value:g}" if isinstance(value, float) else hex(value) if abs(value) >= 10**18 else str(value)
            return f"the number {text[:_SHOWN]}"
        case str():
            return _short(value)
        case list():
            return "a list"
    return "an object"


def _short(text: str) -> str:
    shown = json.dumps(text[:_SHOWN], ensure_ascii=_has_halves(text))
    return f"{shown}…" if len(text) > _SHOWN else shown


def _has_halves(text: str) -> bool:
    return _HALF.search(text) is not None


def _count(least: int, most: int | None) -> str:
    return f"at least {least}" if most is None else f"{least} to {most}"
