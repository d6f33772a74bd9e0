"""The plan of each step: continuous batching, first come first served.

A request joins as soon as the cache has room for its whole life, and leaves the moment it ends. Every live sequence
that decodes gets its one token in every step; prompts share what is left of the step, so that a long prompt is read in
chunks and does not stall the answers of others.
"""

import random
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from outcrop.inference.kv_cache import CacheRow, KVCache
from outcrop.inference.request import LENGTH, STOP, EngineRequest
from outcrop.inference.sampling import SamplingRow
from outcrop.network.rotary_lengths import RotaryRules


@dataclass(kw_only=True, eq=False)
class RunningRequest:
    """A request that is being generated and has its place in the cache."""

    request: EngineRequest
    slot: CacheRow
    generator: random.Random
    ids: list[int]
    "The prompt and what was generated; the first `slot.length` of them are in the cache."
    angles: tuple[int, ...] = ()
    "What the rotary positions of the remembered keys were computed for; see `Angles.alike`."

    @property
    def num_generated(self) -> int:
        return len(self.ids) - len(self.request.prompt_ids)

    @property
    def sampling_row(self) -> SamplingRow:
        return SamplingRow(self.request.sampling, self.generator, self.ids, self.num_generated)

    @property
    def num_unread(self) -> int:
        return len(self.ids) - self.slot.length

    @property
    def decodes(self) -> bool:
        """Whether it reads its newest token alone; else its prompt, or all of it once more."""
        return self.num_generated > 0 and self.num_unread == 1

    def turn_to(self, angles: tuple[int, ...]) -> None:
        """Read everything again where the remembered keys were computed with other angles than the sequence has now."""
        if angles != self.angles:
            self.slot.length = 0
            self.angles = angles

    def append(self, token: int) -> str | None:
        """Take the sampled token; the reason when it was the last."""
        self.ids.append(token)
        if token in self.request.stop_token_ids:
            return STOP
        return LENGTH if self.num_generated == self.request.max_tokens else None


class ScheduledTokens(NamedTuple):
    """The tokens of one request that a step computes."""

    live: RunningRequest
    num_tokens: int

    @property
    def samples(self) -> bool:
        """Whether a token follows: not after the inner chunks of a prompt."""
        return self.num_tokens == self.live.num_unread


@dataclass(frozen=True, kw_only=True)
class StepLimits:
    """The most tokens and requests that a step computes."""

    max_live: int = 64
    "Sequences side by side."
    prompt_tokens_alone: int = 1024
    "Prompt tokens of a step in which nothing decodes: enough to use the machine well."
    prompt_tokens_beside_decoding: int = 128
    "Prompt tokens of a step that others wait for: their next token comes this much later."


class Scheduler:
    """The scheduler of an engine: requests that wait, and requests that run."""

    def __init__(self, cache: KVCache, limits: StepLimits, angles: RotaryRules | None = None) -> None:
        self._cache = cache
        self._limits = limits
        self._angles = angles or RotaryRules()
        self.waiting: deque[EngineRequest] = deque()
        self.live: list[RunningRequest] = []

    @property
    def requests(self) -> list[EngineRequest]:
        return [live.request for live in self.live] + list(self.waiting)

    def submit(self, request: EngineRequest) -> None:
        self.waiting.append(request)

    def plan(self) -> list[ScheduledTokens]:
        """The next step: one token of each that decodes, then prompts in the order they came."""
        for live in self.live:
            live.turn_to(self._angles.alike(len(live.ids)))
        turns = [ScheduledTokens(live, 1) for live in self.live if live.decodes]
        room = self._limits.prompt_tokens_beside_decoding if turns else self._limits.prompt_tokens_alone
        for live in (live for live in self.live if not live.decodes):
            if room > 0:
                turns.append(self._read_prompt(live, room))
                room -= turns[-1].num_tokens
        while room > 0 and (admitted := self._admit()) is not None:
            turns.append(self._read_prompt(admitted, room))
            room -= turns[-1].num_tokens
        return turns

    def end(self, request_id: str) -> bool:
        """Forget a request, waiting or living; False when there is none (it ended by itself in the meantime)."""
        for live in self.live:
            if live.request.id == request_id:
                self.live.remove(live)
                self._cache.give_back(live.slot)
                return True
        for request in self.waiting:
            if request.id == request_id:
                self.waiting.remove(request)
                return True
        return False

    def _admit(self) -> RunningRequest | None:
        """The longest waiting request, if there is room. Nobody overtakes, or a large one would wait for ever."""
        if not self.waiting or len(self.live) == self._limits.max_live:
            return None
        request = self.waiting[0]
        slot = self._cache.take(request.num_reserved)
        if slot is None:
            return None
        self.waiting.popleft()
        generator = random.Random(request.sampling.seed)
        ids = list(request.prompt_ids)
        live = RunningRequest(
            request=request, slot=slot, generator=generator, ids=ids, angles=self._angles.alike(len(ids))
        )
        self.live.append(live)
        return live

    @staticmethod
    def _read_prompt(live: RunningRequest, room: int) -> ScheduledTokens:
        most = live.request.prompt_tokens_per_step or room
        return ScheduledTokens(live, min(room, most, live.num_unread))
