"""The decision of the memory budget: who is admitted, who goes, who waits and for what."""

from datetime import UTC, datetime, timedelta

from outcrop.engines.budget import FAIR_AFTER, MemoryHolder, MemoryRequest, decide

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
G = 2**30


def holder(
    name: str, gib: int, *, idle_s: float | None = None, stays: str | None = None, leaving: bool = False
) -> MemoryHolder:
    since = None if idle_s is None else NOW - timedelta(seconds=idle_s)
    return MemoryHolder(
        name=name, title=f"the engine of {name}", num_bytes=gib * G, idle_since=since, stays=stays, leaving=leaving
    )


def asker(name: str, gib: int, *, for_s: float = 0) -> MemoryRequest:
    return MemoryRequest(
        name=name, title=f"the engine of {name}", num_bytes=gib * G, since=NOW - timedelta(seconds=for_s)
    )


def test_what_fits_is_admitted_in_the_order_of_asking() -> None:
    decision = decide(4 * G, [holder("a", 1)], [asker("c", 2, for_s=1), asker("b", 1, for_s=2)], now=NOW)
    assert decision.admitted == ("b", "c")
    assert (decision.leaving, decision.waiting, decision.refused) == ((), {}, {})


def test_what_is_idle_longest_goes_first_and_no_more_than_is_needed() -> None:
    holders = [holder("a", 2, idle_s=5), holder("b", 2, idle_s=50), holder("c", 2)]
    decision = decide(6 * G, holders, [asker("d", 1)], now=NOW)
    assert decision.leaving == ("b",)
    assert decision.waiting == {"d": "The engine of d waits for 1.0 GiB of memory, until the engine of b has ended."}


def test_room_that_comes_is_not_made_twice() -> None:
    holders = [holder("a", 2, idle_s=5), holder("b", 2, leaving=True), holder("c", 2)]
    assert decide(6 * G, holders, [asker("d", 2)], now=NOW).leaving == ()
    assert decide(6 * G, holders, [asker("d", 2), asker("e", 2)], now=NOW).leaving == ("a",)


def test_who_stays_is_named_with_the_reason() -> None:
    holders = [
        holder("a", 3, stays="provisioned throughput", idle_s=1000),
        holder("job", 2, stays="running"),
        holder("c", 1),
    ]
    decision = decide(6 * G, holders, [asker("d", 1)], now=NOW)
    assert (decision.admitted, decision.leaving) == ((), ())
    assert decision.waiting["d"] == (
        "The engine of d waits for 1.0 GiB of memory; 6.0 GiB of 6.0 GiB are held, by the engine of a (3.0 GiB, "
        "provisioned throughput), the engine of job (2.0 GiB, running) and the engine of c (1.0 GiB, in use)."
    )


def test_nobody_goes_for_somebody_who_could_not_start_even_then() -> None:
    holders = [holder("a", 1, idle_s=5), holder("job", 4, stays="running")]
    assert decide(6 * G, holders, [asker("d", 3)], now=NOW).leaving == ()


def test_who_cannot_be_admitted_holds_up_nobody_behind() -> None:
    holders = [holder("job", 4, stays="running")]
    decision = decide(6 * G, holders, [asker("big", 3, for_s=9), asker("small", 1)], now=NOW)
    assert decision.admitted == ("small",)


def test_an_engine_in_use_leaves_only_for_whoever_waited_long() -> None:
    holders = [holder("a", 4)]
    assert decide(4 * G, holders, [asker("b", 2)], now=NOW).leaving == ()
    waited = FAIR_AFTER.total_seconds()
    assert decide(4 * G, holders, [asker("b", 2, for_s=waited)], now=NOW).leaving == ("a",)


def test_what_has_grown_beyond_the_budget_pushes_out_what_is_idle() -> None:
    decision = decide(4 * G, [holder("a", 3), holder("b", 2, idle_s=1), holder("c", 1, idle_s=9)], [], now=NOW)
    assert decision.leaving == ("c", "b")


def test_what_is_larger_than_the_budget_is_refused_with_a_mend() -> None:
    decision = decide(4 * G, [], [asker("b", 5)], now=NOW)
    assert decision.refused["b"] == (
        "The engine of b needs about 5.0 GiB of memory, and engines and trainings may hold 4.0 GiB in all. Choose a "
        "smaller model, or raise OUTCROP_MEMORY_LIMIT where the machine has more."
    )
