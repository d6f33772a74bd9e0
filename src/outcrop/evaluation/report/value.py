"""The report of a comparison: models on the same questions, by measures, with intervals and verdicts that can say no.

Plain values. `building.py` makes it of answers; `as_text.py`, `as_json.py` and `as_html.py` show it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from outcrop.evaluation.answers import AnswerSettings
from outcrop.evaluation.collecting import CollectedCost
from outcrop.evaluation.questions import Question
from outcrop.evaluation.statistics.comparing import ScoreDifference
from outcrop.evaluation.statistics.intervals import MeanEstimate


@dataclass(frozen=True, kw_only=True)
class MeasureReport:
    """A measure over all models."""

    name: str
    meaning: str
    higher_is_better: bool | None
    is_share: bool
    means: Mapping[str, MeanEstimate | None]
    "By model; None where no record has a value."
    whole: Mapping[str, float] = field(default_factory=dict)
    "By model: the value of all answers together, where it is no mean of the records' (BLEU, chrF)."
    differences: tuple[ScoreDifference, ...] = ()
    "Each model against each that stands before it, those against the first before all others."
    categories: Mapping[str, Mapping[str, MeanEstimate | None]] = field(default_factory=dict)
    category_differences: Mapping[str, tuple[ScoreDifference, ...]] = field(default_factory=dict)
    "Each model against the first, by category."
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    "By model: why records have no value, and how many."
    note: str = ""
    "What a reader must know, such as why there are no differences."


@dataclass(frozen=True, kw_only=True)
class RecordReport:
    """A question with what every model made of it."""

    question: Question
    answers: Mapping[str, tuple[str, ...]]
    "By model, one for each seed."
    values: Mapping[str, Mapping[str, float]]
    "By measure and model, the mean over seeds; without those that have none."


@dataclass(frozen=True, kw_only=True)
class FoundRecord:
    """A test record that stands in a model's training data, or nearly so."""

    id: str
    "Of the question."
    likeness: float
    "1 where it is the same record."
    where: str
    "The file and the line in the training data."


@dataclass(frozen=True, kw_only=True)
class LearnedFrom:
    """The test records that were found in the training data of one custom model."""

    model: str
    "The custom model that learned from the data: the compared one, or one above it."
    compared: str
    "The compared model."
    num_records: int
    "Training records that were looked through; 0 where they could not be."
    found: tuple[FoundRecord, ...]
    note: str = ""
    "What could not be looked at, and why."


@dataclass(frozen=True, kw_only=True)
class ContaminationReport:
    """Whether models have learned from the test records."""

    learned: tuple[LearnedFrom, ...]
    notes: tuple[str, ...] = ()
    "Models whose data nobody here knows."

    @property
    def ids(self) -> frozenset[str]:
        """The test records that some model has seen."""
        return frozenset(each.id for source in self.learned for each in source.found)


@dataclass(frozen=True, kw_only=True)
class ComparisonReport:
    """A comparison of models on one file of questions."""

    name: str
    "The file's."
    digest: str
    "SHA-256 of all questions, in order."
    created: datetime
    models: tuple[str, ...]
    "The first is the baseline."
    settings: AnswerSettings
    num_seeds: int
    num_questions: int
    categories: Mapping[str, int]
    "With the number of their questions."
    measures: tuple[MeasureReport, ...]
    records: tuple[RecordReport, ...]
    costs: Mapping[str, CollectedCost]
    general: MeasureReport | None = None
    "The forgetting check: texts that have nothing to do with the task."
    general_name: str = ""
    num_general: int = 0
    contamination: ContaminationReport | None = None
