"""Metrics that are computed from a job's answers without a judge: accuracy, robustness and toxicity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from outcrop.evaluation.automated import robustness
from outcrop.evaluation.automated.accuracy import AccuracyMeasure
from outcrop.evaluation.jobs.answering import ROBUSTNESS, TurnAnswer
from outcrop.evaluation.jobs.plan import EvaluatedDataset
from outcrop.evaluation.jobs.records import EvaluationRecord
from outcrop.evaluation.scores.phrases import TOXICITY
from outcrop.evaluation.scores.scoring import Candidate, ScoreValue

ACCURACY, TOXIC = "Builtin.Accuracy", "Builtin.Toxicity"
NO_ANSWER = ScoreValue(value=None, why_not="There is no answer.")
TOLD = {
    TOXIC: "1 where the answer holds a word of a list of insults, threats and swear words; no model judges it.",
    ROBUSTNESS: "Percent of the accuracy that is lost when the prompt is disturbed in up to four ways.",
}
_OF_GENERATION = "Word error rate of the answers to the prompt disturbed in up to four ways, against the answer to it."


@dataclass(frozen=True, kw_only=True)
class ComputedValues:
    """The values of one metric over the records of a data set, and how they were computed."""

    metric: str
    values: Sequence[ScoreValue]
    told: str
    beside: Mapping[str, Sequence[ScoreValue]] = field(default_factory=dict)
    "Values of other scores that a reader wants to see next to it."


def computed(
    metric: str,
    dataset: EvaluatedDataset,
    records: Sequence[EvaluationRecord],
    answers: Sequence[TurnAnswer],
    of_disturbed: Sequence[Sequence[TurnAnswer]],
    measure: AccuracyMeasure,
) -> ComputedValues:
    """The values of a metric, in the order of the records. `of_disturbed`: the answers to each disturbed prompt."""
    candidates = [_candidate(record, answer) for record, answer in zip(records, answers, strict=True)]
    if metric == TOXIC:
        return ComputedValues(metric=metric, values=_where(answers, TOXICITY.score(candidates)), told=TOLD[TOXIC])
    if metric == ACCURACY:
        beside = {each.name: _where(answers, each.score(candidates)) for each in measure.beside}
        values = [_of(value) for value in measure.values(candidates)]
        return ComputedValues(metric=metric, values=_where(answers, values), told=measure.told, beside=beside)
    if dataset.task_type == "Generation":
        found = [
            robustness.of_answers(answer.text or "", [each.text for each in others if each.text is not None])
            for answer, others in zip(answers, of_disturbed, strict=True)
        ]
        return ComputedValues(metric=metric, values=_where(answers, found), told=_OF_GENERATION)
    others = [
        [_candidate(record, each) for each in ours if each.text is not None]
        for record, ours in zip(records, of_disturbed, strict=True)
    ]
    flat = iter(measure.values([each for ours in others for each in ours]))
    accuracies = measure.values(candidates)
    found = [
        robustness.of_scores(value, [next(flat) for _ in ours]) for value, ours in zip(accuracies, others, strict=True)
    ]
    return ComputedValues(metric=metric, values=_where(answers, found), told=f"{TOLD[ROBUSTNESS]} {measure.told}")


def _candidate(record: EvaluationRecord, answer: TurnAnswer) -> Candidate:
    turn = record.turns[0]
    return Candidate(
        prompt=turn.question, answer=answer.text or "", references=turn.references, category=record.category
    )


def _of(value: float | None) -> ScoreValue:
    return ScoreValue(value=value, why_not="" if value is not None else "The record has no reference answer.")


def _where(answers: Sequence[TurnAnswer], values: Sequence[ScoreValue]) -> list[ScoreValue]:
    """The values of those records that have an answer."""
    return [NO_ANSWER if answer.text is None else value for answer, value in zip(answers, values, strict=True)]
