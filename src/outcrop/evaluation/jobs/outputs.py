"""The output of an evaluation job in S3, where and as Bedrock writes it, and a summary beside it.

OUTPUT/NAME/JOB/models/MODEL/taskTypes/TASK/datasets/DATASET/UUID_output.jsonl     of models, a line for each record
OUTPUT/NAME/JOB/inference_configs/0/datasets/DATASET/UUID_output.jsonl             of retrieval, alike
OUTPUT/NAME/JOB/custom_metrics/METRIC.json                                         the customer's metrics
OUTPUT/NAME/JOB/outcrop_summary.json                                               means, and what was not graded

https://docs.aws.amazon.com/bedrock/latest/userguide/model-evaluation-report-s3.html
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.data.data import RoleData
from outcrop.evaluation.jobs.answering import TurnAnswer
from outcrop.evaluation.jobs.plan import PROGRAMMATIC, AnswerSource, EvaluationPlan, SourceKind
from outcrop.evaluation.jobs.records import EvaluationRecord
from outcrop.evaluation.judging.custom_metric import CustomMetric
from outcrop.protocol.values import json_values

_LINES, _JSON = "application/jsonlines", "application/json"
SUMMARY = "outcrop_summary.json"
UNGRADED = "outcropUngraded"
"The member that tells of metrics without a value; Bedrock's own `scores` hold numbers alone."
ERROR = "outcropError"


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """The value of one metric for one turn, or the reason why there is none."""

    metric: str
    value: float | str | None
    explanation: str = ""
    judge: str | None = None

    @property
    def shown_name(self) -> str:
        """The metric as Bedrock's output names it: computed ones without their prefix."""
        return self.metric.removeprefix("Builtin.") if self.metric in PROGRAMMATIC else self.metric


class JobOutputs:
    """The output of one job."""

    def __init__(self, data: RoleData, uri: str, *, job_name: str, job_id: str) -> None:
        self._data = data
        self._job_id = job_id
        self.place = f"{uri.rstrip('/')}/{job_name}/{job_id}"

    def send_lines(
        self, plan: EvaluationPlan, source_number: int, dataset_number: int, lines: Iterable[Mapping[str, Any]]
    ) -> None:
        """Write the lines of one data set. Raises Refusal."""
        content = b"".join(json_values.dumps(line) + b"\n" for line in lines)
        self._data.put(self._key(plan, source_number, dataset_number), content, content_type=_LINES)

    def send_metrics(self, metrics: Iterable[CustomMetric]) -> None:
        """Write the definitions of the customer's metrics. Raises Refusal."""
        for metric in metrics:
            content = json_values.dumps({"customMetricDefinition": _definition(metric)})
            self._data.put(f"{self.place}/custom_metrics/{metric.name}.json", content, content_type=_JSON)

    def send_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the summary. Raises Refusal."""
        self._data.put(f"{self.place}/{SUMMARY}", json_values.dumps(summary), content_type=_JSON)

    def _key(self, plan: EvaluationPlan, source_number: int, dataset_number: int) -> str:
        """The place of a data set's lines, the same each time: a resumed job writes no second file."""
        source, dataset = plan.sources[source_number], plan.datasets[dataset_number]
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._job_id}/{source_number}/{dataset_number}")
        if source.kind in (SourceKind.MODEL, SourceKind.GIVEN):
            middle = f"models/{_model_name(source)}/taskTypes/{dataset.task_type}"
        else:
            middle = f"inference_configs/{source_number}"
        return f"{self.place}/{middle}/datasets/{dataset.name}/{name}_output.jsonl"


def model_line(
    record: EvaluationRecord, source: AnswerSource, arn: str, answer: TurnAnswer, results: Sequence[MetricResult]
) -> dict[str, Any]:
    """The line of a record of a model's evaluation."""
    identifier = source.identifier if source.kind is SourceKind.GIVEN else arn
    responses = [] if answer.text is None else [{"response": answer.text, "modelIdentifier": identifier}]
    line: dict[str, Any] = {
        "automatedEvaluationResult": _scores(results),
        "inputRecord": record.raw,
        "modelResponses": responses,
    }
    return line if answer.error is None else {**line, ERROR: answer.error}


def retrieval_line(
    record: EvaluationRecord,
    source: AnswerSource,
    model: str | None,
    answers: Sequence[TurnAnswer],
    results: Sequence[Sequence[MetricResult]],
) -> dict[str, Any]:
    """The line of a conversation with a retrieval system."""
    turns = record.raw["conversationTurns"]
    told = [_turn(raw, source, model, answer, ours) for raw, answer, ours in zip(turns, answers, results, strict=True)]
    return {"conversationTurns": told}


def _turn(
    raw: Mapping[str, Any], source: AnswerSource, model: str | None, answer: TurnAnswer, results: Sequence[MetricResult]
) -> dict[str, Any]:
    scores = _scores(results)
    told: dict[str, Any] = {
        "inputRecord": {name: value for name, value in raw.items() if name != "output"},
        "output": raw["output"] if source.kind.is_given else _output(source, model, answer),
        "results": scores["scores"],
    }
    if UNGRADED in scores:
        told[UNGRADED] = scores[UNGRADED]
    return told if answer.error is None else {**told, ERROR: answer.error}


def _output(source: AnswerSource, model: str | None, answer: TurnAnswer) -> dict[str, Any]:
    found: dict[str, Any] = {"knowledgeBaseIdentifier": source.identifier}
    results = {"retrievalResults": list(answer.passages)}
    if not source.kind.has_answers:
        return {**found, "retrievedResults": results}
    if model is not None:
        found["modelIdentifier"] = model
    if answer.text is not None:
        found["text"] = answer.text
    return {**found, "retrievedPassages": results, "citations": list(answer.citations)}


def _scores(results: Sequence[MetricResult]) -> dict[str, Any]:
    graded = [each for each in results if each.value is not None]
    told: dict[str, Any] = {"scores": [_score(each) for each in graded]}
    if len(graded) < len(results):
        told[UNGRADED] = [_score(each) for each in results if each.value is None]
    return told


def _score(result: MetricResult) -> dict[str, Any]:
    told: dict[str, Any] = {"metricName": result.shown_name}
    if result.value is not None:
        told["result"] = result.value
    if result.judge is not None:
        told["evaluatorDetails"] = [{"modelIdentifier": result.judge, "explanation": result.explanation}]
    elif result.value is None:
        told["explanation"] = result.explanation
    return told


def _model_name(source: AnswerSource) -> str:
    """A model as it stands in keys: the end of its ARN, or its id."""
    return source.identifier.rsplit("/", 1)[-1]


def _definition(metric: CustomMetric) -> dict[str, Any]:
    """A metric in the form of Bedrock's console."""
    told: dict[str, Any] = {"metricName": metric.name, "instructions": metric.instructions}
    if metric.scale:
        told["ratingScale"] = [
            {
                "definition": each.label,
                "value": {"stringValue" if isinstance(each.value, str) else "floatValue": each.value},
            }
            for each in metric.scale
        ]
    return told
