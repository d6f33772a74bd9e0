"""How much memory a run holds at its peak, by what it is for.

Rows are traced (tracing.py), so what autograd keeps is counted and not guessed; the rest is counted here: the weights,
what the optimizer holds, the copies that checkpoints and the best weights so far are. On a GPU, what it holds itself is
counted; the copies of checkpoints and the process are the host's.
"""

from dataclasses import dataclass

from outcrop.training.tracing import Cost

PROCESS_BYTES = 480_000_000
"Interpreter, torch, transformers and a tokenizer, with the libraries that the first step loads: measured on Linux."
_GIB = 2**30
_FP32 = 4
_OPTIMIZER = 3
"Of what learns: its gradient and two moments."
_CHECKPOINT = 3
"Of what learns: itself and two moments, copied while the last ones are being written."


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes at the peak of a run."""

    weights: int
    "The network, and what learns beside it."
    optimizer: int
    "Gradient and moments of what learns."
    copies: int
    "The best weights so far, and a checkpoint on its way to the disk."
    row: int
    "Of the row that takes most: what its forward pass keeps and its backward pass makes."
    process: int = PROCESS_BYTES

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.copies + self.row + self.process

    def to_text(self) -> str:
        return (
            f"{gib(self.total)} = {gib(self.weights)} weights + {gib(self.optimizer)} optimizer + "
            f"{gib(self.copies)} copies + {gib(self.row)} widest row + {gib(self.process)} process"
        )


def memory_of(widest: Cost, *, own_weights: bool, validated: bool, on_gpu: bool = False) -> Memory:
    """`own_weights` where the network's own weights learn, `validated` where the best are kept by validation loss."""
    learned = widest.trained * _FP32
    best = learned if validated else 0
    return Memory(
        weights=round(widest.weights + (0 if own_weights else learned)),
        optimizer=round(_OPTIMIZER * learned),
        copies=round(best + (0 if on_gpu else _CHECKPOINT * learned)),
        row=round(widest.peak),
        process=0 if on_gpu else PROCESS_BYTES,
    )


def gib(num_bytes: float) -> str:
    return f"{num_bytes / _GIB:.2f} GiB"
