"""The learning rate as a function of the step."""


def learning_rate(step: int, *, steps: int, warmup_steps: int, peak: float) -> float:
    """Rises over the warmup to `peak`, then falls evenly; the step after the last one would have 0.

    Falling to nothing costs little on many steps and helps on few, where a constant rate ends in its own noise.
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    return peak * (steps - step) / (steps - warmup_steps)


def effective_warmup(warmup_steps: int, *, steps: int) -> int:
    """Never more than half of a run: the defaults are made for long ones, and a rate that only rises trains badly."""
    return min(warmup_steps, steps // 2)
