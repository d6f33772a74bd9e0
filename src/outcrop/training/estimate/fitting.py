"""Whether a run fits into the memory that is free, and what to change where it does not."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from outcrop.errors import Invalid
from outcrop.network.adapters.method import Full
from outcrop.network.run_mode import RunMode
from outcrop.training.estimate.memory import gib
from outcrop.training.estimate.requirements import Estimate, Lengths, memory_needed
from outcrop.training.estimate.workload import parallelism_of
from outcrop.training.task import TrainingHyper

_LEAST_BUDGET = 64


def check(
    name: str,
    found: Estimate,
    folder: Path,
    lengths: Lengths,
    hyper: TrainingHyper,
    *,
    free: int,
    way: RunMode = RunMode.PACKED,
) -> None:
    """Raises Invalid where the run needs more than `free` bytes, with what would make it fit."""
    if found.memory.total > free:
        raise Invalid(
            f"{name}: training needs about {found.memory.to_text()}, and this machine has {gib(free)} free. "
            + _mend(found, _Run(folder, lengths, way), hyper, free)
        )


class _Run(NamedTuple):
    """The network and records of a run, whatever hyperparameters are set."""

    folder: Path
    lengths: Lengths
    way: RunMode


def _mend(found: Estimate, run: _Run, hyper: TrainingHyper, free: int) -> str:
    budget = _fitting(run, hyper, found, free)
    if budget is not None:
        return f"Set outcrop.tokensPerRow to {budget}: it then fits, and what is learned stays the same."
    if _fits(run, replace(hyper, gradient_checkpointing=True), free):
        return (
            "Set outcrop.gradientCheckpointing to true: it then fits, and what is learned stays the same; it takes "
            "up to half as long again."
        )
    if _fits_on_one_thread(run, hyper, found, free):
        return (
            "Start Outcrop with OUTCROP_THREADS=1: it then fits, since every thread holds a gradient; it takes longer."
        )
    if found.memory.rows > found.memory.total / 2:
        longest = max(max(row) for row in found.at_once)
        return f"Shorten the longest records (the longest has {longest:,} tokens), or free some memory."
    other = "outcrop.method lora or " if isinstance(hyper.method, Full) else ""
    return f"Choose {other}a smaller base model, or free some memory."


def _fitting(run: _Run, hyper: TrainingHyper, found: Estimate, free: int) -> int | None:
    """The largest half, quarter, … of the tokens at once with which a run fits in memory. None if no such one does.

    Below the longest record there is nothing to be had: it is computed whole in any case.
    """
    longest = max(run.lengths.training)
    budget = min(hyper.token_budget, found.tokens_at_once) // 2
    while budget >= max(_LEAST_BUDGET, longest):
        # Rows take nearly as much as they have tokens; only what should fit is traced.
        rest = found.memory.total - found.memory.rows
        may_fit = rest + found.memory.rows * budget / found.tokens_at_once <= free
        if may_fit and _fits(run, replace(hyper, token_budget=budget), free):
            return budget
        budget //= 2
    return None


def _fits(run: _Run, hyper: TrainingHyper, free: int) -> bool:
    return memory_needed(run.folder, run.lengths, hyper, run.way).total <= free


def _fits_on_one_thread(run: _Run, hyper: TrainingHyper, found: Estimate, free: int) -> bool:
    """Whether a run fits on one thread. What that saves are gradients, so it is tried only where they would do."""
    if parallelism_of(hyper).replicas == 1 or found.memory.total - found.memory.optimizer > free:
        return False
    return _fits(run, replace(hyper, threads=1), free)
