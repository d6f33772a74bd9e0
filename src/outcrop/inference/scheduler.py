"""The plan of each step: continuous batching, first come first served.

A request joins as soon as the cache has room for what it has to read, gets more as it grows, and leaves the moment it
ends. Every live sequence that decodes gets its one token in every step; prompts share what is left of the step, so that
a long prompt is read in chunks and does not stall the answers of others. A beginning that another request has read, or
is about to, is copied from there.

Where the cache is full, the youngest gives way: first of the background, then of all. It waits at the head of the queue
with what it has generated, and reads that once more when there is room. The oldest never gives way, so that all come to
their end. Requests of the background have their steps while nobody else wants one.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from outcrop.inference.kv_cache import KVCache
from outcrop.inference.prefix_cache import num_common
from outcrop.inference.request import EngineRequest
from outcrop.inference.running_request import RunningRequest, ScheduledTokens
from outcrop.network.rotary_lengths import RotaryRules

_WORTH_SHARING = 16
"Tokens for which a copy is cheaper than reading, and a step of waiting for a copy, too."
_CHUNK_FLOP = 27 * 10**9
"Two cores with AVX-512 compute it in a tenth of a second, with AVX2 in a quarter."


@dataclass(frozen=True, kw_only=True)
class StepLimits:
    """The most tokens and requests that a step computes."""

    max_live: int = 64
    "Sequences side by side."
    prompt_tokens_alone: int = 1024
    "Prompt tokens of a step in which nothing decodes: enough to use the machine well."
    prompt_tokens_well: int = 256
    "Of these, so many use the machine well already: a step that has them begins no further prompt. Others wait for it."
    prompt_tokens_for_most: int = 768
    "But where more than half of the prompts that wait have no more than these together, a step reads that half."
    prompt_tokens_beside_decoding: int = 128
    "Prompt tokens of a step that others wait for: their next token comes this much later."
    prompt_tokens_for_many: int = 512
    "The same where several wait for their first token, who would else wait for many steps of those that decode."

    @classmethod
    def of_size(cls, num_parameters: int, *, on_cpu: bool) -> "StepLimits":
        """The limits for a network of this size.

        Where several prompts wait, a token comes late by at most what `_CHUNK_FLOP` takes.
        """
        few, most = cls.prompt_tokens_beside_decoding, cls.prompt_tokens_for_many
        fitting = max(few, min(most, _CHUNK_FLOP // (2 * num_parameters)))
        if not on_cpu:
            return cls(prompt_tokens_for_many=cls.prompt_tokens_alone, prompt_tokens_well=cls.prompt_tokens_alone)
        return cls(prompt_tokens_for_many=fitting)


class CacheFigures(NamedTuple):
    """The state of an engine's cache, and of those who share it."""

    num_live: int
    num_waiting: int
    live_bytes: int
    "Of rows in use,"
    size_bytes: int
    "of all rows and kept beginnings together,"
    kept_bytes: int
    "and of the beginnings that are kept for others."
    num_preempted: int
    "How often a request gave way to another since the start."
    num_prompt_tokens: int
    "Of all requests that have begun, and how many of them others had read before:"
    num_cached_tokens: int


@dataclass(kw_only=True, eq=False)
class _Queue:
    """The requests of the foreground, or of the background, in the order they came.

    All that wait came after all that are live.
    """

    background: bool
    waiting: OrderedDict[str, RunningRequest] = field(default_factory=OrderedDict)
    live: list[RunningRequest] = field(default_factory=list)


