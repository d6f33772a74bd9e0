"""References in a pipeline's definition: `{"Get": "Steps.A.ModelArtifacts.S3ModelArtifacts"}` and `{"Std:Join": …}`.

They are found before anything runs, which tells what waits for what, and resolved when their step begins.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from outcrop.errors import Invalid

PARAMETERS, STEPS, EXECUTION = "Parameters", "Steps", "Execution"
_GET, _JOIN = "Get", "Std:Join"
_UNBUILT = {"Std:JsonGet": "it reads the property file of a processing step, and those are not built"}
_PART = re.compile(
    r"""\.(?P<member>[A-Za-z0-9_-]+)|\[(?P<index>[0-9]{1,6})\]|\[(?P<quote>['"])(?P<key>[^'"]*)(?P=quote)\]"""
)
_HEAD = re.compile(r"(Parameters|Steps|Execution)\.([A-Za-z0-9_-]+)")


class Reference(NamedTuple):
    """The target of a `Get`: a parameter, a property of a step, or something about the execution."""

    of: str
    "One of the three words that it begins with."
    name: str
    "Of the parameter, the step, or the variable of the execution."
    path: tuple[str | int, ...] = ()
    "Members and places below a step, from its outermost."
    text: str = ""

    @classmethod
    def of_text(cls, text: object) -> "Reference":
        """Raises Invalid for what names nothing."""
        head = _HEAD.match(text) if isinstance(text, str) else None
        if head is None or not isinstance(text, str):
            raise Invalid(f"Get: {text!r} is no reference. Name Parameters.X, Steps.X.Property or Execution.X.")
        path, place = list[str | int](), head.end()
        while place < len(text):
            part = _PART.match(text, place)
            if part is None:
                raise Invalid(f"Get: {text!r} cannot be read from {text[place:]!r} on. Write .Member, [0] or ['key'].")
            path.append(int(part["index"]) if part["index"] else part["member"] or part["key"] or "")
            place = part.end()
        if (head[1] == STEPS) != bool(path):
            raise Invalid(f"Get: {text!r} names no value. Name Parameters.X, Steps.X.Property or Execution.X.")
        return cls(head[1], head[2], tuple(path), text)


def references(value: Any) -> Iterator[Reference]:
    """Every reference in a value, however deep. Raises Invalid for one that cannot be read."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, Mapping):
        function, given = _function(value)
        if function == _GET:
            yield Reference.of_text(given)
        elif function == _JOIN:
            yield from references(_joined(given)[1])
        else:
            for each in value.values():
                yield from references(each)


def resolve(value: Any, lookup: Callable[[Reference], Any]) -> Any:
    """The value with what its references stand for in their place. Raises Invalid, and what `lookup` raises."""
    if isinstance(value, list):
        return [resolve(each, lookup) for each in value]
    if not isinstance(value, Mapping):
        return value
    function, given = _function(value)
    if function == _GET:
        return lookup(Reference.of_text(given))
    if function == _JOIN:
        between, values = _joined(given)
        return between.join(_text(resolve(each, lookup)) for each in values)
    return {member: resolve(each, lookup) for member, each in value.items()}


def part_of(properties: Any, path: Sequence[str | int], text: str) -> Any:
    """The part of a step's properties at a path. Raises Invalid where there is none."""
    found = properties
    for part in path:
        if isinstance(found, list) and isinstance(part, str):
            # As SageMaker has it: FinalMetricDataList['loss'] is the metric of that name.
            found = next((each for each in found if isinstance(each, dict) and each.get("MetricName") == part), None)
        elif isinstance(found, list) and isinstance(part, int):
            found = found[part] if part < len(found) else None
        else:
            found = found.get(str(part)) if isinstance(found, dict) else None
        if found is None:
            raise Invalid(f"{text}: the step has no such property now.")
    return found


def _function(value: Mapping[str, Any]) -> tuple[str, Any]:
    """The function that a structure calls, with its argument; empty for one that is only data."""
    if len(value) != 1:
        return "", None
    ((name, given),) = value.items()
    if name in _UNBUILT:
        raise Invalid(f"{name}: {_UNBUILT[name]}. Name a property of the step itself.")
    if name.startswith("Std:") and name != _JOIN:
        raise Invalid(f"{name}: there is no such function. Std:Join is built.")
    return (name, given) if name in (_GET, _JOIN) else ("", None)


def _joined(given: Any) -> tuple[str, list[Any]]:
    between = given.get("On") if isinstance(given, Mapping) else None
    values = given.get("Values") if isinstance(given, Mapping) else None
    if not isinstance(between, str) or not isinstance(values, list):
        raise Invalid('Std:Join: expected {"On": a text, "Values": a list}.')
    return between, values


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise Invalid("Std:Join: one of its Values is neither a text nor a number.")
