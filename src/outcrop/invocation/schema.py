"""Request bodies checked in the wording of Bedrock, which is that of the Java library everit-org/json-schema.

Only what the providers' bodies need: objects with known keys, texts, numbers, lists of texts. Each violation reads
`#<JSON pointer>: <what>`; all of them together make one `Malformed input request: …` message, as Bedrock sends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from outcrop.errors import Invalid
from outcrop.protocol.values import json_text

Body = Mapping[str, Any]


class Schema(Protocol):
    def violations(self, value: Any, at: str) -> list[str]:
        """The problems of the value at this JSON pointer."""
        ...


@dataclass(frozen=True, kw_only=True)
class Text:
    least_length: int = 0
    most_length: int | None = None
    one_of: tuple[str, ...] = ()

    def violations(self, value: Any, at: str) -> list[str]:
        if not isinstance(value, str):
            return [_expected(at, "String", value)]
        if len(value) < self.least_length:
            return [f"{at}: expected minLength: {self.least_length}, actual: {len(value)}"]
        if self.most_length is not None and len(value) > self.most_length:
            return [f"{at}: expected maxLength: {self.most_length}, actual: {len(value)}"]
        if self.one_of and value not in self.one_of:
            return [f"{at}: {value} is not a valid enum value"]
        return []


@dataclass(frozen=True, kw_only=True)
class Number:
    least: float | None = None
    most: float | None = None
    integer: bool = False
    one_of: tuple[float, ...] = ()

    def violations(self, value: Any, at: str) -> list[str]:
        kinds = int if self.integer else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return [_expected(at, "Integer" if self.integer else "Number", value)]
        if self.least is not None and value < self.least:
            return [f"{at}: {value} is not greater or equal to {self.least}"]
        if self.most is not None and value > self.most:
            return [f"{at}: {value} is not less or equal to {self.most}"]
        if self.one_of and value not in self.one_of:
            return [f"{at}: {value} is not a valid enum value"]
        return []


@dataclass(frozen=True, kw_only=True)
class Flag:
    def violations(self, value: Any, at: str) -> list[str]:
        return [] if isinstance(value, bool) else [_expected(at, "Boolean", value)]


@dataclass(frozen=True, kw_only=True)
class Anything:
    """A schema that any value fits, for what is checked elsewhere, in other words."""

    def violations(self, _value: Any, _at: str) -> list[str]:
        return []


@dataclass(frozen=True, kw_only=True)
class Items:
    of: Schema
    least: int = 0
    most: int | None = None

    def violations(self, value: Any, at: str) -> list[str]:
        if not isinstance(value, list):
            return [_expected(at, "JSONArray", value)]
        if len(value) < self.least:
            return [f"{at}: expected minimum item count: {self.least}, found: {len(value)}"]
        if self.most is not None and len(value) > self.most:
            return [f"{at}: expected maximum item count: {self.most}, found: {len(value)}"]
        return [problem for index, item in enumerate(value) for problem in self.of.violations(item, f"{at}/{index}")]


@dataclass(frozen=True, kw_only=True)
class Struct:
    required: Mapping[str, Schema] = field(default_factory=dict)
    optional: Mapping[str, Schema] = field(default_factory=dict)

    def violations(self, value: Any, at: str) -> list[str]:
        if not isinstance(value, dict):
            return [_expected(at, "JSONObject", value)]
        known = {**self.required, **self.optional}
        missing = [f"{at}: required key [{key}] not found" for key in self.required if key not in value]
        extra = [f"{at}: extraneous key [{key}] is not permitted" for key in value if key not in known]
        inner = [
            problem
            for key, schema in known.items()
            if key in value
            for problem in schema.violations(value[key], f"{at}/{key}")
        ]
        return missing + extra + inner


@dataclass(frozen=True, kw_only=True)
class Values:
    """An object of any keys, whose values fit one schema."""

    of: Schema

    def violations(self, value: Any, at: str) -> list[str]:
        if not isinstance(value, dict):
            return [_expected(at, "JSONObject", value)]
        return [problem for key, one in value.items() for problem in self.of.violations(one, f"{at}/{key}")]


def read_json(body: bytes) -> dict[str, Any]:
    """The body as an object. Raises Invalid in Bedrock's words when it is none."""
    try:
        value = json_text.loads(body)
    except json_text.NotJson as problem:
        raise Invalid("Malformed input request, please reformat your input and try again.") from problem
    if not isinstance(value, dict):
        raise malformed([_expected("#", "JSONObject", value)])
    return value


def check(schema: Schema, body: Body) -> None:
    """Raises Invalid with every violation, in the order the schema names them."""
    problems = schema.violations(body, "#")
    if problems:
        raise malformed(problems)


class Malformed(Invalid):
    """A body that breaks rules of its dialect; `problems` are they, one by one."""

    def __init__(self, problems: list[str]) -> None:
        """Bedrock's one message for all violations: they follow each other without a separator."""
        told = f"Malformed input request: {''.join(problems)}, please reformat your input and try again."
        super().__init__(told)
        self.problems = problems


def malformed(problems: list[str]) -> Malformed:
    """The refusal for these violations, each of which begins with `#`."""
    return Malformed(problems)


def _expected(at: str, wanted: str, value: Any) -> str:
    return f"{at}: expected type: {wanted}, found: {_java_name(value)}"


def _java_name(value: Any) -> str:
    match value:
        case None:
            return "Null"
        case bool():
            return "Boolean"
        case int():
            return "Integer" if -(2**31) <= value < 2**31 else "Long"
        case float():
            return "BigDecimal"
        case str():
            return "String"
        case list():
            return "JSONArray"
    return "JSONObject"
