"""The answers of one model to all questions, and the likelihood of their references, asked many at a time.

What was answered before is taken from where it is kept.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from outcrop.evaluation.answers import AnswerSettings, EvaluatedAnswer, EvaluatedModel, LogProbabilities
from outcrop.evaluation.kept_answers import KeptAnswers
from outcrop.evaluation.questions import Question

AT_ONCE = 32
"Requests in flight: an engine takes as many rows in one step, and the next must be there when one ends."
Result = TypeVar("Result")
Progress = Callable[[int, int], object]
"Told how much of all is done."


def unheard(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class CollectedCost:
    """The cost of asking one model: tokens of everything, kept or asked now, and the seconds of this run."""

    num_asked: int
    "Requests of this run."
    num_kept: int
    "Answers that were there already."
    num_prompt_tokens: int
    num_completion_tokens: int
    seconds: float
    "From the first request of this run to the last answer."


@dataclass(kw_only=True)
class CollectedAnswers:
    """The answers of a model to all questions; where it could not answer, the sentence why."""

    name: str
    answers: list[list[EvaluatedAnswer | str]]
    "Of each question one for each seed; empty lists where nothing is generated."
    likelihoods: list[LogProbabilities | str]
    "Of each question's reference; empty where none is asked for."
    cost: CollectedCost


@dataclass(kw_only=True)
class _Tally:
    total: int
    tell: Progress
    done: int = 0
    num_asked: int = 0
    num_kept: int = 0
    last: float = field(default_factory=time.monotonic)

    def count(self, *, kept: bool) -> None:
        self.done += 1
        self.num_kept += kept
        self.num_asked += not kept
        if not kept:
            self.last = time.monotonic()
        self.tell(self.done, self.total)


async def collect(
    model: EvaluatedModel,
    questions: Sequence[Question],
    settings: AnswerSettings,
    *,
    kept: KeptAnswers | None,
    generates: bool = True,
    scores: bool = True,
    num_seeds: int = 1,
    at_once: int = AT_ONCE,
    progress: Progress = unheard,
) -> CollectedAnswers:
    """Ask everything that was not asked before. Raises Refusal, MachineTrouble where no question can be asked."""
    began = time.monotonic()
    turns = asyncio.Semaphore(at_once)
    seeds = [replace(settings, seed=settings.seed + number) for number in range(num_seeds if generates else 0)]
    tally = _Tally(total=len(questions) * (len(seeds) + scores), tell=progress)

    async def answered(question: Question, one: AnswerSettings) -> EvaluatedAnswer | str:
        found = None if kept is None else kept.answer(question, one)
        if found is None:
            async with turns:
                told = await model.answer(question, one)
            if kept is not None and isinstance(told, EvaluatedAnswer):
                kept.keep_answer(question, one, told)
        tally.count(kept=found is not None)
        return told if found is None else found

    async def scored(question: Question) -> LogProbabilities | str:
        found = None if kept is None else kept.likelihood(question)
        if found is None:
            async with turns:
                told = await model.score_reference(question)
            if kept is not None and isinstance(told, LogProbabilities):
                kept.keep_likelihood(question, told)
        tally.count(kept=found is not None)
        return told if found is None else found

    likelihoods = await _all([scored(question) for question in questions] if scores else [])
    answers = await _all([answered(question, one) for question in questions for one in seeds])
    return CollectedAnswers(
        name=model.name,
        answers=[answers[at * len(seeds) : (at + 1) * len(seeds)] for at in range(len(questions))],
        likelihoods=likelihoods,
        cost=_cost(tally, answers, likelihoods, began),
    )


def _cost(
    tally: _Tally,
    answers: Sequence[EvaluatedAnswer | str],
    likelihoods: Sequence[LogProbabilities | str],
    began: float,
) -> CollectedCost:
    said = [each for each in answers if isinstance(each, EvaluatedAnswer)]
    told = [each for each in likelihoods if isinstance(each, LogProbabilities)]
    return CollectedCost(
        num_asked=tally.num_asked,
        num_kept=tally.num_kept,
        num_prompt_tokens=sum(each.num_prompt_tokens or 0 for each in said)
        + sum(each.num_prompt_tokens + each.num_tokens for each in told),
        num_completion_tokens=sum(each.num_completion_tokens or 0 for each in said),
        seconds=tally.last - began if tally.num_asked else 0.0,
    )


async def _all(works: Sequence[Awaitable[Result]]) -> list[Result]:
    """The results in order; the first failure ends them all, and what was answered by then is kept."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
