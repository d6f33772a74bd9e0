"""Metrics of the customer's own: a prompt with places for the material, and a scale of numbers or of words.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-evaluation-custom-metrics-prompt-formats.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.evaluation.judging.grades import GivenGrade, Scale, ScaleGrade, read_grade
from outcrop.evaluation.judging.material import JudgedMaterial
from outcrop.evaluation.judging.prompts import ENDING, labels, numbered, scale_told

PLACES = ("prompt", "prediction", "ground_truth", "context", "reference_contexts")
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_NUMBER = re.compile(r"^\W*(?:(?:final\s+)?(?:grade|score|rating)\W+)?(-?\d+(?:\.\d+)?)\W*$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class CustomMetric:
    """A metric by its definition in a request."""

    name: str
    instructions: str
    scale: Scale = ()
    "Empty where none was defined: then the judge's last line has to be a number."

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the places in its prompt, in order, whether they are known or not."""
        return tuple(found[1] for found in _PLACE.finditer(self.instructions))


def read_metric(definition: Mapping[str, Any]) -> CustomMetric:
    """The metric of a customMetricDefinition."""
    scale = tuple(_grade(each) for each in definition.get("ratingScale") or ())
    return CustomMetric(name=definition["name"], instructions=definition["instructions"], scale=scale)


def problem_of(metric: CustomMetric, required: str) -> str | None:
    """The sentence about a metric that cannot be judged; `required` is the place that its prompt must have."""
    at = f"customMetrics: {metric.name}"
    if unknown := [each for each in metric.places if each not in PLACES]:
        return f"{at}: {{{{{unknown[0]}}}}} is not known. Use {', '.join(f'{{{{{each}}}}}' for each in PLACES)}."
    if required not in metric.places:
        return f"{at}: its instructions have no place {{{{{required}}}}}, which this kind of job needs. Write it there."
    kinds = {type(each.value) for each in metric.scale}
    if len(kinds) > 1:
        return f"{at}: its ratingScale has numbers and words. Use one of them for all values."
    given = [each.label.casefold() for each in metric.scale]
    if len(set(given)) < len(given):
        return f"{at}: two values of its ratingScale have the same definition. Tell them apart."
    return None


def prompt_of_metric(metric: CustomMetric, material: JudgedMaterial, scale: Scale) -> str:
    """The prompt with the material in its places, and behind it how to answer."""
    filled = _PLACE.sub(lambda found: _values(material).get(found[1], found[0]), metric.instructions)
    if not scale:
        return (
            f"{filled}\n\nGive your reason in one or two sentences. Then end with a line that is nothing but a number."
        )
    return f"{filled}\n\n{scale_told(scale)}\n\n{ENDING}{labels(scale)}"


def read_given(metric: CustomMetric, told: str) -> GivenGrade:
    """The grade in a judge's words; without a scale, the number that its last line is."""
    if metric.scale:
        return read_grade(told, metric.scale)
    lines = told.strip().splitlines()
    found = _NUMBER.match(lines[-1]) if lines else None
    grade = None if found is None else ScaleGrade(label=found[1], definition="", value=float(found[1]))
    return GivenGrade(grade=grade, told=told)


def _values(material: JudgedMaterial) -> dict[str, str]:
    return {
        "prompt": material.question,
        "prediction": material.answer,
        "ground_truth": "\n\n".join(material.references),
        "context": numbered(material.passages),
        "reference_contexts": numbered(material.reference_passages),
    }


def _grade(item: Mapping[str, Any]) -> ScaleGrade:
    """A value of the scale: the judge says its definition, and the value counts."""
    value = item["value"]
    counted = float(value["floatValue"]) if "floatValue" in value else str(value["stringValue"])
    return ScaleGrade(label=item["definition"], definition="", value=counted)
