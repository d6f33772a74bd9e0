"""Laws of the memory budget, for whoever holds and whoever asks."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from outcrop.engines.budget import FAIR_AFTER, MemoryDecision, MemoryHolder, MemoryRequest, decide

NOW = datetime(2026, 11, 28, tzinfo=UTC)
BUDGET = 20


@st.composite
def holders(draw: st.DrawFn) -> list[MemoryHolder]:
    """Within the budget, or a little beyond: engines grow."""
    found = []
    for number, num_bytes in enumerate(draw(st.lists(st.integers(1, 8), max_size=5))):
        idle_s = draw(st.none() | st.integers(0, 100))
        found.append(
            MemoryHolder(
                name=f"h{number}",
                title=f"h{number}",
                num_bytes=num_bytes,
                stays=draw(st.sampled_from([None, None, "running"])),
                idle_since=None if idle_s is None else NOW - timedelta(seconds=idle_s),
                leaving=draw(st.sampled_from([False, False, True])),
            )
        )
    return found


@st.composite
def askers(draw: st.DrawFn) -> list[MemoryRequest]:
    sizes = draw(st.lists(st.tuples(st.integers(1, 25), st.integers(0, 60)), max_size=5))
    return [
        MemoryRequest(name=f"a{number}", title=f"a{number}", num_bytes=size, since=NOW - timedelta(seconds=waited))
        for number, (size, waited) in enumerate(sizes)
    ]


@given(held=holders(), asked=askers())
def test_nobody_is_admitted_beyond_the_budget(held: list[MemoryHolder], asked: list[MemoryRequest]) -> None:
    decision = decide(BUDGET, held, asked, now=NOW)
    admitted = sum(asker.num_bytes for asker in asked if asker.name in decision.admitted)
    assert not admitted or sum(holder.num_bytes for holder in held) + admitted <= BUDGET


@given(held=holders(), asked=askers())
def test_everybody_who_asks_is_told_one_thing(held: list[MemoryHolder], asked: list[MemoryRequest]) -> None:
    decision = decide(BUDGET, held, asked, now=NOW)
    told = [*decision.admitted, *decision.waiting, *decision.refused]
    assert sorted(told) == sorted(asker.name for asker in asked)
    assert set(decision.refused) == {asker.name for asker in asked if asker.num_bytes > BUDGET}


@given(held=holders(), asked=askers())
def test_what_is_protected_is_never_pushed_out(held: list[MemoryHolder], asked: list[MemoryRequest]) -> None:
    leaving = [holder for holder in held if holder.name in decide(BUDGET, held, asked, now=NOW).leaving]
    assert all(holder.stays is None and not holder.leaving for holder in leaving)
    somebody_waited = any(NOW - asker.since >= FAIR_AFTER for asker in asked)
    assert somebody_waited or all(holder.idle_since is not None for holder in leaving)


@given(held=holders(), asked=askers())
def test_of_those_that_may_go_the_one_idle_longest_goes_first(
    held: list[MemoryHolder], asked: list[MemoryRequest]
) -> None:
    decision = decide(BUDGET, held, asked, now=NOW)
    idle = [h for h in held if h.stays is None and not h.leaving and h.idle_since is not None]
    in_order = [h.name for h in sorted(idle, key=lambda h: (h.idle_since or NOW, h.name))]
    went = [name for name in decision.leaving if name in in_order]
    assert went == in_order[: len(went)]


@given(held=holders(), asked=askers())
def test_nobody_waits_for_ever_where_room_can_be_made(held: list[MemoryHolder], asked: list[MemoryRequest]) -> None:
    """Whoever holds nothing for good is idle in the end, and whoever has started is; then everybody has had a turn."""
    stays = [holder for holder in held if holder.stays is not None]
    for_good = sum(holder.num_bytes for holder in stays)
    waiting = {asker.name: asker for asker in asked if asker.num_bytes + for_good <= BUDGET}
    now, served = NOW, set[str]()
    for _ in range(4 * len(waiting) + 4):
        decision = decide(BUDGET, held, list(waiting.values()), now=now)
        now += timedelta(seconds=1)
        held = _after(held, decision, waiting, now)
        served |= set(decision.admitted)
        waiting = {name: asker for name, asker in waiting.items() if name not in served}
    assert not waiting


def _after(
    held: list[MemoryHolder], decision: MemoryDecision, waiting: dict[str, MemoryRequest], now: datetime
) -> list[MemoryHolder]:
    """Those that had to leave have gone, what was admitted has started, and everybody is idle."""
    stay = [holder for holder in held if holder.name not in decision.leaving and not holder.leaving]
    idle = [
        MemoryHolder(
            name=one.name, title=one.title, num_bytes=one.num_bytes, stays=one.stays, idle_since=one.idle_since or now
        )
        for one in stay
    ]
    started = [
        MemoryHolder(name=name, title=name, num_bytes=waiting[name].num_bytes, idle_since=now)
        for name in decision.admitted
    ]
    return [*idle, *started]
