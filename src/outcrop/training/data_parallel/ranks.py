"""Several processes that train one network: who am I, how many are we, and what we tell each other.

Each rank holds the network and takes its share of a step's records; sums over all ranks make the step the same as one
device's, but for the order in which numbers are added. One rank alone does nothing here, at no cost.

Numbers and decisions travel over gloo, tensors over what suits the place they are in (NCCL between GPUs). A rank that
dies is noticed by the others the next time they speak.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import Store

from outcrop.errors import OutcropError
from outcrop.network.run_mode import RunMode
from outcrop.training.batches import PackedRow, pack, row_of
from outcrop.training.examples import Example

_T = TypeVar("_T")
_PATIENCE = timedelta(days=7)
"The first rank may wait for room on the disk while the others wait for it; gloo notices a death without any limit."
_GPU_PATIENCE = timedelta(minutes=10)
"NCCL does not notice a death. It is asked for a sum only when all ranks have just spoken, so nobody waits long."


class RankLostError(OutcropError):
    """Another rank ended in the middle of the run. What was trained since the last checkpoint is trained again."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """A rank: a process among the `size` that train a network together, and its communication with the others.

    Every rank calls the same methods in the same order. All raise RankLostError.
    """

    rank: int = 0
    size: int = 1
    between_gpus: dist.ProcessGroup | None = None
    "None where there are none."
    shards: bool = False
    "Whether a network that is trained in full is split between them; on a CPU each holds it whole."

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and tells what happens."""
        return self.rank == 0

    def sum(self, number: float) -> float:
        """The sum of a number over all ranks, in fp64, and the same bits on every rank."""
        if self.size == 1:
            return number
        total = torch.tensor(number, dtype=torch.float64)
        self.add_up(total)
        return float(total)

    def add_up(self, tensor: Tensor) -> None:
        """Replace it by the sum over all ranks, the same bits on each."""
        if self.size > 1:
            with _noticing_a_loss():
                dist.all_reduce(tensor, group=self._group(tensor))

    def of_first(self, value: _T) -> _T:
        """The first rank's value; what the others gave is not looked at."""
        if self.size == 1:
            return value
        told = [value]
        with _noticing_a_loss():
            dist.broadcast_object_list(told, src=0, device=torch.device("cpu"))
        return told[0]

    def copy_first(self, tensor: Tensor) -> None:
        """Replace it by the first rank's."""
        if self.size > 1:
            with _noticing_a_loss():
                dist.broadcast(tensor, src=0, group=self._group(tensor))

    def _group(self, tensor: Tensor) -> dist.ProcessGroup | None:
        return self.between_gpus if tensor.is_cuda else None


ALONE = Ranks()


class RankBatch(NamedTuple):
    """The examples that one rank computes in a step or an evaluation."""

    examples: list[Example]
    idle: list[PackedRow]
    "Computed for nothing. A split network is gathered by all ranks in each pass, so all make as many."


def rank_batch_of(
    examples: Sequence[Example], token_budget: int, ranks: Ranks, *, together: bool, way: RunMode
) -> RankBatch:
    """The examples that this rank computes; `together` where all ranks must make as many passes."""
    lengths = [len(example) for example in examples]
    shares = deal(lengths, ranks.size)
    own = [examples[index] for index in shares[ranks.rank]]
    if not together:
        return RankBatch(own, [])
    passes = [len(pack([lengths[index] for index in share], token_budget, way)) for share in shares]
    return RankBatch(own, [row_of([min(examples, key=len)])] * (max(passes) - passes[ranks.rank]))


def deal(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices into `lengths` for each of `size` ranks, of about as many tokens; each in the order of `lengths`.

    Longest first, to the rank that has fewest: no rank has more than 4/3 of what the best dealing would give the
    fullest. Source: Graham 1969, Bounds on multiprocessing timing anomalies, theorem 2.
    """
    if size == 1:
        return [list(range(len(lengths)))]
    shares: list[list[int]] = [[] for _ in range(size)]
    tokens = [0] * size
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        rank = tokens.index(min(tokens))
        shares[rank].append(index)
        tokens[rank] += lengths[index]
    return [sorted(share) for share in shares]


def store_at(path: Path, size: int) -> Store:
    """Where `size` ranks of one machine find each other: a file that is new for each run."""
    return dist.FileStore(str(path), size)  # type: ignore[attr-defined]  # torch's types leave it out


@contextmanager
def joined(rank: int, size: int, *, store: Store | None = None) -> Iterator[Ranks]:
    """Be one of `size` ranks, which meet at `store`; None means where torchrun's environment says."""
    with _noticing_a_loss():
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    try:
        gpus = dist.new_group(backend="nccl", timeout=_GPU_PATIENCE) if torch.cuda.is_available() else None
        yield Ranks(rank=rank, size=size, between_gpus=gpus, shards=gpus is not None)
    finally:
        dist.destroy_process_group()


@contextmanager
def _noticing_a_loss() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what torch raises when a connection breaks or a store is gone
        raise RankLostError(
            f"Another device's process ended in the middle of the run ({str(error).splitlines()[0]}). "
            "The run goes on from its last checkpoint; nothing to do."
        ) from error
