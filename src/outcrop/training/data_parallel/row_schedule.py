"""Which thread computes which records when: what lanes.py follows, and workload.py foresees, by lengths alone.

A row is the indices of its records. Memory bounds the tokens that are under way together, so one long record leaves
the other lanes little room. What they can take beside it is found here beforehand, for all of them to end at about
the same time; rows that were dealt without regard to each other left an eighth of the lanes' time unused.
"""

import statistics
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from outcrop.network.way import Way
from outcrop.training.batches import pack

SHARING = 0.6
"N threads on one row are N to this power times as fast as one: 1.5 for two, as measured on two networks."
_ROW_TOKENS = 64
"What a row takes beside its tokens, told in tokens: 60 to 80 on the network `small` of bench/train_data.py."

_PARTS = 16
"Lengths of rows are tried in steps of one of so many of a lane's part."
_FEW_ROWS = 8
"Of each lane; beyond, no lane ends much later than another."


class Planned(NamedTuple):
    """A row, and who takes it."""

    lane: int
    records: Sequence[int]
    "Indices of the records."


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What is computed until the last lane is done, a step or an evaluation."""

    lengths: Sequence[int]
    "Tokens of each record."
    rows: Sequence[Planned]
    "In the order in which they begin: none before those that stand before it."
    lanes: int
    room: int
    "Tokens that may be under way together."

    def tokens(self, row: Planned) -> int:
        return sum(self.lengths[index] for index in row.records)

    def of_lane(self, lane: int) -> list[Planned]:
        return [row for row in self.rows if row.lane == lane]

    def end(self, duration: Callable[[Planned], float]) -> float:
        """When the last row is done, if each takes its duration."""
        now, under_way = 0.0, dict[int, tuple[float, int]]()
        for row in self.rows:
            tokens = self.tokens(row)
            while row.lane in under_way or tokens + sum(held for _, held in under_way.values()) > self.room:
                first = min(under_way, key=lambda lane: under_way[lane][0])
                now = max(now, under_way.pop(first)[0])
            under_way[row.lane] = (now + duration(row), tokens)
        return max((end for end, _ in under_way.values()), default=now)


def plan(lengths: Sequence[int], token_budget: int, *, threads: int, most_lanes: int, way: Way = Way.PACKED) -> Turn:
    """With as many lanes as end soonest; threads that have no lane help within one."""

    def seconds(turn: Turn) -> float:
        return turn.end(lambda row: turn.tokens(row) + _ROW_TOKENS) / float((threads // turn.lanes) ** SHARING)

    counts = range(1, max(1, min(most_lanes, threads, len(lengths))) + 1)
    return min((turn for num in counts for turn in _on(num, lengths, token_budget, way)), key=seconds)


def most_tokens(lengths: Sequence[int], token_budget: int, *, num_lanes: int) -> int:
    """Of records of these lengths, under way at the same time: the budget; or a record that is longer; or, where most
    are longer than a lane's part of the budget, one of the usual length in each lane, for none to stand idle."""
    if not lengths:
        return token_budget
    return max(token_budget, max(lengths), num_lanes * int(statistics.median(lengths)))


def _on(num_lanes: int, lengths: Sequence[int], token_budget: int, way: Way) -> Iterator[Turn]:
    """With that many lanes: rows as long as a lane's part of the budget, and, where few decide when the last lane is
    done, shorter ones, which may end together more nearly."""
    room = most_tokens(lengths, token_budget, num_lanes=num_lanes)
    if num_lanes == 1:
        rows = [Planned(0, row) for row in pack(lengths, token_budget, way)]
        yield Turn(lengths=lengths, rows=rows, lanes=1, room=room)
        return
    part = token_budget // num_lanes
    parts = [part * (_PARTS - n) // _PARTS for n in range(_PARTS // 2 + 1)]
    for tried in parts if sum(lengths) <= _FEW_ROWS * token_budget else parts[:1]:
        rows = _side_by_side(num_lanes, lengths, tried, room, way)
        yield Turn(lengths=lengths, rows=rows, lanes=num_lanes, room=room)


def _side_by_side(num_lanes: int, lengths: Sequence[int], part: int, room: int, way: Way) -> list[Planned]:
    """Rows as they would begin if each token took as long as any other."""
    # Shortest first; of records of one length the first is the last, which is taken first.
    waiting = sorted((length, -index) for index, length in enumerate(lengths))
    left = sum(lengths)
    ends, held = [0.0] * num_lanes, [0] * num_lanes
    now, planned = 0.0, list[Planned]()
    while waiting:
        for lane in sorted(range(num_lanes), key=lambda lane: ends[lane]):
            if ends[lane] > now or not waiting:
                continue
            free = room - sum(held[other] for other in range(num_lanes) if ends[other] > now)
            to_go = (left + sum(max(0.0, end - now) for end in ends)) / num_lanes
            row = _taken(waiting, free=free, part=part, even=to_go + _ROW_TOKENS / 2, way=way)
            if not row:
                continue  # until another lane has done
            planned.append(Planned(lane, [index for _, index in row]))
            held[lane] = sum(length for length, _ in row)
            left -= held[lane]
            ends[lane] = now + held[lane] + _ROW_TOKENS
        now = min(end for end in ends if end > now)
    return planned


def _taken(waiting: list[tuple[int, int]], *, free: int, part: int, even: float, way: Way) -> list[tuple[int, int]]:
    """Lengths and indices of the records of a lane's next row, no longer among those that wait: the longest alone, if
    no lane's part would hold it; else the longest that fit in the part, in what is free, and in what is left for the
    lane if all are to end together. Empty if none fits."""
    if part < waiting[-1][0] <= free:
        length, index = waiting.pop()
        return [(length, -index)]
    room = min(part, free, int(even))
    row: list[tuple[int, int]] = []
    while (at := bisect_right(waiting, (room, 0))) > 0:
        length, index = waiting.pop(at - 1)
        row.append((length, -index))
        room = 0 if way is Way.ONE_RECORD_A_ROW else room - length
    if not row and waiting[0][0] <= free:
        length, index = waiting.pop(0)
        row.append((length, -index))
    return row
