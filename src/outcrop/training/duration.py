"""How long a run takes, from what its rows compute and what this machine does in a second.

Each operation of a traced row takes the longer of two times: its products at the machine's speed for products, or its
bytes at the speed memory is read and written. What that gives for a row of the usual kind is added up over a run.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from outcrop.network import load
from outcrop.training.tracing import Cost, Op

PRODUCT = 0.75
"Of the speed of a large square product, what the products of a row reach together."
ATTENTION = 0.1
"The same of attention within records."
BYTES = 0.8
"Of the speed of a large sum, what the other operations reach together."
SAVED_BYTES_PER_S = 100e6
"What is trained, written, flushed and hashed: of a middling disk."
_UPDATE_BYTES = 40
"Read and written for each number that learns in a step: gradient made, measured, read; weight and moments, both ways."
_FOR_S = 0.2
_SIDE = 1024
_NUMBERS = 10 * 2**20
"Of the large sum: more than an allocator keeps for reuse, as most tensors of a row are."


class Speed(NamedTuple):
    """What the machine does in a second."""

    flops: float
    "In a product of large square matrices."
    bytes: float
    "Read and written in a sum of large vectors, into fresh memory."
    op_s: float
    "Seconds of an operation on almost nothing."


class RowTime(NamedTuple):
    """Seconds that rows take, by what they grow with."""

    per_row: float
    per_token: float
    per_pair: float
    "Of a record, its length squared."

    def of(self, *, rows: float, tokens: float, pairs: float) -> float:
        return self.per_row * rows + self.per_token * tokens + self.per_pair * pairs


class Pass(NamedTuple):
    """Seconds of a row: for learning, and for a loss alone."""

    learning: RowTime
    scoring: RowTime


def measure_speed(threads: int = 0) -> Speed:
    """Of this device, with so many threads, or as many as are set now; takes half a second."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return _measured()
    finally:
        torch.set_num_threads(before)


def _measured() -> Speed:
    place = load.device()
    square, large = torch.ones(_SIDE, _SIDE, device=place), torch.ones(_NUMBERS, device=place)
    product, little = torch.empty_like(square), torch.ones(8, device=place)
    return Speed(
        flops=2 * _SIDE**3 / _mean_seconds(lambda: torch.matmul(square, square, out=product)),
        bytes=2 * large.nbytes / _mean_seconds(lambda: large + 1),
        op_s=_mean_seconds(lambda: little + 1),
    )


def _mean_seconds(action: Callable[[], object]) -> float:
    """Not the fastest: where others use the machine, a run will meet them too."""
    action()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < _FOR_S:
        action()
        count += 1
    _finish()
    return (time.perf_counter() - began) / count


def _finish() -> None:
    """A GPU answers before it is done."""
    if load.device().type == "cuda":
        torch.cuda.synchronize()


def pass_time(cost: Cost, lengths: Sequence[int], speed: Speed) -> Pass:
    """Of rows like the traced one, whose records have these lengths."""
    tokens, pairs = sum(lengths), sum(length * length for length in lengths)

    def per(ops: Mapping[Op, float]) -> RowTime:
        attending = {op: count for op, count in ops.items() if op.attends}
        within = seconds_of(attending, speed)
        started = speed.op_s * sum(count for op, count in ops.items() if not op.attends)
        return RowTime(started, (seconds_of(ops, speed) - within - started) / tokens, within / pairs)

    forward, backward = per(cost.forward), per(cost.backward)
    return Pass(learning=RowTime(*(f + b for f, b in zip(forward, backward, strict=True))), scoring=forward)


def seconds_of(ops: Mapping[Op, float], speed: Speed) -> float:
    return sum(count * _seconds(op, speed) for op, count in ops.items())


def update_seconds(cost: Cost, speed: Speed) -> float:
    """Of a step beside its rows."""
    return cost.trained * _UPDATE_BYTES / speed.bytes


def _seconds(op: Op, speed: Speed) -> float:
    reached = ATTENTION if op.attends else PRODUCT
    return speed.op_s + max(op.flops / (reached * speed.flops), op.size / (BYTES * speed.bytes))
