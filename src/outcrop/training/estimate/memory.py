"""How much memory a run holds at its peak, by what it is for.

Rows are traced (tracing.py), so what autograd keeps is counted and not guessed; the rest is counted here: the weights,
what the optimizer holds, a gradient for each replica, the copies that checkpoints and the best weights so far are.
Replicas share all weights. On a GPU, what it holds itself is counted; checkpoints and the process are the host's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.training.estimate.tracing import Cost

PROCESS_BYTES = 560_000_000
"""Interpreter, torch, transformers, a tokenizer, the libraries that the first step loads, and holes in the heap: what
the runs of bench/estimates.py hold beside what is counted, on Linux."""
_GIB = 2**30
_FP32 = 4
_MOMENTS = 2
_CHECKPOINT = 3
"Of what learns: itself and two moments, copied while the last ones are being written."


@dataclass(frozen=True, kw_only=True)
class PeakMemory:
    """The memory of a training run when it holds most, in bytes by purpose."""

    weights: int
    "The network, and what learns beside it."
    optimizer: int
    "Moments of what learns, and its gradient, once for each replica."
    copies: int
    "The best weights so far, and a checkpoint on its way to the disk."
    rows: int
    "Of the rows that are under way together: what their forward passes keep and their backward passes make."
    process: int = PROCESS_BYTES

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.copies + self.rows + self.process

    def to_text(self) -> str:
        return (
            f"{gib(self.total)} = {gib(self.weights)} weights + {gib(self.optimizer)} optimizer + "
            f"{gib(self.copies)} copies + {gib(self.rows)} rows at once + {gib(self.process)} process"
        )


@dataclass(frozen=True, kw_only=True)
class Holding:
    """The contents of a training run's memory beside the network."""

    replicas: int
    own_weights: bool
    "Whether the network's own weights learn."
    validated: bool
    "Whether the best weights by validation loss are kept."
    on_gpu: bool = False


def memory_of(cost: Cost, peaks: Sequence[float], holding: Holding) -> PeakMemory:
    """`cost` of any row; `peaks` of those that are under way together."""
    learned = cost.trained * _FP32
    best = learned if holding.validated else 0
    return PeakMemory(
        weights=round(cost.weights + (0 if holding.own_weights else learned)),
        optimizer=round((_MOMENTS + holding.replicas) * learned),
        copies=round(best + (0 if holding.on_gpu else _CHECKPOINT * learned)),
        rows=round(sum(peaks)),
        process=0 if holding.on_gpu else PROCESS_BYTES,
    )


def gib(num_bytes: float) -> str:
    return f"{num_bytes / _GIB:.2f} GiB"
