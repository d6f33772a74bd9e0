"""Robustness of answers: how much a model's score falls, or its answer changes, when prompts are disturbed a little.

Of Generation it is the mean word error rate of the answers to disturbed prompts against the answer to the prompt; of
other tasks the accuracy lost, in percent of the accuracy. Low values are good, as with Bedrock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.evaluation.automated.word_errors import word_error_rate
from outcrop.evaluation.scores import perturbations
from outcrop.evaluation.scores.scoring import ScoreValue

NOTHING_TO_LOSE = "The answer to the undisturbed prompt scores 0, so that there is nothing to lose."
_NO_VARIANT = "No way of disturbing changes this prompt."


@dataclass(frozen=True, kw_only=True)
class DisturbedPrompt:
    """A prompt disturbed in one way."""

    kind: str
    text: str


def disturbed(prompt: str) -> list[DisturbedPrompt]:
    """The variants of a prompt, the same ones each time."""
    return [DisturbedPrompt(kind=kind, text=text) for kind, text in perturbations.perturbations(prompt).items()]


def of_scores(value: float | None, of_disturbed: Sequence[float | None]) -> ScoreValue:
    """The robustness of one record from the scores of its answers."""
    others = [each for each in of_disturbed if each is not None]
    if not others:
        return ScoreValue(value=None, why_not=_NO_VARIANT)
    if not value:
        return ScoreValue(value=None, why_not=NOTHING_TO_LOSE)
    return ScoreValue(value=100 * perturbations.lost(value, others) / value, details={"variants": float(len(others))})


def of_answers(answer: str, of_disturbed: Sequence[str]) -> ScoreValue:
    """The robustness of one record from its answers themselves."""
    if not of_disturbed:
        return ScoreValue(value=None, why_not=_NO_VARIANT)
    rates = [word_error_rate(answer, other) for other in of_disturbed]
    return ScoreValue(value=sum(rates) / len(rates), details={"variants": float(len(rates))})
