"""The pool over real records, with engines that are numbers: what starts, what goes, and what its record says."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from outcrop.engines.estimate import PROCESS_BYTES
from outcrop.engines.states import LIFECYCLE, EngineState
from outcrop.errors import Conflict
from outcrop.machine import memory
from tests.support.engines_room import EnginesRoom


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EnginesRoom:
    monkeypatch.setattr(memory, "resident", lambda _pid: 0)  # the tests' own process holds what it holds
    return EnginesRoom(tmp_path)


def test_an_engine_that_is_ordered_starts_and_is_ready(room: EnginesRoom) -> None:
    room.order("a")
    seen = []
    for _ in range(3):
        seen.append(room.states()["a"])
        room.rounds(1)
    assert seen == ["Ordered", "Starting", "Ready"]
    assert room.found("a").estimated_bytes == PROCESS_BYTES + 4 * 1000


def test_five_models_are_used_in_turn_where_two_have_room(room: EnginesRoom) -> None:
    names = ["a", "b", "c", "d", "e"]
    for name in names * 3:
        room.use(name)
        held = sum(process.held_bytes for process in room.launcher.processes.values())
        assert held <= room.sharing.budget_bytes
    assert sorted(room.states().values()) == ["Evicted", "Evicted", "Evicted", "Ready", "Ready"]
    assert room.launcher.started == names * 3  # the one used longest ago goes, which is the one needed soonest


def test_what_an_engine_holds_corrects_its_estimate(room: EnginesRoom) -> None:
    for name in ("a", "b"):
        room.use(name)
        room.launcher.processes[name].held_bytes = held = PROCESS_BYTES // 2
    room.rounds(1)
    assert room.found("a").held_bytes == held
    room.use("c")  # beside them, since they hold less than was estimated
    assert room.states() == {"a": "Ready", "b": "Ready", "c": "Ready"}
    room.use("d")
    assert room.states() == {"a": "Evicted", "b": "Evicted", "c": "Ready", "d": "Ready"}
    assert room.found("a").estimated_bytes == held


def test_an_engine_in_use_and_one_of_provisioned_throughput_stay(room: EnginesRoom) -> None:
    room.use("a")
    room.use("b")
    room.provisioned = {"a"}
    room.launcher.processes["b"].running = 1
    room.order("c")
    room.rounds(3)
    assert room.states() == {"a": "Ready", "b": "Ready", "c": "Ordered"}
    assert "the engine of a (401 MiB, provisioned throughput)" in (room.found("c").waits or "")
    assert "the engine of b (401 MiB, in use)" in (room.found("c").waits or "")
    room.launcher.processes["b"].running = 0
    room.rounds(4)
    assert room.states() == {"a": "Ready", "b": "Evicted", "c": "Ready"}
    assert room.found("c").waits is None


def test_an_engine_that_answered_nobody_yet_is_kept_for_whoever_waited(room: EnginesRoom) -> None:
    for name in ("a", "b"):
        room.order(name)
    room.rounds(3)
    room.order("c")
    room.rounds(3)
    assert room.states()["c"] == "Ordered"
    assert "just started" in (room.found("c").waits or "")
    room.launcher.answer("b")
    room.rounds(4)
    assert room.states() == {"a": "Ready", "b": "Evicted", "c": "Ready"}


def test_an_engine_in_use_all_the_time_ends_with_its_requests_after_a_while(room: EnginesRoom) -> None:
    for name in ("a", "b"):
        room.use(name)
        room.launcher.processes[name].running = 1
    room.order("c")
    room.rounds(10)
    assert room.states()["c"] == "Ordered"
    for _ in range(12):
        room.order("c")
        room.rounds(1)
    assert room.states() == {"a": "Leaving", "b": "Ready", "c": "Ordered"}  # it answers those it has
    room.launcher.processes["a"].alive = False
    room.rounds(4)
    assert room.states() == {"a": "Evicted", "b": "Ready", "c": "Ready"}


def test_a_wish_that_nobody_repeats_lapses(room: EnginesRoom) -> None:
    for name in ("a", "b"):
        room.use(name)
    room.provisioned = {"a", "b"}
    room.order("c")
    room.rounds(70)
    assert room.states()["c"] == "Evicted"
    room.order("c")
    assert room.states()["c"] == "Ordered"


def test_what_can_never_start_is_given_up_with_the_reason(room: EnginesRoom) -> None:
    room.order("big", num_parameters=10**9)
    room.rounds(2)
    order = room.found("big")
    assert order.state is EngineState.BROKEN
    assert (order.failure or "").startswith("The engine of big needs about 4.1 GiB of memory, and engines and ")


def test_what_is_needed_no_more_ends(room: EnginesRoom) -> None:
    room.use("a")
    room.engines.clear()
    room.rounds(1)
    assert room.launcher.processes == {}


def test_last_use_is_written_now_and_then_not_with_every_request(room: EnginesRoom) -> None:
    room.use("a")
    room.rounds(6)
    first = room.found("a").last_used
    assert first is not None
    versions = set()
    for _ in range(20):
        room.launcher.answer("a")
        room.rounds(1)
        row = room.store.resources.get("engine/a")
        assert row is not None
        versions.add(row.version)
    assert len(versions) <= 5
    assert (room.found("a").last_used or first) > first


def test_an_engine_that_does_not_start_is_given_up_with_its_words(room: EnginesRoom) -> None:
    room.order("a")
    room.rounds(2)
    room.launcher.processes["a"].failure = "a: no weights."
    room.rounds(1)
    assert room.found("a").failure == "The engine of a does not start: a: no weights."


def test_a_training_pushes_out_what_is_idle_and_is_never_pushed_out(room: EnginesRoom) -> None:
    room.use("a")
    room.use("b")
    room.reservations.ask("arn:job", "the training job", PROCESS_BYTES)
    room.rounds(3)
    reserved = room.reservations.of("arn:job")
    assert reserved is not None
    assert reserved.granted_bytes == PROCESS_BYTES
    assert room.states() == {"a": "Evicted", "b": "Ready"}
    room.launcher.processes["b"].running = 1
    room.order("a")
    room.rounds(2)
    assert "the training job (401 MiB, running)" in (room.found("a").waits or "")
    room.reservations.give_back("arn:job")
    room.rounds(3)
    assert room.states() == {"a": "Ready", "b": "Ready"}


def test_a_worker_admits_itself_where_there_is_room(room: EnginesRoom) -> None:
    told: list[str] = []
    with room.sharing.held("arn:job", "the training job", PROCESS_BYTES, until=lambda: False, waits=told.append):
        room.sharing.grow("arn:job", 2 * PROCESS_BYTES, until=lambda: False, waits=told.append)
        reserved = room.reservations.of("arn:job")
        assert reserved is not None
        assert (reserved.granted_bytes, reserved.missing_bytes) == (2 * PROCESS_BYTES, 0)
        with pytest.raises(Exception, match=r"^The training job needs about .* raise OUTCROP_MEMORY_LIMIT"):
            room.sharing.grow("arn:job", 5 * PROCESS_BYTES, until=lambda: False, waits=told.append)
    assert room.reservations.all() == []
    assert told == []


def test_a_worker_that_waits_says_for_what_until_it_is_to_stop(room: EnginesRoom) -> None:
    room.use("a")
    room.use("b")
    told: list[str] = []
    with room.sharing.held(
        "arn:job", "the training job", 2 * PROCESS_BYTES, until=lambda: bool(told), waits=told.append
    ):
        pass
    assert len(told) == 1
    assert told[0].startswith("The training job waits for 801 MiB of memory; 801 MiB of 841 MiB are held, by ")


def test_a_reservation_ends_with_its_process_however_it_ends(room: EnginesRoom, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from outcrop.clock import SystemClock;"
        "from outcrop.settings import Settings; from outcrop.store.store import Store;"
        "from outcrop.engines.sharing import MemorySharing;"
        "s = Settings(home=Path(sys.argv[1])); m = MemorySharing.open(Store.open(s), SystemClock(), s);"
        "m.reservations.ask('arn:job', 'the training job', 1); print('asked', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "home")], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"asked\n"
        assert [one.owner for one in room.reservations.all()] == ["arn:job"]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert room.reservations.all() == []


@pytest.mark.parametrize("now", EngineState)
@pytest.mark.parametrize("then", EngineState)
def test_a_record_goes_from_state_to_state_by_the_table(room: EnginesRoom, now: EngineState, then: EngineState) -> None:
    row = room.store.resources.replace(
        room.store.resources.get(f"engine/{room.order('a').name}"),  # type: ignore[arg-type]
        at=room.clock.now(),
        status=now,
    )
    if then is now or then in LIFECYCLE.following(now):
        room.engines.enter("a", then)
        assert room.states()["a"] == then
    else:
        with pytest.raises(Conflict, match=rf"^The engine of a: it is {now} and cannot become {then}\.$"):
            room.engines.enter("a", then)
        assert room.states()["a"] == row.status


def test_the_numbers_of_an_engine_are_told_often_while_it_works_and_seldom_while_it_rests(room: EnginesRoom) -> None:
    room.use("a")
    room.rounds(70)
    told = [numbers for name, numbers in room.measured if name == "a"]
    assert sum(numbers["AnsweredRequests"] for numbers in told) == 1
    assert all(numbers["RunningRequests"] == 0 for numbers in told)
    assert len(told) <= 4  # at its start, after its answer, and once a minute
    room.launcher.processes["a"].running = 2
    room.rounds(30)
    working = [numbers for _, numbers in room.measured[len(told) :]]
    assert len(working) >= 4
    assert all(numbers["RunningRequests"] == 2 for numbers in working)
    assert working[-1]["ResidentBytes"] == room.found("a").held_bytes > 0


def test_an_engine_started_anew_counts_its_requests_from_nothing(room: EnginesRoom) -> None:
    room.use("a")
    room.launcher.processes["a"].answered = 5
    room.rounds(10)
    room.launcher.processes["a"].answered = 2
    room.rounds(10)
    assert sum(numbers["AnsweredRequests"] for _, numbers in room.measured) == 7
