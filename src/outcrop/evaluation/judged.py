"""Answers judged by a model: a criterion of Bedrock's name, or which of two answers is better.

judge:Correctness@MODEL     a grade for each answer, from 0 to 1
preference@MODEL            each answer beside the baseline's, in both orders: 1 won, 0 lost, a half for a tie or where
                            the judge changes its mind with the order

What the judge says is kept as any answer is. It is told how often it agrees with itself.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from outcrop.errors import Invalid
from outcrop.evaluation.answers import AnswerSettings, EvaluatedAnswer, EvaluatedModel
from outcrop.evaluation.collecting import AT_ONCE, CollectedAnswers
from outcrop.evaluation.judging import criteria, judge
from outcrop.evaluation.judging.criteria import Criterion
from outcrop.evaluation.judging.judge import JudgedValue
from outcrop.evaluation.judging.material import JudgedMaterial
from outcrop.evaluation.judging.pairs import PairWinner, counted_pairs, judged_pair
from outcrop.evaluation.kept_answers import KeptAnswers
from outcrop.evaluation.questions import Question

JUDGE, PREFERENCE = "judge:", "preference@"
_ASKED = AnswerSettings(max_tokens=400)
_TURNED = 20
"Answers that are judged a second time, with the scale turned round."
_WON = {PairWinner.FIRST: 1.0, PairWinner.SECOND: 0.0, PairWinner.TIE: 0.5, PairWinner.CHANGED: 0.5}
_UNREAD = "The judge's answer names none of the grades."


@dataclass(frozen=True, kw_only=True)
class JudgeMeasure:
    """A measure by a judge: what it is asked, and which model it is."""

    name: str
    "As it is spelled."
    meaning: str
    model: str
    criterion: Criterion | None
    "None: which of two answers is better."

    @property
    def higher_is_better(self) -> bool:
        return self.criterion is None or self.criterion.higher_is_better


@dataclass(frozen=True, kw_only=True)
class JudgedEntries:
    """The values that a judge has given: of each model one for each answer, question by question."""

    values: Mapping[str, Sequence[float | None]]
    why_not: Mapping[str, Sequence[str]]
    note: str
    "How often the judge agrees with itself."


def is_judged(spelling: str) -> bool:
    """Whether a measure's spelling is that of a judge."""
    return spelling.startswith((JUDGE, PREFERENCE))


def find(spelling: str) -> JudgeMeasure:
    """The measure of a spelling. Raises Invalid for a criterion that there is none of, or where no judge is named."""
    asked, at, model = spelling.partition("@")
    if not at or not model:
        raise Invalid(f"{spelling!r} names no judge. Write {JUDGE}Correctness@MODEL.")
    if spelling.startswith(PREFERENCE):
        meaning = f"Share of answers that {model} finds better than the baseline's, ties as halves."
        return JudgeMeasure(name=spelling, meaning=meaning, model=model, criterion=None)
    name = f"Builtin.{asked.removeprefix(JUDGE).removeprefix('Builtin.')}"
    if name not in criteria.OF_MODELS:
        known = ", ".join(each.removeprefix("Builtin.") for each in criteria.OF_MODELS)
        raise Invalid(f"{spelling!r}: {name.removeprefix('Builtin.')} is no criterion. There are: {known}.")
    criterion = criteria.criterion(name)
    meaning = f"By {model}, from 0 to 1: {criterion.asks.split('. ')[0]}."
    return JudgeMeasure(name=spelling, meaning=meaning, model=model, criterion=criterion)


async def judged(
    measure: JudgeMeasure,
    model: EvaluatedModel,
    questions: Sequence[Question],
    collected: Sequence[CollectedAnswers],
    *,
    kept: KeptAnswers | None,
    at_once: int = AT_ONCE,
) -> JudgedEntries:
    """The values of all answers. Raises Refusal where the judge cannot be asked at all."""
    asking = _Judge(model, kept, asyncio.Semaphore(at_once))
    if measure.criterion is None:
        return await _preferred(asking, questions, collected)
    return await _graded(asking, measure.criterion, questions, collected)


class _Judge:
    """A judge that is asked each prompt once, whenever that was."""

    def __init__(self, model: EvaluatedModel, kept: KeptAnswers | None, turns: asyncio.Semaphore) -> None:
        self._model = model
        self._kept = kept
        self._turns = turns

    async def ask(self, prompt: str) -> str:
        question = Question(id="judged", line=0, messages=({"role": "user", "content": prompt},))
        found = None if self._kept is None else self._kept.answer(question, _ASKED)
        if found is None:
            async with self._turns:
                told = await self._model.answer(question, _ASKED)
            if isinstance(told, str):
                return told  # a refusal, which holds no grade
            if self._kept is not None:
                self._kept.keep_answer(question, _ASKED, told)
            found = told
        return found.text


