"""What falls to one rank of a set of records."""

from collections.abc import Sequence
from typing import NamedTuple

from outcrop.network.way import Way
from outcrop.training.batches import Row, pack, row_of
from outcrop.training.data_parallel.ranks import Ranks, deal
from outcrop.training.examples import Example


class Share(NamedTuple):
    """Of one rank."""

    examples: list[Example]
    idle: list[Row]
    "Computed for nothing. A split network is gathered by all ranks in each pass, so all make as many."


def share_of(examples: Sequence[Example], token_budget: int, ranks: Ranks, *, together: bool, way: Way) -> Share:
    """This rank's; `together` where all ranks must make as many passes."""
    lengths = [len(example) for example in examples]
    shares = deal(lengths, ranks.size)
    own = [examples[index] for index in shares[ranks.rank]]
    if not together:
        return Share(own, [])
    passes = [len(pack([lengths[index] for index in share], token_budget, way)) for share in shares]
    return Share(own, [row_of([min(examples, key=len)])] * (max(passes) - passes[ranks.rank]))
