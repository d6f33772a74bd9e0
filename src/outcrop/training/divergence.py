"""When a run has gone wrong for good, told apart from a hard batch.

A single high loss says little: batches differ. A run has diverged when a loss or gradient is no finite number, or when
the mean loss of the last WINDOW steps lies above that of the first WINDOW by more than RISE nats and by more than six
times the standard error of such a difference. Adam ruins a network without making its numbers large: it ends up giving
every token its mere frequency, so neither a norm nor a bound on the loss alone would show it.
"""

import math
import statistics
from collections.abc import Sequence

from outcrop.errors import Refusal
from outcrop.training.metrics import StepMetrics

WINDOW = 16
RISE = 1.5
"Nats a token: the perplexity is then 4.5 times that of the beginning."
_STANDARD_ERRORS = 6


class DivergedError(Refusal):
    """A training run diverged: what was trained is worse than what training began with."""

    checkpoint: str | None = None
    "Name of the model checkpoint that holds the last good weights."


def demand_finite(loss: float, *, step: int, rate: float, grad_norm: float = 0.0) -> None:
    """Raises DivergedError for NaN and infinity."""
    if math.isfinite(loss) and math.isfinite(grad_norm):
        return
    broken = "gradient" if math.isfinite(loss) else "loss"
    raise DivergedError(
        f"step {step}: the {broken} is no finite number any more (loss {loss:g}, gradient norm {grad_norm:g}, learning "
        f"rate {rate:g}). Choose a smaller learningRate or more warmup steps."
    )


def demand_no_rise(steps: Sequence[StepMetrics]) -> None:
    """Raises DivergedError when the loss has risen for good; see the module."""
    if len(steps) < 2 * WINDOW:
        return
    last, recent = steps[-1], _mean(steps[-WINDOW:])
    if recent <= _limit(steps):
        return
    raise DivergedError(
        f"step {last.step}: training diverges. The loss of the last {WINDOW} steps is {recent:.2f} nats a token in the "
        f"mean, that of the first {WINDOW} was {_mean(steps[:WINDOW]):.2f} (gradient norm {last.grad_norm:.3g}, "
        f"learning rate {last.learning_rate:g}). Choose a smaller learningRate, a tenth to begin with, or more warmup "
        "steps."
    )


def is_suspicious(steps: Sequence[StepMetrics]) -> bool:
    """Whether the last step's loss is one that, met WINDOW times, ends the run: no moment for a checkpoint."""
    return len(steps) > WINDOW and not steps[-1].loss <= _limit(steps)


def good_steps(steps: Sequence[StepMetrics]) -> int:
    """The most steps after which the weights were still good: the last whose loss, measured next, was in bounds."""
    limit = _limit(steps)
    return next((step.step for step in reversed(steps) if step.loss <= limit), 0)


def _limit(steps: Sequence[StepMetrics]) -> float:
    beginning = [step.loss for step in steps[:WINDOW]]
    standard_error = math.sqrt(2 / WINDOW) * (statistics.stdev(beginning) if len(beginning) > 1 else 0.0)
    return _mean(steps[:WINDOW]) + max(RISE, _STANDARD_ERRORS * standard_error)


def _mean(steps: Sequence[StepMetrics]) -> float:
    return sum(step.loss for step in steps) / len(steps) if steps else 0.0
