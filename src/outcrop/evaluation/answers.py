"""Answers of an evaluated model, and how likely it holds a reference, whatever way it is asked.

Through HTTP it is asked by `asking_api.py`, under a job's role by `asking_house.py`; `kept_answers.py` keeps both from
asking anything twice.
"""

from dataclasses import dataclass
from typing import Protocol

from outcrop.evaluation.questions import Question


@dataclass(frozen=True, kw_only=True)
class AnswerSettings:
    """How questions are asked."""

    max_tokens: int = 256
    temperature: float = 0.0
    "0 is greedy: then one answer is all there is to have."
    top_p: float = 1.0
    seed: int = 0
    "Each answer to a question has a seed of its own, from this one on."


@dataclass(frozen=True, kw_only=True)
class EvaluatedAnswer:
    """The answer of a model to one question, with what it took."""

    text: str
    num_prompt_tokens: int | None
    "None where nobody tells it, as of a knowledge base."
    num_completion_tokens: int | None
    stop_reason: str
    "As the way of asking tells it: stop, length, end_turn, max_tokens."
    seconds: float
    "From the request to the whole answer, other requests beside it."
    passages: tuple[str, ...] = ()
    "Texts that were retrieved for it, where a knowledge base answers."


@dataclass(frozen=True, kw_only=True)
class LogProbabilities:
    """How likely a model holds a reference, after its question: the sum of its tokens' log probabilities, in nats."""

    nats: float
    "Negative; the end-of-sequence token counts too, as in training."
    num_tokens: int
    num_bytes: int
    "Of the reference's UTF-8."
    seconds: float = 0.0
    num_prompt_tokens: int = 0
    "Of the question before it."


class EvaluatedModel(Protocol):
    """A model as evaluations see it, be it base, custom, a deployment, remote, or behind a knowledge base."""

    @property
    def name(self) -> str:
        """The name by which reports call it."""
        ...

    async def answer(self, question: Question, settings: AnswerSettings) -> EvaluatedAnswer | str:
        """The answer; a sentence where the question itself cannot be asked. Raises Refusal where no question can."""
        ...

    async def score_reference(self, question: Question) -> LogProbabilities | str:
        """The likelihood of the first reference, or a sentence why it cannot be told."""
        ...
