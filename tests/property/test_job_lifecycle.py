"""Whatever is asked, in whatever order, and whoever is killed: jobs move as Bedrock's state table says.

Real rooms on a real database, and real training of a network of two layers; a kill breaks the worker off between two
words that it reports, after which a restarted process opens everything anew.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outcrop.customization.kind import KIND
from outcrop.customization.states import LIFECYCLE, JobStatus, Phase
from outcrop.errors import Conflict, Invalid, NotFound
from tests.support.homes import with_tiny_models
from tests.support.job_house import REGION, JobHouse, Killed

NAMES = ["ada", "bea", "cora"]
ENDED = LIFECYCLE.ended
_STARTED = ("InProgress", "Completed", "Stopped", "Failed")


def reachable(status: JobStatus) -> set[JobStatus]:
    """What a job may be by the next look: itself, or anything the table leads to."""
    found, ahead = {status}, [status]
    while ahead:
        new = LIFECYCLE.following(ahead.pop()) - found
        found |= new
        ahead += new
    return found


class Lifecycle(RuleBasedStateMachine):
    """A person with three names for jobs, a worker that may be killed, and the records between them."""

    homes: list[Path] = []  # noqa: RUF012 (the class is one test; a base model is made once for its runs)

    def __init__(self) -> None:
        super().__init__()
        if not self.homes:
            self.homes.append(with_tiny_models(Path(tempfile.mkdtemp(prefix="lifecycle"))))
        self.home = Path(tempfile.mkdtemp(prefix="lifecycle"))
        for part in ("models.toml", "tiny"):
            source = self.homes[0] / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, self.home / part)
        self.house = JobHouse(self.home)
        self.seen: dict[str, JobStatus] = {}
        self.arns: dict[str, str] = {}
        self.deleted: set[str] = set()

    def teardown(self) -> None:
        self.house.context.store.close()
        shutil.rmtree(self.home)

    @rule(name=st.sampled_from(NAMES))
    def create(self, name: str) -> None:
        if name in self.arns:  # used up for ever
            with pytest.raises(Invalid, match=r"^The provided job name is currently in use\.$"):
                self.house.create(name)
        else:
            self.arns[name] = self.house.create(name, more={"epochCount": "1", "outcrop.evaluationsPerEpoch": "1"})

    @precondition(lambda self: self.arns)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.arns)))
        before, began = self.status(name), self.began(name)
        try:
            self.house.context.jobs.request_stop(self.arns[name])
        except Conflict:
            assert before in ENDED
        else:
            assert (before in ENDED, self.status(name)) == (
                False,
                JobStatus.STOPPING if began else JobStatus.STOPPED,
            )

    @precondition(lambda self: self.arns)
    @rule(data=st.data())
    def stop_while_a_worker_has_taken_it(self, data: st.DataObject) -> None:
        """Between the worker's lease and its first step: the job is stopped, and the worker leaves it alone."""
        name = data.draw(st.sampled_from(sorted(self.arns)))
        if self.status(name) in ENDED or self.began(name):
            return
        begin = self.house.context.jobs.begin

        def stop_then_begin(job_arn: str) -> None:
            self.house.context.jobs.request_stop(job_arn)
            begin(job_arn)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.house.context.jobs, "begin", stop_then_begin)
            assert self.house.work(self.arns[name])
        assert self.status(name) is JobStatus.STOPPED

    @rule(kill_after=st.none() | st.integers(0, 8))
    def work(self, kill_after: int | None) -> None:
        """The worker takes the oldest job that has not ended; perhaps it is killed on the way."""
        waiting = [arn for name, arn in self.arns.items() if self.status(name) not in ENDED]
        if not waiting:
            return
        told: list[str] = []

        def report(words: str) -> None:
            told.append(words)
            if len(told) == kill_after:
                raise Killed

        try:
            assert self.house.work(waiting[0], report=report)
        except Killed:
            self.house.reopen()
        else:
            assert self.house.context.jobs.get(waiting[0]).status in ENDED

    @rule()
    def restart_the_server(self) -> None:
        self.house.reopen()

    @rule(name=st.sampled_from(NAMES))
    def delete_the_model(self, name: str) -> None:
        try:
            model = self.house.context.models.find(REGION, name)
        except NotFound:
            return
        self.house.context.models.remove(model.arn)
        self.deleted.add(name)

    @invariant()
    def every_move_is_in_the_table(self) -> None:
        for name in self.arns:
            now = self.status(name)
            assert now in reachable(self.seen.get(name, JobStatus.IN_PROGRESS)), (name, self.seen.get(name), now)
            self.seen[name] = now

    @invariant()
    def a_model_is_there_when_its_job_is_completed_and_only_then(self) -> None:
        models = self.house.context.models
        for name, arn in self.arns.items():
            there = models.look(REGION, name) is not None
            assert there == (self.status(name) is JobStatus.COMPLETED and name not in self.deleted), name
            if self.status(name) in (JobStatus.STOPPED, JobStatus.FAILED):
                assert not models.folder(self.document(arn)["modelArn"]).exists()

    @invariant()
    def phases_come_in_their_order_and_end_with_the_job(self) -> None:
        for name, arn in self.arns.items():
            details = self.document(arn)["statusDetails"]
            phases = [details[phase]["status"] for phase in Phase]
            started = [phase for phase in phases if phase in _STARTED]
            assert phases == started + ["NotStarted"] * (3 - len(started)), phases
            assert set(started[:-1]) <= {"Completed"}, phases
            ended = self.status(name) in ENDED
            assert ended == ("endTime" in self.document(arn))
            assert not (ended and "InProgress" in phases), phases
            assert self.status(name) is not JobStatus.FAILED, self.document(arn).get("failureMessage")

    @invariant()
    def every_job_ever_created_is_listed(self) -> None:
        assert {row.name for row in self.house.context.store.resources.all(KIND.name)} == set(self.arns)

    @invariant()
    def what_an_ended_job_needed_is_gone(self) -> None:
        runs = self.house.settings.runs
        left = {path.name for path in runs.iterdir()} if runs.exists() else set()
        assert left.isdisjoint(arn.rsplit("/", 1)[-1] for name, arn in self.arns.items() if self.status(name) in ENDED)

    def status(self, name: str) -> JobStatus:
        return JobStatus(self.house.context.jobs.get(self.arns[name]).status)

    def began(self, name: str) -> bool:
        return "beganTime" in self.document(self.arns[name])

    def document(self, arn: str) -> dict[str, Any]:
        return dict(self.house.context.jobs.get(arn).document)


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(
    max_examples=settings().max_examples // 16,  # three every day
    stateful_step_count=12,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
