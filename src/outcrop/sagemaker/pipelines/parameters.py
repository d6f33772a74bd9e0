"""Parameters of a pipeline: their types, what they may be, and the values that an execution is started with."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid

ParameterValue = str | int | float | bool
_TYPES: dict[str, type] = {"String": str, "Integer": int, "Float": float, "Boolean": bool}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")


@dataclass(frozen=True, kw_only=True)
class PipelineParameter:
    """A parameter as a definition declares it."""

    name: str
    type: str
    default: ParameterValue | None
    choices: tuple[ParameterValue, ...]
    "The values that it may have; empty: any."

    @classmethod
    def of(cls, given: Any) -> "PipelineParameter":
        """Raises Invalid, whose sentence begins with the member that is wrong."""
        name = given.get("Name") if isinstance(given, Mapping) else None
        if not isinstance(given, Mapping) or not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Invalid("Name: expected 1 to 256 letters, figures, - and _.")
        for member in given.keys() - {"Name", "Type", "DefaultValue", "EnumValues"}:
            raise Invalid(f"{member}: there is no such member.")
        if given.get("Type") not in _TYPES:
            raise Invalid(f"Type: {given.get('Type')!r} is none. There are {', '.join(_TYPES)}.")
        found = cls(name=name, type=given["Type"], default=None, choices=())
        choices = tuple(found._typed(each, "EnumValues") for each in given.get("EnumValues") or ())
        found = cls(name=name, type=given["Type"], default=None, choices=choices)
        if given.get("DefaultValue") is None:
            return found
        default = found._typed(given["DefaultValue"], "DefaultValue")
        return cls(name=name, type=found.type, default=default, choices=choices)

    def value(self, text: str) -> ParameterValue:
        """The value that StartPipelineExecution gives as a text. Raises Invalid."""
        place = f"PipelineParameters.{self.name}"
        try:
            match self.type:
                case "Integer":
                    return self._typed(int(text), place)
                case "Float":
                    return self._typed(float(text), place)
                case "Boolean":
                    return self._typed({"true": True, "false": False}[text.lower()], place)
            return self._typed(text, place)
        except (ValueError, KeyError) as error:
            raise Invalid(f"{place}: {text!r} is no {self.type}.") from error

    def _typed(self, value: Any, place: str) -> ParameterValue:
        if self.type == "Float" and type(value) is int:
            value = float(value)
        is_of_type = type(value) is _TYPES[self.type]
        if not is_of_type or (isinstance(value, float) and not math.isfinite(value)):
            raise Invalid(f"{place}: {value!r} is no {self.type}.")
        if self.choices and value not in self.choices:
            raise Invalid(f"{place}: {value!r} is none of {', '.join(map(repr, self.choices))}.")
        found: ParameterValue = value
        return found


def values_of(parameters: Mapping[str, PipelineParameter], given: list[Mapping[str, str]]) -> dict[str, ParameterValue]:
    """The value of every parameter of an execution. Raises Invalid for one that is unknown, wrong or missing."""
    told: dict[str, str] = {}
    for each in given:
        if each["Name"] not in parameters:
            raise Invalid(f"PipelineParameters.{each['Name']}: the pipeline has no such parameter.")
        if each["Name"] in told:
            raise Invalid(f"PipelineParameters.{each['Name']}: it is given twice.")
        told[each["Name"]] = each["Value"]
    found: dict[str, ParameterValue] = {}
    for name, parameter in parameters.items():
        value = parameter.value(told[name]) if name in told else parameter.default
        if value is None:
            raise Invalid(f"PipelineParameters.{name}: it has no default value. Give one.")
        found[name] = value
    return found
