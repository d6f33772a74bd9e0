"""A report made of what models have answered: values of each record, means, differences, categories."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from outcrop.evaluation.answers import AnswerSettings, EvaluatedAnswer, LogProbabilities
from outcrop.evaluation.collecting import CollectedAnswers
from outcrop.evaluation.judged import JudgedEntries, JudgeMeasure
from outcrop.evaluation.measures import LOSS, LikelihoodMeasure, Measure
from outcrop.evaluation.questions import Question
from outcrop.evaluation.report.value import ComparisonReport, ContaminationReport, MeasureReport, RecordReport
from outcrop.evaluation.scores.scoring import Candidate, TextScore
from outcrop.evaluation.statistics.comparing import ScoreDifference, compare
from outcrop.evaluation.statistics.intervals import MeanEstimate, estimate

_NOTHING: Mapping[str, JudgedEntries] = {}
_OTHER_TOKENS = "The models make different tokens of a text, so their losses are not compared; bits per byte are."


@dataclass(kw_only=True)
class _ModelValues:
    """The values of one measure for one model, entry by entry: a record, or one of its seeds."""

    values: list[float | None]
    why_not: list[str]
    "Of each entry; empty where there is a value."
    weights: list[float] | None = None
    whole: float | None = None


def report_of(
    questions: Sequence[Question],
    collected: Sequence[CollectedAnswers],
    measures: Sequence[Measure | JudgeMeasure],
    *,
    name: str,
    settings: AnswerSettings,
    num_seeds: int,
    created: datetime,
    general: tuple[str, Sequence[Question], Sequence[CollectedAnswers], LikelihoodMeasure] | None = None,
    contamination: ContaminationReport | None = None,
    judged: Mapping[str, JudgedEntries] = _NOTHING,
) -> ComparisonReport:
    """The report on all models; the first of `collected` is the baseline.

    `judged` has the values of judges, by the measure's name.
    """
    told = [_MeasureValues.of(questions, collected, measure, num_seeds, judged) for measure in measures]
    models = tuple(each.name for each in collected)
    categories = Counter(question.category for question in questions if question.category is not None)
    return ComparisonReport(
        name=name,
        digest=hashlib.sha256("".join(question.digest for question in questions).encode()).hexdigest(),
        created=created,
        models=models,
        settings=settings,
        num_seeds=num_seeds,
        num_questions=len(questions),
        categories=dict(sorted(categories.items())),
        measures=tuple(each.report() for each in told),
        records=tuple(_records(questions, collected, told)),
        costs={each.name: each.cost for each in collected},
        general=None if general is None else _MeasureValues.of(general[1], general[2], general[3], 1).report(),
        general_name="" if general is None else general[0],
        num_general=0 if general is None else len(general[1]),
        contamination=contamination,
    )


@dataclass(kw_only=True)
class _MeasureValues:
    """A measure of all models, on the way to its report."""

    questions: Sequence[Question]
    measure: Measure | JudgeMeasure
    models: Mapping[str, _ModelValues]
    places: list[int]
    "Of each entry, the place of its question."
    comparable: bool = True
    note: str = ""

    @classmethod
    def of(
        cls,
        questions: Sequence[Question],
        collected: Sequence[CollectedAnswers],
        measure: Measure | JudgeMeasure,
        num_seeds: int,
        judged: Mapping[str, JudgedEntries] = _NOTHING,
    ) -> "_MeasureValues":
        if isinstance(measure, LikelihoodMeasure):
            return cls(
                questions=questions,
                measure=measure,
                models={each.name: _likelihoods(measure, each.likelihoods) for each in collected},
                places=list(range(len(questions))),
                comparable=measure.name != LOSS or _same_tokens(collected),
            )
        places = [at for at in range(len(questions)) for _ in range(num_seeds)]
        if isinstance(measure, JudgeMeasure):
            told = judged[measure.name]
            models = {
                name: _ModelValues(values=list(values), why_not=list(told.why_not[name]))
                for name, values in told.values.items()
            }
            return cls(questions=questions, measure=measure, models=models, places=places, note=told.note)
        return cls(
            questions=questions,
            measure=measure,
            models={each.name: _scores(measure, questions, each.answers) for each in collected},
            places=places,
        )

    @property
    def _clusters(self) -> Sequence[Hashable] | None:
        return self.places if len(self.places) > len(self.questions) else None

    def report(self) -> MeasureReport:
        measure, everywhere = self.measure, range(len(self.places))
        names = list(dict.fromkeys(each.category for each in self.questions if each.category is not None))
        inside = {
            name: [at for at in everywhere if self.questions[self.places[at]].category == name]
            for name in sorted(names)
        }
        return MeasureReport(
            name=measure.name,
            meaning=measure.meaning,
            higher_is_better=measure.higher_is_better,
            is_share=isinstance(measure, TextScore) and measure.is_share,
            means={name: self._mean(name, everywhere) for name in self.models},
            whole={name: each.whole for name, each in self.models.items() if each.whole is not None},
            differences=tuple(self._differences(everywhere)) if self.comparable else (),
            categories={
                category: {name: self._mean(name, places) for name in self.models}
                for category, places in inside.items()
            },
            category_differences={
                category: tuple(self._differences(places, to_first=True)) if self.comparable else ()
                for category, places in inside.items()
            },
            missing={
                name: dict(Counter(why for why in each.why_not if why).most_common())
                for name, each in self.models.items()
                if any(each.why_not)
            },
            note=self.note if self.comparable else _OTHER_TOKENS,
        )

    def of_records(self, model: str) -> list[float | None]:
        """The value of each question, its mean over seeds."""
        found: list[list[float]] = [[] for _ in self.questions]
        for place, value in zip(self.places, self.models[model].values, strict=True):
            if value is not None:
                found[place].append(value)
        return [sum(values) / len(values) if values else None for values in found]

    def _mean(self, name: str, entries: Sequence[int]) -> MeanEstimate | None:
        told = self.models[name]
        clusters = self._clusters
        return estimate(
            [told.values[at] for at in entries],
            is_share=isinstance(self.measure, TextScore) and self.measure.is_share,
            clusters=None if clusters is None else [clusters[at] for at in entries],
            weights=None if told.weights is None else [told.weights[at] for at in entries],
        )

    def _differences(self, entries: Sequence[int], *, to_first: bool = False) -> list[ScoreDifference]:
        pairs = sorted(combinations(self.models, 2), key=lambda pair: pair[0] != next(iter(self.models)))
        first = next(iter(self.models))
        found = [
            self._difference(model, baseline, entries) for baseline, model in pairs if baseline == first or not to_first
        ]
        return [each for each in found if each is not None]

    def _difference(self, model: str, baseline: str, entries: Sequence[int]) -> ScoreDifference | None:
        ours, theirs, clusters = self.models[model], self.models[baseline], self._clusters
        return compare(
            [ours.values[at] for at in entries],
            [theirs.values[at] for at in entries],
            higher_is_better=self.measure.higher_is_better,
            model=model,
            baseline=baseline,
            clusters=None if clusters is None else [clusters[at] for at in entries],
            weights=None if theirs.weights is None else [theirs.weights[at] for at in entries],
        )


def _likelihoods(measure: LikelihoodMeasure, told: Sequence[LogProbabilities | str]) -> _ModelValues:
    return _ModelValues(
        values=[None if isinstance(each, str) else measure.value(each) for each in told],
        why_not=[each if isinstance(each, str) else "" for each in told],
        weights=[1.0 if isinstance(each, str) else measure.weight(each) for each in told],
    )


def _scores(
    score: TextScore, questions: Sequence[Question], answers: Sequence[Sequence[EvaluatedAnswer | str]]
) -> _ModelValues:
    entries = [(question, each) for question, all_of in zip(questions, answers, strict=True) for each in all_of]
    candidates = [_candidate(question, each) for question, each in entries if isinstance(each, EvaluatedAnswer)]
    scored = iter(score.score(candidates))
    values: list[float | None] = []
    why_not: list[str] = []
    for _, each in entries:
        told = next(scored) if isinstance(each, EvaluatedAnswer) else None
        values.append(None if told is None else told.value)
        why_not.append(told.why_not if told is not None else str(each))
    whole = score.corpus(candidates) if score.corpus is not None and candidates else None
    return _ModelValues(values=values, why_not=why_not, whole=whole)


def _candidate(question: Question, answer: EvaluatedAnswer) -> Candidate:
    return Candidate(
        prompt=question.prompt,
        answer=answer.text,
        references=question.references,
        num_answer_tokens=answer.num_completion_tokens,
        category=question.category,
    )


def _same_tokens(collected: Sequence[CollectedAnswers]) -> bool:
    """Whether all models make as many tokens of each reference."""
    for told in zip(*(each.likelihoods for each in collected), strict=True):
        if len({each.num_tokens for each in told if isinstance(each, LogProbabilities)}) > 1:
            return False
    return True


def _records(
    questions: Sequence[Question], collected: Sequence[CollectedAnswers], told: Sequence[_MeasureValues]
) -> Iterator[RecordReport]:
    values = {each.measure.name: {name: each.of_records(name) for name in each.models} for each in told}
    for at, question in enumerate(questions):
        yield RecordReport(
            question=question,
            answers={
                each.name: tuple(one.text for one in each.answers[at] if isinstance(one, EvaluatedAnswer))
                for each in collected
            },
            values={
                measure: {name: value for name, each in of.items() if (value := each[at]) is not None}
                for measure, of in values.items()
            },
        )