class Scheduler:
    """The scheduler of an engine: requests that wait, and requests that run."""

    def __init__(self, cache: KVCache, limits: StepLimits, angles: RotaryRules | None = None) -> None:
        self._cache = cache
        self._limits = limits
        self._angles = angles or RotaryRules()
        self._foreground = _Queue(background=False)
        self._background = _Queue(background=True)
        self._queues = (self._foreground, self._background)
        self.num_preempted = 0
        "How often a request gave way, since the start."
        self.num_prompt_tokens = 0
        "Of all requests that have begun,"
        self.num_cached_tokens = 0
        "and how many of them others had read."

    @property
    def live(self) -> list[RunningRequest]:
        """Requests that have a place in the cache."""
        return [live for queue in self._queues for live in queue.live]

    @property
    def busy(self) -> bool:
        """Whether anybody waits or runs."""
        return any(queue.live or queue.waiting for queue in self._queues)

    @property
    def num_waiting(self) -> int:
        return sum(len(queue.waiting) for queue in self._queues)

    @property
    def requests(self) -> list[EngineRequest]:
        """All requests that have not ended."""
        waiting = [one for queue in self._queues for one in queue.waiting.values()]
        return [one.request for one in self.live + waiting]

    def submit(self, request: EngineRequest) -> None:
        queue = self._background if request.background else self._foreground
        queue.waiting[request.id] = RunningRequest(request=request, ids=list(request.prompt_ids))

    def plan(self) -> list[ScheduledTokens]:
        """The next step: that of the foreground, or of the background where nobody else wants one."""
        return self._plan(self._foreground) or self._plan(self._background)

    def end(self, request_id: str) -> EngineRequest | None:
        """Forget a request, waiting or live; None when there is none (it ended by itself in the meantime)."""
        for queue in self._queues:
            if (waiting := queue.waiting.pop(request_id, None)) is not None:
                return waiting.request
            for live in queue.live:
                if live.request.id == request_id:
                    queue.live.remove(live)
                    self._leave(live)
                    return live.request
        return None

    def figures(self) -> CacheFigures:
        return CacheFigures(
            num_live=len(self.live),
            num_waiting=self.num_waiting,
            live_bytes=self._cache.live_bytes,
            size_bytes=self._cache.size_bytes,
            kept_bytes=self._cache.kept_bytes,
            num_preempted=self.num_preempted,
            num_prompt_tokens=self.num_prompt_tokens,
            num_cached_tokens=self.num_cached_tokens,
        )

    def _plan(self, queue: _Queue) -> list[ScheduledTokens]:
        """A step of one queue: one token of each that decodes, then prompts in the order they came."""
        for live in queue.live:
            live.turn_to(self._angles.alike(len(live.ids)))
        for live in list(queue.live):
            self._grow(live, queue)
        turns = [ScheduledTokens(live, 1) for live in queue.live if live.decodes]
        most = room = self._prompt_tokens(queue, decoding=bool(turns))
        well = room if turns else max(self._limits.prompt_tokens_well, self._tokens_of_most(queue))
        for live in self._readers(queue):
            if self._begins(live, queue):
                turns.append(_read(live, room))
                room -= turns[-1].num_tokens
            if room == 0 or most - room >= well:
                break
        return turns

    def _readers(self, queue: _Queue) -> Iterator[RunningRequest]:
        """Requests that have something to read, at last those that are admitted for it."""
        yield from [live for live in queue.live if not live.decodes]
        while (admitted := self._admit(queue)) is not None:
            yield admitted

    def _prompt_tokens(self, queue: _Queue, *, decoding: bool) -> int:
        """The most prompt tokens of a step.

        One prompt is not worth slowing those that decode. The more wait, the more of the delay is the steps of those
        that decode, taken once for each chunk: then chunks grow.
        """
        limits, beside = self._limits, self._limits.prompt_tokens_beside_decoding
        if queue.background:
            return beside  # someone of the foreground may come while it is read
        if not decoding:
            return limits.prompt_tokens_alone
        reading = sum(1 for live in queue.live if not live.decodes)
        num_prompts = min(reading + len(queue.waiting), reading + limits.max_live - len(queue.live))
        return max(beside, min(limits.prompt_tokens_for_many, beside * num_prompts))

    def _tokens_of_most(self, queue: _Queue) -> int:
        """The tokens of the first half of the prompts and one more; 0 where they are too many.

        Read together they take less time than one after the other: the median first token and the last come sooner, the
        first ones later.
        """
        reading = [len(live.ids) - live.slot.length for live in queue.live if not live.decodes]
        room = self._limits.max_live - len(queue.live)
        tokens = reading + [len(waiting.ids) for waiting in islice(queue.waiting.values(), room)]
        num = sum(tokens[: len(tokens) // 2 + 1])
        return num if num <= self._limits.prompt_tokens_for_most else 0

    def _admit(self, queue: _Queue) -> RunningRequest | None:
        """The longest waiting request, if there is room. Nobody overtakes, or a large one would wait for ever."""
        if not queue.waiting or len(queue.live) >= self._limits.max_live:
            return None
        (first,) = islice(queue.waiting.values(), 1)
        while (place := self._cache.take(len(first.ids), background=queue.background)) is None:
            if queue.background or not self._background.live:
                return None
            self._preempt(self._background)
        del queue.waiting[first.request.id]
        first.place, first.angles = place, self._angles.alike(len(first.ids))
        queue.live.append(first)
        return first

    def _grow(self, live: RunningRequest, queue: _Queue) -> None:
        """Room for all of a live request, for which younger ones give way, or at last it does itself."""
        while live.place is not None and not self._cache.grow(live.place, len(live.ids), background=queue.background):
            self._preempt(self._background if self._background.live else self._foreground)

    def _preempt(self, queue: _Queue) -> None:
        """Have the youngest live request of a queue give way, to be the first of those that wait."""
        youngest = queue.live.pop()
        self._leave(youngest)
        queue.waiting[youngest.request.id] = youngest
        queue.waiting.move_to_end(youngest.request.id, last=False)
        self.num_preempted += 1

    def _leave(self, live: RunningRequest) -> None:
        """Give back the place of a request; what it has read may serve others, or itself."""
        self._cache.keep(live.slot, live.space, live.ids)
        self._cache.give_back(live.slot)
        live.place = None

    def _begins(self, live: RunningRequest, queue: _Queue) -> bool:
        """Whether a request reads now, after it has taken over what was read before of the same beginning.

        False while an earlier one is about to read more of it.
        """
        if live.slot.length > 0:
            return True
        ids = live.ids[:-1]  # the last one is always read: what follows it is wanted
        alike = self._alike(live, ids)
        found = [(min(num, other.slot.length), other.slot) for num, other in alike]
        num_read, source = max(found, key=itemgetter(0), default=(0, live.slot))
        num_kept = self._cache.num_kept(live.space, ids)
        earlier = queue.live[: queue.live.index(live)]
        num_later = max((num for num, other in alike if other in earlier), default=0)
        if num_later >= max(num_read, num_kept) + _WORTH_SHARING:
            return False
        if num_kept > num_read:
            self._cache.recall(live.slot, live.space, ids)
        elif num_read >= _WORTH_SHARING:
            self._cache.copy(source, live.slot, num_read)
        if live.num_cached is None:
            live.num_cached = live.slot.length
            self.num_prompt_tokens += len(live.request.prompt_ids)
            self.num_cached_tokens += live.num_cached
        return True

    def _alike(self, live: RunningRequest, ids: Sequence[int]) -> list[tuple[int, RunningRequest]]:
        """The other live requests that it may share with, and the number of `ids` that each begins with."""
        if not self._cache.shares:
            return []
        others = [other for other in self.live if other is not live and other.space == live.space]
        return [(num_common(ids, other.ids), other) for other in others]


def _read(live: RunningRequest, room: int) -> ScheduledTokens:
    most = live.request.prompt_tokens_per_step or room
    return ScheduledTokens(live, min(room, most, live.num_unread))
