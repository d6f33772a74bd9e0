"""The learning rate as a function of the step."""

import math
from typing import Literal

Schedule = Literal["linear", "cosine", "constant"]


def learning_rate(step: int, *, steps: int, warmup_steps: int, peak: float, schedule: Schedule = "linear") -> float:
    """Rises over the warmup to `peak`, then falls by the schedule; the step after the last one would have 0.

    Falling to nothing costs little on many steps and helps on few, where a constant rate ends in its own noise.
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    left = (steps - step) / (steps - warmup_steps)
    match schedule:
        case "linear":
            return peak * left
        case "cosine":
            return peak * (1 - math.cos(math.pi * left)) / 2
        case "constant":
            return peak


def after_warmup(schedule: Schedule) -> str:
    """The course of the learning rate after warmup, in words."""
    falls = {"linear": "falling evenly to 0", "cosine": "falling to 0 along a cosine", "constant": "constant"}
    return falls[schedule]


def effective_warmup(warmup_steps: int, *, steps: int) -> int:
    """The warmup steps of a run, never more than half of it.

    The defaults are made for long runs, and a rate that only rises trains badly.
    """
    return min(warmup_steps, steps // 2)
