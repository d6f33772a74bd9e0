"""A request on its way to its last token: what was generated so far, and its place in the cache."""

import random
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from outcrop.inference.cache_pool import CacheRow
from outcrop.inference.prefix_cache import PrefixSpace
from outcrop.inference.request import LENGTH, STOP, EngineRequest
from outcrop.inference.sampling import SamplingRow


@dataclass(kw_only=True, eq=False)
class RunningRequest:
    """A request that waits or is being generated.

    One that gave way to others waits again with all it has generated, and reads it once more when it has a place.
    """

    request: EngineRequest
    ids: list[int]
    "The prompt and what was generated; the first `slot.length` of them are in the cache."
    place: CacheRow | None = None
    "None while it waits."
    angles: tuple[int, ...] = ()
    "What the rotary positions of the remembered keys were computed for; see `RotaryRules.alike`."
    num_cached: int | None = None
    "Tokens of the prompt that others had read; None until it begins."

    @property
    def slot(self) -> CacheRow:
        """Its place, which it has in every step."""
        assert self.place is not None, "only a request with a place takes part in a step"
        return self.place

    @cached_property
    def generator(self) -> random.Random:
        """The source of its random numbers, made at the first of them and kept to the last, whatever comes between."""
        return random.Random(self.request.sampling.seed)

    @property
    def num_generated(self) -> int:
        return len(self.ids) - len(self.request.prompt_ids)

    @property
    def sampling_row(self) -> SamplingRow:
        return SamplingRow(self.request.sampling, self.generator, self.ids, self.num_generated)

    @property
    def space(self) -> PrefixSpace:
        """Whom it may share the reading of a common beginning with."""
        return PrefixSpace(self.request.adapter, self.angles, self.request.cache_salt)

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
