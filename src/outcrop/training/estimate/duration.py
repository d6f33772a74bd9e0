"""How long a run takes, from what its rows compute and what this machine does in a second.

Each operation of a traced row takes the longer of two times: its products at a thread's speed for products, or its
bytes at the speed memory is read and written. What that gives for a row of the usual kind is put in place of every
row of a turn's plan, whose end counts.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import NamedTuple

import torch

from outcrop.network import load
from outcrop.training.data_parallel import worker_threads
from outcrop.training.data_parallel.row_schedule import SHARING, RowSchedule, ScheduledRow
from outcrop.training.estimate.tracing import Cost, Op

# Measured on 2026-11-21, one thread of an Intel Xeon at 2.5 GHz, its own time: rows of 512 and 1,024 tokens of seven of
# the cases in bench/estimates.py, profiled and timed. Whole runs of those cases lie on both sides of what these give.
PRODUCT = 0.75
"Of the speed of a large square product, what the products of a row reach: from 0.6 (256 wide) to 0.8 (512)."
ATTENTION = 0.35
"The same of attention within records: 0.2 in records of 128 tokens, where it is little, 0.4 in those of 1,024."
BYTES = 0.5
"Of the speed of a large sum, what the other operations reach: 0.4 to 0.6 as profiled, which slows them."
C_ATTENTION = 0.55
"Of attention by the C kernels: 0.4 in records of 128 tokens, 0.7 in those of 256, 0.85 in those of 512."
C_BYTES = 0.7
"Of what else the C kernels do: from 0.45 (cross-entropy) to 1 (norms, rotary positions)."
SAVED_BYTES_PER_S = 200e6
"What is trained, written, flushed and hashed: 240 MB/s were found on the disk of a virtual machine."
_UPDATE_BYTES = 40
"Read and written for each number that learns in a step: gradient made, measured, read; weight and moments, both ways."
_LANE_BYTES = 16
"The same for each further replica: its gradient cleared, and added to the first."
_FOR_S = 0.2
"For the measurement of products."
_SIDE = 1024
_NUMBERS = 2**20
"Of the large sum: what a tensor of a row holds, more or less."


class Speed(NamedTuple):
    """The speed of one thread, by the second, while the others do the same."""

    flops: float
    "In a product of large square matrices."
    bytes: float
    "Read and written in a sum of large vectors."
    op_s: float
    "Seconds of an operation on almost nothing."


class RowTime(NamedTuple):
    """The seconds that a row takes in one thread, by what they grow with."""

    per_row: float
    per_token: float
    per_pair: float
    "Of a record, its length squared."

    def of(self, records: Sequence[int]) -> float:
        """A row of records of these lengths."""
        pairs = sum(length * length for length in records)
        return self.per_row + self.per_token * sum(records) + self.per_pair * pairs

    def of_schedule(self, schedule: RowSchedule, threads: int) -> float:
        """Until the last replica is done, whose threads share its products."""

        def seconds(row: ScheduledRow) -> float:
            return self.of([schedule.lengths[index] for index in row.records])

        return schedule.end(seconds) / shared(threads // schedule.replicas)


class Pass(NamedTuple):
    """Seconds of a row: for learning, and for a loss alone."""

    learning: RowTime
    scoring: RowTime


def shared(threads: int) -> float:
    """How many times as fast as one so many threads are on one row."""
    return float(threads**SHARING)


def measure_speed(threads: int, *, now: Callable[[], float] = time.perf_counter, for_s: float = _FOR_S) -> Speed:
    """The speed of one of so many threads of this device.

    Products are measured for `for_s`, sums and small operations for a quarter of it each. All threads are measured
    side by side, as two threads of one core, or all threads on one memory, are slower than each by itself. `now` may
    be a clock that counts a thread's own time, where other programs' shall not count.
    """
    num, before = min(threads, worker_threads.MOST), torch.get_num_threads()
    together = Barrier(num)
    try:
        with ThreadPoolExecutor(num) as pool:
            found = list(pool.map(lambda _: _measured(together, now, for_s), range(num)))
    finally:
        torch.set_num_threads(before)  # new threads begin with the number set last, in whichever thread
    return Speed(*(sum(values) / num for values in zip(*found, strict=True)))


def _measured(together: Barrier, now: Callable[[], float], for_s: float) -> Speed:
    torch.set_num_threads(1)
    place = load.device()
    square, large, little = (torch.ones(shape, device=place) for shape in ((_SIDE, _SIDE), (_NUMBERS,), (8,)))
    product, total = torch.empty_like(square), torch.empty_like(large)

    def mean(action: Callable[[], object], for_s: float) -> float:
        together.wait()
        return _mean_seconds(action, now, for_s)

    # A product takes as long as a hundred sums, or ten thousand operations on almost nothing.
    return Speed(
        flops=2 * _SIDE**3 / mean(lambda: torch.matmul(square, square, out=product), for_s),
        bytes=2 * large.nbytes / mean(lambda: torch.add(large, 1, out=total), for_s / 4),
        op_s=mean(lambda: little + 1, for_s / 4),
    )


def _mean_seconds(action: Callable[[], object], now: Callable[[], float], for_s: float) -> float:
    """Not the fastest: where others use the machine, a run will meet them too."""
    action()
    _finish()
    end, began, count = time.perf_counter() + for_s, now(), 0
    while time.perf_counter() < end or not count:
        action()
        count += 1
    _finish()
    return (now() - began) / count


def _finish() -> None:
    """A GPU answers before it is done."""
    if load.device().type == "cuda":
        torch.cuda.synchronize()


def pass_time(cost: Cost, lengths: Sequence[int], speed: Speed) -> Pass:
    """The seconds that rows like the traced one take, whose records have these lengths."""
    tokens, pairs = sum(lengths), sum(length * length for length in lengths)

    def per(ops: Mapping[Op, float]) -> RowTime:
        attending = {op: count for op, count in ops.items() if op.attends}
        within = seconds_of(attending, speed)
        started = speed.op_s * sum(count for op, count in ops.items() if not op.attends)
        return RowTime(started, (seconds_of(ops, speed) - within - started) / tokens, within / pairs)

    forward, backward = per(cost.forward), per(cost.backward)
    return Pass(learning=RowTime(*(f + b for f, b in zip(forward, backward, strict=True))), scoring=per(cost.scoring))


def seconds_of(ops: Mapping[Op, float], speed: Speed) -> float:
    return sum(count * _seconds(op, speed) for op, count in ops.items())


def update_seconds(cost: Cost, speed: Speed, threads: int, *, num_replicas: int) -> float:
    """The seconds of a step beside its rows: one operation on long vectors after the other, by all threads."""
    per_number = _UPDATE_BYTES + _LANE_BYTES * (num_replicas - 1)
    return cost.trained * per_number / (speed.bytes * shared(threads))


def _seconds(op: Op, speed: Speed) -> float:
    attention, others = (C_ATTENTION, C_BYTES) if op.in_c else (ATTENTION, BYTES)
    reached = attention if op.attends else PRODUCT
    return speed.op_s + max(op.flops / (reached * speed.flops), op.size / (others * speed.bytes))
