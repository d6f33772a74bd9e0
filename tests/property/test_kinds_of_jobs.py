"""Whatever is asked of jobs of any kind, in whatever order, and whoever dies: each moves as its kind's table says."""

import shutil
import tempfile
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outcrop.clock import MovableClock
from outcrop.customization.kind import KIND as CUSTOMIZATION
from outcrop.errors import Conflict, Invalid
from outcrop.jobs.execution import execute
from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.jobs.leases import LEASE, MAX_ATTEMPTS, Lease, Leases
from outcrop.jobs.running import Interrupted, RunningJob
from tests.support.toy_house import ToyHouse
from tests.support.toy_jobs import LIGHT, State

OUTCOMES = ["done", "refused", "broken", "interrupted", "killed"]


class Killed(BaseException):
    """The death of a process by `kill -9`."""


def follow(house: Any, job: RunningJob) -> None:
    """Goes through its phases, or states on the way, then does what the machine has chosen."""
    for phase in job.kind.phases:
        job.enter(phase)
    if job.kind.name == LIGHT.name:
        job.move(State.NAPPING)
    job.check()
    match house.outcome:
        case "refused":
            raise Invalid("no bed: none is free. Make one.")
        case "broken":
            raise ZeroDivisionError
        case "interrupted":
            raise Interrupted("The worker is to end.")
        case "killed":
            raise Killed


# With phases; with states on the way; with neither, and not to be stopped. Tables, phases and names are real ones.
KINDS = (
    replace(CUSTOMIZATION, worker=WorkerClass.LIGHT, run=follow, tidy=lambda _house, _arn: None),
    replace(LIGHT, run=follow),
    replace(LIGHT, name="import-job", stopping=None, run=follow),
)


