"""The results of an evaluation job, out of its journal: values for each turn, lines of output, and their summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.evaluation.automated.accuracy import AccuracyMeasure
from outcrop.evaluation.automated.robustness import disturbed
from outcrop.evaluation.jobs.answering import ROBUSTNESS, AnswerKey, TurnAnswer, kept_answer
from outcrop.evaluation.jobs.computing import computed
from outcrop.evaluation.jobs.grading import Grading, SelfAgreement, graded_turns
from outcrop.evaluation.jobs.journal import AskedJournal
from outcrop.evaluation.jobs.outputs import MetricResult, model_line, retrieval_line
from outcrop.evaluation.jobs.plan import PROGRAMMATIC, Application, EvaluationPlan, SourceKind
from outcrop.evaluation.jobs.records import EvaluationRecord
from outcrop.evaluation.jobs.summary import SummedDataset, SummedMetric

NO_ANSWER = "There is no answer."
_Place = tuple[int, int]
"A record's place in its data set, and that of a turn in it."


@dataclass(frozen=True, kw_only=True)
class JobResults:
    """All that one source came to on one data set."""

    plan: EvaluationPlan
    source: int
    dataset: int
    records: Sequence[EvaluationRecord]
    journal: AskedJournal
    grading: Grading
    models: Mapping[str, str]
    "ARNs by the identifiers of the request."
    measure: AccuracyMeasure

    def answer(self, record: EvaluationRecord, turn: int = 0, variant: str = "") -> TurnAnswer:
        key = AnswerKey(source=self.source, dataset=self.dataset, line=record.line, turn=turn, variant=variant)
        return kept_answer(self.journal, key, self.plan.sources[self.source], record)

    def summed(self) -> SummedDataset:
        """The values of every metric, over all turns."""
        answers = [self.answer(record, turn) for record in self.records for turn in range(len(record.turns))]
        return SummedDataset(
            source=self.plan.sources[self.source],
            dataset=self.plan.datasets[self.dataset],
            num_records=len(self.records),
            num_answered=sum(each.error is None for each in answers),
            metrics=[self._metric(name) for name in self.plan.datasets[self.dataset].metrics],
        )

    def lines(self, summed: SummedDataset) -> list[dict[str, Any]]:
        """The lines of output, in the order of the records."""
        source = self.plan.sources[self.source]
        by_turn = list(zip(*(each.results for each in summed.metrics), strict=True))
        found, start = list[dict[str, Any]](), 0
        for record in self.records:
            own = by_turn[start : start + len(record.turns)]
            start += len(record.turns)
            answers = [self.answer(record, turn) for turn in range(len(record.turns))]
            if self.plan.application is Application.MODELS:
                arn = self.models.get(source.identifier, source.identifier)
                found.append(model_line(record, source, arn, answers[0], own[0]))
            else:
                found.append(retrieval_line(record, source, self._writer(), answers, own))
        return found

    def _metric(self, name: str) -> SummedMetric:
        return self._computed(name) if name in PROGRAMMATIC else self._judged(name)

    def _computed(self, name: str) -> SummedMetric:
        answers = [self.answer(record) for record in self.records]
        found = computed(
            name, self.plan.datasets[self.dataset], self.records, answers, self._disturbed(name), self.measure
        )
        return SummedMetric(
            metric=name,
            results=[MetricResult(metric=name, value=each.value, explanation=each.why_not) for each in found.values],
            categories=[record.category for record in self.records],
            told=found.told,
            beside={score: [each.value for each in values] for score, values in found.beside.items()},
        )

    def _disturbed(self, name: str) -> list[list[TurnAnswer]]:
        if name != ROBUSTNESS:
            return [[] for _ in self.records]
        return [
            [self.answer(record, variant=each.kind) for each in disturbed(record.turns[0].question)]
            for record in self.records
        ]

    def _judged(self, name: str) -> SummedMetric:
        judge = self.plan.judge_of(name)
        assert judge is not None, "metrics without a judge were refused"
        agreement, found, num_unread = SelfAgreement(), dict[tuple[int, int], MetricResult](), 0
        for turn in graded_turns(self.plan, self.source, self.dataset, self.records, self.journal, name):
            value = self.grading.value(turn)
            num_unread += value.num_unread
            if turn.is_asked_again:
                self.grading.add_agreement(turn, agreement)
            found[turn.key.line, turn.key.turn] = MetricResult(
                metric=name, value=value.value, explanation=value.explanation, judge=self.models[judge]
            )
        nothing = MetricResult(metric=name, value=None, explanation=NO_ANSWER, judge=self.models[judge])
        places = [(record, turn) for record in self.records for turn in range(len(record.turns))]
        return SummedMetric(
            metric=name,
            results=[found.get((record.line, turn), nothing) for record, turn in places],
            categories=[record.category for record, _ in places],
            judge=self.models[judge],
            agreement=agreement,
            num_unread=num_unread,
        )

    def _writer(self) -> str | None:
        """The model that writes a knowledge base's answers."""
        source = self.plan.sources[self.source]
        if source.kind is not SourceKind.RETRIEVE_AND_GENERATE:
            return None
        base = source.params["retrieveAndGenerateConfiguration"]["knowledgeBaseConfiguration"]
        return self.models[base["modelArn"]]
