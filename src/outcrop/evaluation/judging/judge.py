"""Judging: a criterion or a custom metric asked of a judge, unit by unit, and the value of the record.

A judge is whatever answers a prompt. It is asked each prompt once; for some records it is asked a second time with the
scale turned round, so that a reader learns how often it agrees with itself. The second answer never counts.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from outcrop.evaluation.judging.criteria import Criterion, JudgedUnit
from outcrop.evaluation.judging.custom_metric import CustomMetric, prompt_of_metric, read_given
from outcrop.evaluation.judging.grades import GivenGrade, read_grade, why_unread
from outcrop.evaluation.judging.material import JudgedMaterial
from outcrop.evaluation.judging.prompts import prompt_of

Metric = Criterion | CustomMetric
AskJudge = Callable[[str], Awaitable[str]]
"Asks the judge a prompt. Raises what keeps it from answering."


@dataclass(frozen=True, kw_only=True)
class JudgePrompt:
    """A prompt for one grade, or the value where there is nothing to ask."""

    text: str = ""
    counts: float | None = None
    "Known without asking."


@dataclass(frozen=True, kw_only=True)
class JudgedValue:
    """The value of a metric for one record, or the reason why there is none."""

    value: float | str | None
    explanation: str
    num_unread: int = 0
    "Answers of the judge that held no grade."


def prompts_for(metric: Metric, material: JudgedMaterial, *, is_turned: bool = False) -> list[JudgePrompt]:
    """The prompts of a record; `is_turned`: with the scale in the other order. Empty: there is nothing to grade."""
    scale = tuple(reversed(metric.scale)) if is_turned else tuple(metric.scale)
    if isinstance(metric, CustomMetric):
        return [JudgePrompt(text=prompt_of_metric(metric, material, scale))]
    units = _units(metric.unit, material)
    return [
        JudgePrompt(counts=0.0) if each is None else JudgePrompt(text=prompt_of(metric, each, scale)) for each in units
    ]


def value_of(metric: Metric, prompts: Sequence[JudgePrompt], told: Sequence[str]) -> JudgedValue:
    """The value of a record from the judge's answers, one for each prompt that was asked.

    It is the mean of the units. A single answer without a grade leaves the record without a value: a mean of the rest
    would look like one.
    """
    if not prompts:
        return JudgedValue(value=None, explanation=_NOTHING[_unit(metric)])
    answers = iter(told)
    given = [None if each.counts is not None else read(metric, next(answers)) for each in prompts]
    unread = [each for each in given if each is not None and not each.is_read]
    if unread:
        why = why_unread(unread[0], metric.scale) if metric.scale else _no_number(unread[0])
        return JudgedValue(value=None, explanation=why, num_unread=len(unread))
    values = [each.counts if one is None else _counted(one) for each, one in zip(prompts, given, strict=True)]
    words = [one.explanation if one is not None else "It cites nothing." for one in given]
    numbers = [each for each in values if isinstance(each, float)]
    value = sum(numbers) / len(numbers) if len(numbers) == len(values) else values[0]
    return JudgedValue(value=value, explanation=words[0] if len(words) == 1 else _listed(words))


def read(metric: Metric, told: str) -> GivenGrade:
    """The grade in a judge's words about one unit."""
    return read_given(metric, told) if isinstance(metric, CustomMetric) else read_grade(told, metric.scale)


async def judged(metric: Metric, material: JudgedMaterial, ask: AskJudge) -> JudgedValue:
    """The value of a record by a judge that is asked now. Raises what `ask` raises."""
    prompts = prompts_for(metric, material)
    return value_of(metric, prompts, [await ask(each.text) for each in prompts if each.counts is None])


def can_be_turned(metric: Metric) -> bool:
    """Whether the scale has another order in which the judge can be asked again."""
    return len(metric.scale) > 1


_NOTHING = {
    JudgedUnit.RECORD: "There is nothing to judge.",
    JudgedUnit.PASSAGE: "Nothing was retrieved.",
    JudgedUnit.CITATION: "Nothing is cited.",
    JudgedUnit.CLAIM: "The answer claims nothing.",
}


def _unit(metric: Metric) -> JudgedUnit:
    return metric.unit if isinstance(metric, Criterion) else JudgedUnit.RECORD


def _units(unit: JudgedUnit, material: JudgedMaterial) -> list[JudgedMaterial | None]:
    """The material of each prompt; None where the value is 0 without asking."""
    match unit:
        case JudgedUnit.RECORD:
            return [material]
        case JudgedUnit.PASSAGE:
            return [replace(material, passages=(each,)) for each in material.passages]
        case JudgedUnit.CITATION:
            return [
                replace(material, answer=claim.text, passages=(each,))
                for claim in material.claims
                for each in claim.passages
            ]
        case JudgedUnit.CLAIM:
            return [
                replace(material, answer=claim.text, passages=claim.passages) if claim.passages else None
                for claim in material.claims
            ]


def _counted(given: GivenGrade) -> float | str:
    assert given.grade is not None, "only grades that are read are counted"
    return given.grade.value


def _no_number(given: GivenGrade) -> str:
    return f"The judge's last line is no number; define a ratingScale. The judge said: {given.told.strip()[:500]}"


def _listed(words: Sequence[str]) -> str:
    return "\n".join(f"[{number}] {each}" for number, each in enumerate(words, start=1))