class Bench:
    """A worker's rooms, and what its next job will do."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome


class JobsOfAnyKind(RuleBasedStateMachine):
    """Some owners, some workers, and the records between them."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="kinds"))
        self.house = ToyHouse.open(self.home, KINDS)
        self.leases = Leases(self.house.store, KINDS)
        self.kinds: dict[str, JobKind[Any]] = {}
        self.seen: dict[str, str] = {}
        self.priority: dict[str, int] = {}
        self.parent: dict[str, str] = {}
        self.held: dict[str, tuple[Lease, datetime]] = {}

    def teardown(self) -> None:
        self.house.store.close()
        shutil.rmtree(self.home)

    @rule(
        kind=st.sampled_from(KINDS),
        owner=st.sampled_from(["ada", "bea"]),
        priority=st.integers(-1, 1),
        child=st.booleans(),
        data=st.data(),
    )
    def add(self, kind: JobKind[Any], owner: str, priority: int, child: bool, data: st.DataObject) -> None:
        parent = data.draw(st.sampled_from(sorted(self.kinds))) if child and self.kinds else None
        try:
            arn = self.house.add(f"job-{len(self.kinds)}", kind, owner=owner, priority=priority, parent=parent)
        except Conflict:
            assert parent is not None
            assert self.is_over(parent)
            return
        assert parent is None or not self.is_over(parent)
        self.kinds[arn], self.priority[arn] = kind, priority
        if parent is not None:
            self.parent[arn] = parent

    @rule(worker=st.sampled_from(["w1", "w2"]), outcome=st.sampled_from(OUTCOMES))
    def take_and_work(self, worker: str, outcome: str) -> None:
        lease = self.leases.take(worker, now=self.house.clock.now())
        free = [arn for arn in self.kinds if not self.has_ended(arn) and self.is_free(arn, worker)]
        if lease is None:
            assert free == []
            return
        assert lease.job in free
        begun = [arn for arn in free if arn in self.held]
        assert self.priority[lease.job] == max(self.priority[arn] for arn in begun or free)
        self.held[lease.job] = lease, self.house.clock.now()
        assert lease.attempts <= MAX_ATTEMPTS + 1
        self.work(lease, outcome)

    def work(self, lease: Lease, outcome: str) -> None:
        before = self.status(lease.job)
        bench = Bench(outcome)
        job = RunningJob(self.house.jobs, lease.kind, lease.job, attempt=lease.attempts, stop=threading.Event())
        job.see_children_off = lambda: self.house.jobs.stop_children(lease.job)  # type: ignore[method-assign]
        try:
            ended = execute(bench, job)
        except Killed:
            return
        assert ended == self.has_ended(lease.job)
        if not ended:
            assert outcome == "interrupted"
            return
        kind, after = lease.kind, self.status(lease.job)
        if before == kind.stopping:
            assert after == (kind.failed if lease.attempts > MAX_ATTEMPTS else kind.stopped) or after == kind.stopped
        elif lease.attempts <= MAX_ATTEMPTS:
            assert after == (kind.completed if outcome == "done" else kind.failed)
        self.leases.release(lease, now=self.house.clock.now())
        del self.held[lease.job]

    @precondition(lambda self: self.kinds)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        arn = data.draw(st.sampled_from(sorted(self.kinds)))
        kind, before, began = self.kinds[arn], self.status(arn), "beganTime" in self.house.get(arn).document
        try:
            self.house.jobs.request_stop(arn)
        except Conflict:
            assert kind.stopping is None or before in kind.lifecycle.ended
        else:
            assert self.status(arn) == (kind.stopping if began else kind.stopped)

    @rule(seconds=st.sampled_from([1, int(LEASE.total_seconds()) + 1]))
    def time_passes(self, seconds: int) -> None:
        assert isinstance(self.house.clock, MovableClock)
        self.house.clock.move(timedelta(seconds=seconds))

    @invariant()
    def every_move_is_in_its_kind_s_table(self) -> None:
        for arn, kind in self.kinds.items():
            now = self.status(arn)
            assert now in reachable(kind, self.seen.get(arn, kind.first)), (arn, self.seen.get(arn), now)
            self.seen[arn] = now

    @invariant()
    def what_has_ended_says_when_and_has_no_phase_running(self) -> None:
        for arn, kind in self.kinds.items():
            document = self.house.get(arn).document
            phases = [document["statusDetails"][phase]["status"] for phase in kind.phases]
            assert self.has_ended(arn) == ("endTime" in document)
            assert not (self.has_ended(arn) and "InProgress" in phases)
            assert phases == sorted(phases, key=lambda status: status == "NotStarted")

    @invariant()
    def no_child_outlives_its_parent_unasked(self) -> None:
        for child, parent in self.parent.items():
            if self.is_over(parent) and self.kinds[child].stopping is not None:
                assert self.is_over(child)

    @invariant()
    def the_queue_knows_who_runs(self) -> None:
        running = [job.arn for kind in KINDS for job in self.house.jobs.running(kind)]
        assert sorted(running) == sorted(arn for arn in self.kinds if not self.has_ended(arn))

    def status(self, arn: str) -> str:
        return self.house.get(arn).status

    def has_ended(self, arn: str) -> bool:
        return self.status(arn) in self.kinds[arn].lifecycle.ended

    def is_over(self, arn: str) -> bool:
        """Ended, or asked to."""
        return self.has_ended(arn) or self.status(arn) == self.kinds[arn].stopping

    def is_free(self, arn: str, worker: str) -> bool:
        if arn not in self.held:
            return True
        lease, taken = self.held[arn]
        return lease.worker == worker or taken + LEASE <= self.house.clock.now()


def reachable(kind: JobKind[Any], status: str) -> set[str]:
    """What a job may be by the next look: itself, or anything the table leads to."""
    found, ahead = {status}, [type(kind.first)(status)]
    while ahead:
        new = kind.lifecycle.following(ahead.pop()) - found
        found |= new
        ahead += new
    return found


TestJobsOfAnyKind = JobsOfAnyKind.TestCase
TestJobsOfAnyKind.settings = settings(max_examples=15, stateful_step_count=25, derandomize=True, deadline=None)
