"""The plan of an evaluation job: data sets with metrics, the sources of the answers, and the judges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from outcrop.evaluation.judging.custom_metric import CustomMetric

MOST_RECORDS = 1000
"Lines of all data sets of a job together, as Bedrock's."
PROGRAMMATIC = ("Builtin.Accuracy", "Builtin.Robustness", "Builtin.Toxicity")
"Metrics that are computed without a judge."
COMPUTED_TASKS = ("Summarization", "Classification", "QuestionAndAnswer", "Generation")
TASK_TYPES = (*COMPUTED_TASKS, "Custom", "General")
"General is what judge jobs are sent with; the service model does not list it."


class Application(StrEnum):
    """The subject of an evaluation job."""

    MODELS = "ModelEvaluation"
    RETRIEVAL = "RagEvaluation"


class SourceKind(StrEnum):
    """The way in which answers come about."""

    MODEL = "model"
    GIVEN = "given answers"
    RETRIEVE = "retrieve"
    RETRIEVE_AND_GENERATE = "retrieve and generate"
    GIVEN_RETRIEVAL = "given passages"
    GIVEN_GENERATION = "given answers from passages"

    @property
    def is_given(self) -> bool:
        """Whether the data brings the answers along, and nobody is asked."""
        return self in (SourceKind.GIVEN, SourceKind.GIVEN_RETRIEVAL, SourceKind.GIVEN_GENERATION)

    @property
    def has_answers(self) -> bool:
        """Whether there are answers, and not passages alone."""
        return self not in (SourceKind.RETRIEVE, SourceKind.GIVEN_RETRIEVAL)


@dataclass(frozen=True, kw_only=True)
class AnswerSource:
    """The thing that is evaluated: a model, a knowledge base, or answers that were brought."""

    kind: SourceKind
    identifier: str
    "A model's as the request has it, a knowledge base's id, or the name that the customer gave the source."
    params: Mapping[str, Any] = field(default_factory=dict)
    "Of a model: members of a Converse request. Of a knowledge base: those of the operation, less the question."


@dataclass(frozen=True, kw_only=True)
class EvaluatedDataset:
    """A data set with the task that it stands for, and the metrics that are wanted of it."""

    task_type: str
    name: str
    uri: str
    metrics: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """Everything that a job is to do."""

    application: Application
    datasets: tuple[EvaluatedDataset, ...]
    sources: tuple[AnswerSource, ...]
    judge: str | None
    "The judge of Bedrock's criteria, by its identifier."
    custom_metrics: Mapping[str, CustomMetric]
    custom_judge: str | None
    "The judge of the customer's metrics."

    def judge_of(self, metric: str) -> str | None:
        """The identifier of the model that judges a metric; None for one that is computed."""
        if metric in PROGRAMMATIC:
            return None
        return self.custom_judge if metric in self.custom_metrics else self.judge
