"""Batches: the records that a step learns, and how they lie in rows.

The order of an epoch depends on the seed and the epoch alone, so that a run taken up again meets the same records. How
a step's records are spread over rows changes nothing that is computed, only how fast: no token sees another record, and
the loss is summed over the step.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from outcrop.network.adapters.linear import AdapterSpan
from outcrop.network.attention import Packed
from outcrop.network.run_mode import RunMode
from outcrop.training.examples import Example


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedRow:
    """Records side by side, without gap; those of one adapter together. T tokens of the row, N supervised positions."""

    ids_1T: Tensor
    positions_1T: Tensor
    layout: Packed
    at_N: Tensor
    target_N: Tensor
    spans: Sequence[AdapterSpan]
    "Of the T tokens."
    supervised_spans: Sequence[AdapterSpan]
    "Of the N positions."


def epoch_order(num_examples: int, *, seed: int, epoch: int) -> list[int]:
    order = list(range(num_examples))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order


def batch_at(step: int, num_examples: int, *, batch_size: int, seed: int) -> list[int]:
    """The examples of a step; the last batch of an epoch is what is left."""
    epoch, place = divmod(step, steps_per_epoch(num_examples, batch_size))
    return epoch_order(num_examples, seed=seed, epoch=epoch)[place * batch_size : (place + 1) * batch_size]


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    return -(-num_examples // batch_size)


def pack(lengths: Sequence[int], token_budget: int, way: RunMode = RunMode.PACKED) -> list[list[int]]:
    """Indices into `lengths`, row by row: no row is longer than the budget but by a single record.

    Longest first, so that records of like length are neighbours, which is what attention is fast at.
    """
    rows: list[list[int]] = []
    room = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not rows or lengths[index] > room or way is RunMode.ONE_RECORD_A_ROW:
            rows.append([])
            room = token_budget
        rows[-1].append(index)
        room -= lengths[index]
    return rows


def row_of(examples: Sequence[Example]) -> PackedRow:
    examples = sorted(examples, key=lambda example: example.adapter)
    layout = Packed(lengths=[len(example) for example in examples])
    starts = torch.tensor([0, *layout.lengths[:-1]]).cumsum(0)
    at_N = torch.cat([example.at_N + start for example, start in zip(examples, starts, strict=True)])
    return PackedRow(
        ids_1T=torch.cat([example.ids_T for example in examples]).unsqueeze(0),
        positions_1T=layout.positions(),
        layout=layout,
        at_N=at_N,
        target_N=torch.cat([example.target_N for example in examples]),
        spans=_spans((example.adapter, len(example)) for example in examples),
        supervised_spans=_spans((example.adapter, example.num_supervised) for example in examples),
    )


def _spans(sizes: Iterable[tuple[str, int]]) -> list[AdapterSpan]:
    """Neighbours of one adapter are one span; one of nothing is left out."""
    spans: list[AdapterSpan] = []
    end = 0
    for adapter, size in sizes:
        joins = bool(spans) and spans[-1].adapter == adapter
        start = spans.pop().start if joins else end
        end += size
        if end > start:
            spans.append(AdapterSpan(start, end, adapter))
    return spans
