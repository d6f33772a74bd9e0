"""The grades of an evaluation job's judges: what they are asked, what they said, and the value of each turn.

Every so many records a judge is asked again with its scale turned round. That tells how often it agrees with itself;
what it says the second time changes no value.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.errors import OutcropError
from outcrop.evaluation.jobs.answering import AnswerKey, TurnAnswer, kept_answer
from outcrop.evaluation.jobs.asking import AskedModel
from outcrop.evaluation.jobs.journal import AskedJournal
from outcrop.evaluation.jobs.plan import PROGRAMMATIC, EvaluationPlan
from outcrop.evaluation.jobs.records import EvaluationRecord
from outcrop.evaluation.jobs.retrieval_records import EvaluationTurn
from outcrop.evaluation.judging import criteria
from outcrop.evaluation.judging.judge import (
    JudgedValue,
    JudgePrompt,
    Metric,
    can_be_turned,
    prompts_for,
    read,
    value_of,
)
from outcrop.evaluation.judging.material import CitedClaim, JudgedMaterial

JUDGE_TOKENS = 400
"Of a judge's answer: a reason in two sentences, and the grade."
ASKED_AGAIN = 20
"Records of a data set, at most, about which a judge is asked a second time."


@dataclass(frozen=True, kw_only=True)
class GradedTurn:
    """A turn that a judge grades by one metric."""

    metric: str
    key: AnswerKey
    material: JudgedMaterial
    is_asked_again: bool

    def unit_key(self, unit: int, *, is_turned: bool = False) -> str:
        """The journal's key of a judge's answer."""
        turned = ":turned" if is_turned else ""
        return f"judge:{self.metric}:{self.key}:{unit}{turned}"


@dataclass(kw_only=True)
class SelfAgreement:
    """How often a judge gives the same grade when it is asked a second time."""

    pairs: int = 0
    "Of answers that could both be read."
    equal: int = 0

    @property
    def share(self) -> float | None:
        return self.equal / self.pairs if self.pairs else None


def metric_named(plan: EvaluationPlan, name: str) -> Metric:
    """The criterion, or the customer's own metric, with this name."""
    return plan.custom_metrics[name] if name in plan.custom_metrics else criteria.criterion(name)


def judged_metrics(metrics: tuple[str, ...]) -> list[str]:
    """The metrics that a judge grades, of these."""
    return [each for each in metrics if each not in PROGRAMMATIC]


def material_of(turn: EvaluationTurn, answer: TurnAnswer) -> JudgedMaterial:
    """The material of a turn that a judge may be shown."""
    return JudgedMaterial(
        question=turn.question,
        answer=answer.text or "",
        references=turn.references,
        passages=answer.passage_texts,
        reference_passages=turn.reference_passages,
        claims=tuple(_claims(answer.citations)),
    )


def _claims(citations: tuple[Mapping[str, Any], ...]) -> Iterator[CitedClaim]:
    for each in citations:
        part = (each.get("generatedResponsePart") or {}).get("textResponsePart") or {}
        if str(part.get("text", "")).strip():
            references = each.get("retrievedReferences") or ()
            yield CitedClaim(text=part["text"], passages=tuple(str(one["content"]["text"]) for one in references))


def graded_turns(
    plan: EvaluationPlan,
    source: int,
    dataset: int,
    records: Sequence[EvaluationRecord],
    journal: AskedJournal,
    metric: str,
) -> Iterator[GradedTurn]:
    """The turns of one source and data set that a judge grades by one metric: those with an answer."""
    every = max(1, len(records) // ASKED_AGAIN)
    for place, record in enumerate(records):
        for number, turn in enumerate(record.turns):
            key = AnswerKey(source=source, dataset=dataset, line=record.line, turn=number)
            answer = kept_answer(journal, key, plan.sources[source], record)
            if answer.error is None:
                yield GradedTurn(
                    metric=metric, key=key, material=material_of(turn, answer), is_asked_again=place % every == 0
                )


class Grading:
    """The grades of one job."""

    def __init__(self, plan: EvaluationPlan, journal: AskedJournal, judges: Mapping[str, AskedModel]) -> None:
        """`judges` are found by their identifiers in the request."""
        self._plan = plan
        self._journal = journal
        self._judges = judges

    def missing(self, turn: GradedTurn) -> list[Callable[[], Awaitable[None]]]:
        """The questions that its judge has not been asked yet, each as a function that asks."""
        metric = metric_named(self._plan, turn.metric)
        found: list[Callable[[], Awaitable[None]]] = []
        for is_turned in (False, True) if turn.is_asked_again and can_be_turned(metric) else (False,):
            for unit, prompt in enumerate(prompts_for(metric, turn.material, is_turned=is_turned)):
                key = turn.unit_key(unit, is_turned=is_turned)
                if prompt.counts is None and key not in self._journal:
                    found.append(self._asking(turn.metric, key, prompt))
        return found

    def value(self, turn: GradedTurn) -> JudgedValue:
        """The value of a turn, all of whose questions were asked."""
        metric = metric_named(self._plan, turn.metric)
        prompts = prompts_for(metric, turn.material)
        told = [self._journal.get(turn.unit_key(unit)) for unit, each in enumerate(prompts) if each.counts is None]
        errors = [each["error"] for each in told if each is not None and "error" in each]
        if errors:
            explanation = f"The judge could not be asked: {errors[0]}"
            return JudgedValue(value=None, explanation=explanation, num_unread=len(errors))
        return value_of(metric, prompts, [str(each["told"]) for each in told if each is not None])

    def add_agreement(self, turn: GradedTurn, agreement: SelfAgreement) -> None:
        """Count the pairs of answers that a judge gave about the same thing."""
        metric = metric_named(self._plan, turn.metric)
        for unit, _ in enumerate(prompts_for(metric, turn.material)):
            both = [self._journal.get(turn.unit_key(unit, is_turned=turned)) for turned in (False, True)]
            if any(each is None or "told" not in each for each in both):
                continue
            grades = [read(metric, str(each["told"])).grade for each in both if each is not None]
            if grades[0] is not None and grades[1] is not None:
                agreement.pairs += 1
                agreement.equal += grades[0].label == grades[1].label

    def _asking(self, metric: str, key: str, prompt: JudgePrompt) -> Callable[[], Awaitable[None]]:
        identifier = self._plan.judge_of(metric)
        assert identifier is not None, "metrics without a judge were refused"
        judge = self._judges[identifier]

        async def ask() -> None:
            said = await judge.say(
                {
                    "messages": [{"role": "user", "content": [{"text": prompt.text}]}],
                    "inferenceConfig": {"temperature": 0.0, "maxTokens": JUDGE_TOKENS},
                }
            )
            entry = {"error": said.message} if isinstance(said, OutcropError) else {"told": said.text}
            self._journal.add(key, entry)

        return ask
