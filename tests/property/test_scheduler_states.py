"""Whatever happens to an engine's requests, each is answered as if it had been alone.

The network of these tests is a sum that anybody can check: what it remembers of a position depends on all tokens before
it, and it reads that from the cache, so that a row that was mixed up, moved wrongly or shared wrongly gives another
answer. The reference adds up the same sums without a cache.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple
from unittest.mock import patch

import torch
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outcrop.inference import kv_cache
from outcrop.inference.cache_pool import CacheRow, LayerShape
from outcrop.inference.kv_cache import KVCache
from outcrop.inference.request import EngineRequest, Sampling
from outcrop.inference.running_request import RunningRequest, ScheduledTokens
from outcrop.inference.scheduler import Scheduler, StepLimits
from outcrop.network.rotary_lengths import RotaryRule, RotaryRules

CONTEXT = 160
MAX_POSITIONS = 390
"Of the whole cache: two of the longest, and little beside them."
POSITION_BYTES = 2 * 4
LIMITS = StepLimits(max_live=4, prompt_tokens_alone=40, prompt_tokens_beside_decoding=12, prompt_tokens_for_many=24)
ADAPTERS = (None, None, "red#1", "red#2")
MODULUS = 9973
STEPS_ENOUGH = 20_000


class Wish(NamedTuple):
    """What is drawn of a request."""

    common: int
    "Tokens that its prompt has in common with others."
    num_own: int
    max_tokens: int
    seed: int
    temperature: float
    background: bool
    adapter: str | None
    salt: str | None
    per_step: int | None

    def request(self, name: str) -> EngineRequest:
        own = random.Random(self.seed)
        num_own = max(self.num_own, 1 - self.common)
        ids = [*(n % 50 for n in range(self.common)), *(own.randrange(50) for _ in range(num_own))]
        return EngineRequest(
            id=name,
            prompt_ids=tuple(ids),
            max_tokens=min(self.max_tokens, CONTEXT - len(ids)),
            sampling=Sampling(seed=self.seed, temperature=self.temperature),
            stop_token_ids=frozenset({13}) if self.seed > 5 else frozenset(),
            adapter=self.adapter,
            cache_salt=self.salt,
            background=self.background,
            prompt_tokens_per_step=self.per_step,
        )


wishes = st.builds(
    Wish,
    common=st.sampled_from([0, 20, 33, 64, 100]),
    num_own=st.integers(0, 30),
    max_tokens=st.integers(1, 60),
    seed=st.integers(0, 9),
    temperature=st.sampled_from([0.0, 1.0]),
    background=st.booleans(),
    adapter=st.sampled_from(ADAPTERS),
    salt=st.sampled_from([None, None, "salt"]),
    per_step=st.sampled_from([None, None, 5]),
)


def remembered(before: int, token: int, position: int, adapter: str | None, angles: Sequence[int]) -> int:
    """What the network remembers of a token after what it remembers of the one before."""
    return (31 * before + 7 * token + position + sum(map(ord, adapter or "")) + sum(angles)) % MODULUS


def states_of(ids: Sequence[int], adapter: str | None, angles: Sequence[int], known: Sequence[int] = ()) -> list[int]:
    """What is remembered of each token of a sequence, of which the first may be known."""
    states = list(known)
    for position in range(len(states), len(ids)):
        states.append(remembered(states[-1] if states else 0, ids[position], position, adapter, angles))
    return states


def sampled(state: int, request: EngineRequest, generator: random.Random) -> int:
    drawn = generator.randrange(50) if request.sampling.temperature else 0
    return (state + drawn) % 50


class Alone:
    """The plain reference: a request without a cache, without others."""

    def __init__(self, request: EngineRequest, angles: RotaryRules) -> None:
        ids, generator = list(request.prompt_ids), random.Random(request.sampling.seed)
        self.answer: list[int] = []
        states: list[int] = []
        known = angles.alike(len(ids))
        for _ in range(request.max_tokens):
            turn = angles.alike(len(ids))
            states = states_of(ids, request.adapter, turn, states if turn == known else [])
            known = turn
            token = sampled(states[-1], request, generator)
            self.answer.append(token)
            ids.append(token)
            if token in request.stop_token_ids:
                break


class SchedulerStates(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._patch = patch.object(kv_cache, "SHORTEST_ROW", 16)
        self._patch.start()
        # From 90 tokens on everything is read anew, with other angles.
        self.angles = RotaryRules(rules=(RotaryRule(border=90, grows=False),))
        self.cache = KVCache(
            [LayerShape(1, 1, 1)],
            like=torch.empty(0),
            context_length=CONTEXT,
            max_bytes=MAX_POSITIONS * POSITION_BYTES,
        )
        self.scheduler = Scheduler(self.cache, LIMITS, self.angles)
        self.expected: dict[str, list[int]] = {}
        self.made: dict[str, list[int]] = {}
        self.running: dict[str, EngineRequest] = {}

    @rule(asked=st.lists(wishes, min_size=1, max_size=6))
    def submit(self, asked: list[Wish]) -> None:
        for wish in asked:
            request = wish.request(str(len(self.expected)))
            assert self.cache.could_hold(request.num_reserved)
            self.scheduler.submit(request)
            self.expected[request.id] = Alone(request, self.angles).answer
            self.made[request.id] = []
            self.running[request.id] = request

    @rule(num=st.integers(1, 20))
    def steps(self, num: int) -> None:
        for _ in range(num):
            self._step()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.running)))
        assert self.scheduler.end(one) is self.running.pop(one)
        assert self.scheduler.end(one) is None
        made = self.made[one]
        assert made == self.expected[one][: len(made)]

    @rule(adapter=st.sampled_from([one for one in ADAPTERS if one]))
    def forget(self, adapter: str) -> None:
        self.cache.forget(adapter)

    @invariant()
    def the_cache_stays_within_its_limit(self) -> None:
        assert self.cache.size_bytes <= MAX_POSITIONS * POSITION_BYTES
        assert self.cache.kept_bytes <= MAX_POSITIONS * POSITION_BYTES // 4

    @invariant()
    def rows_are_those_of_the_live_without_gaps(self) -> None:
        pools = {live.slot.shelf for live in self.scheduler.live}
        for pool in pools:
            assert [slot.row for slot in pool.slots] == list(range(len(pool.slots)))
        assert {slot for pool in pools for slot in pool.slots} == {live.slot for live in self.scheduler.live}
        held = sum(live.slot.shelf.row_length for live in self.scheduler.live)
        assert self.cache.live_bytes == held * POSITION_BYTES

    @invariant()
    def every_row_remembers_its_own_sequence(self) -> None:
        for live in self.scheduler.live:
            read = live.ids[: live.slot.length]
            assert row_of(live.slot) == states_of(read, live.request.adapter, live.angles)

    def teardown(self) -> None:
        try:
            for _ in range(STEPS_ENOUGH):
                if not self.scheduler.busy:
                    break
                self._step()
            assert not self.scheduler.busy, "somebody waits for ever"
            assert not self.running
            assert self.cache.live_bytes == 0
            for one, made in self.made.items():
                assert made == self.expected[one][: len(made)]
        finally:
            self._patch.stop()

    def _step(self) -> None:
        """One step as the engine makes it."""
        turns = self.scheduler.plan()
        assert bool(turns) == bool(self.running), "whoever can be served is served"
        self._check(turns)
        sampling = [turn.live for turn in turns if turn.samples]
        for turn in turns:
            compute(turn)
        for live in sampling:
            self._sample(live)

    def _sample(self, live: RunningRequest) -> None:
        token = sampled(row_of(live.slot)[-1], live.request, live.generator)
        self.made[live.request.id].append(token)
        if live.append(token) is not None:
            assert self.made[live.request.id] == self.expected[live.request.id]
            del self.running[live.request.id]
            self.scheduler.end(live.request.id)

    def _check(self, turns: Sequence[ScheduledTokens]) -> None:
        background = [turn.live.request.background for turn in turns]
        foreground = [request for request in self.running.values() if not request.background]
        assert not any(background) or not foreground, "the background has no part in a step that others want"
        if any(background):
            prompt_tokens = sum(turn.num_tokens for turn in turns if not turn.live.decodes)
            assert prompt_tokens <= LIMITS.prompt_tokens_beside_decoding
        assert len({id(turn.live) for turn in turns}) == len(turns)
        oldest = foreground[:1]  # `running` keeps the order of asking
        assert all(any(turn.live.request is one for turn in turns) for one in oldest), "the oldest never gives way"
        decoding = {id(live) for live in self.scheduler.live if live.decodes and live.request in foreground}
        assert decoding <= {id(turn.live) for turn in turns}, "whoever decodes has a token in every step"


def compute(turn: ScheduledTokens) -> None:
    """The forward pass: it reads what stands before, and writes one number a position."""
    live, slot = turn.live, turn.live.slot
    read = live.ids[: slot.length + turn.num_tokens]
    states = states_of(read, live.request.adapter, live.angles, row_of(slot))
    for x_RSKD in (slot.shelf.k_RSKD[0], slot.shelf.v_RSKD[0]):
        x_RSKD[slot.row, slot.length : len(states), 0, 0] = torch.tensor(states[slot.length :], dtype=torch.float)
    slot.length = len(states)


def row_of(slot: CacheRow) -> list[int]:
    """What a row remembers."""
    keys, values = (
        x_RSKD[0][slot.row, : slot.length, 0, 0].tolist() for x_RSKD in (slot.shelf.k_RSKD, slot.shelf.v_RSKD)
    )
    assert keys == values
    return [int(value) for value in values]


TestSchedulerStates = SchedulerStates.TestCase