async def _graded(
    asking: _Judge, criterion: Criterion, questions: Sequence[Question], collected: Sequence[CollectedAnswers]
) -> JudgedEntries:
    async def value(question: Question, answer: EvaluatedAnswer | str) -> JudgedValue:
        if isinstance(answer, str):
            return JudgedValue(value=None, explanation=answer)
        return await judge.judged(criterion, _material(question, answer), asking.ask)

    values: dict[str, list[float | None]] = {}
    why_not: dict[str, list[str]] = {}
    for each in collected:
        found = await asyncio.gather(*(value(question, answer) for question, answer in _entries(questions, each)))
        values[each.name] = [float(one.value) if isinstance(one.value, int | float) else None for one in found]
        why_not[each.name] = ["" if one.value is not None else _UNREAD for one in found]
    note = await _agreement(asking, criterion, questions, collected)
    return JudgedEntries(values=values, why_not=why_not, note=note)


async def _agreement(
    asking: _Judge, criterion: Criterion, questions: Sequence[Question], collected: Sequence[CollectedAnswers]
) -> str:
    """How often the judge gives some answers the same grade when the scale is turned round."""
    entries = [
        _material(question, answer)
        for each in collected
        for question, answer in islice(_entries(questions, each), _TURNED)
        if isinstance(answer, EvaluatedAnswer)
    ]
    agreed = read = 0
    for material in entries[:_TURNED]:
        (straight,), (turned,) = (judge.prompts_for(criterion, material, is_turned=way) for way in (False, True))
        told = [judge.read(criterion, await asking.ask(each.text)) for each in (straight, turned)]
        grades = [each.grade for each in told if each.grade is not None]
        read += len(grades) == 2
        agreed += len(grades) == 2 and grades[0].value == grades[1].value
    if not read:
        return "The judge could not be read twice, so nothing tells whether it agrees with itself."
    return f"The judge agreed with itself on {agreed} of {read} answers when its scale was turned round."


async def _preferred(
    asking: _Judge, questions: Sequence[Question], collected: Sequence[CollectedAnswers]
) -> JudgedEntries:
    baseline, *others = collected
    theirs = [answer for _, answer in _entries(questions, baseline)]
    values: dict[str, list[float | None]] = {baseline.name: [0.5] * len(theirs)}
    why_not: dict[str, list[str]] = {baseline.name: [""] * len(theirs)}
    pairs = []
    for each in others:
        entries = list(_entries(questions, each))
        found = await asyncio.gather(
            *(
                judged_pair(question.prompt, ours.text, other.text, asking.ask, reference=question.reference)
                for (question, ours), other in zip(entries, theirs, strict=True)
                if isinstance(ours, EvaluatedAnswer) and isinstance(other, EvaluatedAnswer)
            )
        )
        pairs += found
        told = iter(found)
        values[each.name], why_not[each.name] = [], []
        for (_, ours), other in zip(entries, theirs, strict=True):
            both = isinstance(ours, EvaluatedAnswer) and isinstance(other, EvaluatedAnswer)
            value = _WON.get(next(told).winner) if both else None
            values[each.name].append(value)
            why_not[each.name].append("" if value is not None else _UNREAD if both else "One of the two has no answer.")
    counts = counted_pairs(pairs)
    if counts.agreement is None:
        return JudgedEntries(values=values, why_not=why_not, note="The judge could not be read in any pair.")
    note = f"The judge kept its mind in {counts.agreement:.0%} of the pairs when the answers changed places."
    return JudgedEntries(values=values, why_not=why_not, note=note)


def _material(question: Question, answer: EvaluatedAnswer) -> JudgedMaterial:
    return JudgedMaterial(
        question=question.prompt, answer=answer.text, references=question.references, passages=answer.passages
    )


def _entries(
    questions: Sequence[Question], collected: CollectedAnswers
) -> list[tuple[Question, EvaluatedAnswer | str]]:
    """The answers, each with its question: a record, or one of its seeds."""
    return [
        (question, answer) for question, all_of in zip(questions, collected.answers, strict=True) for answer in all_of
    ]
