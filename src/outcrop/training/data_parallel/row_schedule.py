"""Row schedules: which replica computes which records when, decided by the lengths of records alone.

lanes.py follows a schedule, workload.py foresees it.

A row is the indices of its records. Memory bounds the tokens that are under way together, so one long record leaves
the other replicas little room. What they can take beside it is found here beforehand, for all of them to end at about
the same time; rows that were dealt without regard to each other left an eighth of the replicas' time unused.
"""

import statistics
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from outcrop.network.run_mode import RunMode
from outcrop.training.batches import pack

SHARING = 0.6
"N threads on one row are N to this power times as fast as one: 1.5 for two, as measured on two networks."
_ROW_TOKENS = 64
"What a row takes beside its tokens, told in tokens: 60 to 80 on the network `small` of bench/train_data.py."

_PARTS = 16
"Lengths of rows are tried in steps of one of so many of a replica's part."
_FEW_ROWS = 8
"Of each replica; beyond, no replica ends much later than another."


class ScheduledRow(NamedTuple):
    """A row of records, and the replica that computes it."""

    replica: int
    records: Sequence[int]
    "Indices of the records."


@dataclass(frozen=True, kw_only=True)
class RowSchedule:
    """The rows of one step or evaluation, by replica, in the order in which they begin."""

    lengths: Sequence[int]
    "Tokens of each record."
    rows: Sequence[ScheduledRow]
    "In the order in which they begin: none before those that stand before it."
    replicas: int
    room: int
    "Tokens that may be under way together."

    def tokens(self, row: ScheduledRow) -> int:
        return sum(self.lengths[index] for index in row.records)

    def of_replica(self, replica: int) -> list[ScheduledRow]:
        return [row for row in self.rows if row.replica == replica]

    def end(self, duration: Callable[[ScheduledRow], float]) -> float:
        """When the last row is done, if each takes its duration."""
        now, under_way = 0.0, dict[int, tuple[float, int]]()
        for row in self.rows:
            tokens = self.tokens(row)
            while row.replica in under_way or tokens + sum(held for _, held in under_way.values()) > self.room:
                first = min(under_way, key=lambda replica: under_way[replica][0])
                now = max(now, under_way.pop(first)[0])
            under_way[row.replica] = (now + duration(row), tokens)
        return max((end for end, _ in under_way.values()), default=now)


def plan(
    lengths: Sequence[int], token_budget: int, *, threads: int, most_replicas: int, way: RunMode = RunMode.PACKED
) -> RowSchedule:
    """The schedule for as many replicas as end soonest; threads that have no replica help within one."""

    def seconds(schedule: RowSchedule) -> float:
        return schedule.end(lambda row: schedule.tokens(row) + _ROW_TOKENS) / float(
            (threads // schedule.replicas) ** SHARING
        )

    counts = range(1, max(1, min(most_replicas, threads, len(lengths))) + 1)
    return min((schedule for num in counts for schedule in _on(num, lengths, token_budget, way)), key=seconds)


def most_tokens(lengths: Sequence[int], token_budget: int, *, num_replicas: int) -> int:
    """Tokens of these records that may be under way at once: the budget, or more where records are longer.

    Where most are longer than a replica's part of the budget, one of the usual length fits in each replica, for none to
    stand idle.
    """
    if not lengths:
        return token_budget
    return max(token_budget, max(lengths), num_replicas * int(statistics.median(lengths)))


def _on(num_replicas: int, lengths: Sequence[int], token_budget: int, way: RunMode) -> Iterator[RowSchedule]:
    """Schedules for that many replicas: rows as long as a replica's part of the budget, and shorter ones.

    Shorter ones may end together more nearly, and are tried where few rows decide when the last replica is done.
    """
    room = most_tokens(lengths, token_budget, num_replicas=num_replicas)
    if num_replicas == 1:
        rows = [ScheduledRow(0, row) for row in pack(lengths, token_budget, way)]
        yield RowSchedule(lengths=lengths, rows=rows, replicas=1, room=room)
        return
    part = token_budget // num_replicas
    parts = [part * (_PARTS - n) // _PARTS for n in range(_PARTS // 2 + 1)]
    for tried in parts if sum(lengths) <= _FEW_ROWS * token_budget else parts[:1]:
        rows = _side_by_side(num_replicas, lengths, tried, room, way)
        yield RowSchedule(lengths=lengths, rows=rows, replicas=num_replicas, room=room)


def _side_by_side(num_replicas: int, lengths: Sequence[int], part: int, room: int, way: RunMode) -> list[ScheduledRow]:
    """The rows of a schedule as they would begin if each token took as long as any other."""
    # Shortest first; of records of one length the first is the last, which is taken first.
    waiting = sorted((length, -index) for index, length in enumerate(lengths))
    left = sum(lengths)
    ends, held = [0.0] * num_replicas, [0] * num_replicas
    now, planned = 0.0, list[ScheduledRow]()
    while waiting:
        for replica in sorted(range(num_replicas), key=lambda replica: ends[replica]):
            if ends[replica] > now or not waiting:
                continue
            free = room - sum(held[other] for other in range(num_replicas) if ends[other] > now)
            to_go = (left + sum(max(0.0, end - now) for end in ends)) / num_replicas
            row = _taken(waiting, free=free, part=part, even=to_go + _ROW_TOKENS / 2, way=way)
            if not row:
                continue  # until another replica has done
            planned.append(ScheduledRow(replica, [index for _, index in row]))
            held[replica] = sum(length for length, _ in row)
            left -= held[replica]
            ends[replica] = now + held[replica] + _ROW_TOKENS
        now = min(end for end in ends if end > now)
    return planned


def _taken(waiting: list[tuple[int, int]], *, free: int, part: int, even: float, way: RunMode) -> list[tuple[int, int]]:
    """The records of a replica's next row, by length and index, taken from those that wait; empty if none fits.

    The longest alone, if no replica's part would hold it; else the longest that fit in the part, in what is free, and
    in what is left for the replica if all are to end together.
    """
    if part < waiting[-1][0] <= free:
        length, index = waiting.pop()
        return [(length, -index)]
    room = min(part, free, int(even))
    row: list[tuple[int, int]] = []
    while (at := bisect_right(waiting, (room, 0))) > 0:
        length, index = waiting.pop(at - 1)
        row.append((length, -index))
        room = 0 if way is RunMode.ONE_RECORD_A_ROW else room - length
    if not row and waiting[0][0] <= free:
        length, index = waiting.pop(0)
        row.append((length, -index))
    return row
