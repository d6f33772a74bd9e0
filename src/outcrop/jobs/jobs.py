"""Jobs of every kind on record: created, found, moved from state to state. What a job does is not known here.

A job may have a parent, another job that created it and waits for it: whoever stops or ends the parent stops its
children.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from outcrop import arn
from outcrop.clock import Clock
from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.jobs.kinds import JobKind
from outcrop.jobs.queue_records import QueueRecords
from outcrop.jobs.states import PhaseStatus
from outcrop.store.changing import Change, change
from outcrop.store.damage import understood
from outcrop.store.resources import NameTaken, Resource, Row
from outcrop.store.store import Store

_BEGAN = "beganTime"
_OF_AN_END = (_BEGAN, "endTime", "failureMessage")
"Members of the document that a job which begins again has not."


class JobEnded(Conflict):
    """The job has ended already: somebody stopped it before it began."""


class Jobs:
    """The jobs of an installation, on any region. Rows of kinds that are not among `kinds` are nobody's jobs here."""

    def __init__(self, store: Store, clock: Clock, kinds: Collection[JobKind[Any]]) -> None:
        self._store = store
        self._resources = store.resources
        self._queue = QueueRecords(store.engine)
        self._clock = clock
        self._kinds = {kind.name: kind for kind in kinds}

    def add(
        self,
        kind: JobKind[Any],
        *,
        job_arn: str,
        name: str,
        region: str,
        document: Mapping[str, Any],
        owner: str = "",
        priority: int = 0,
        parent: str | None = None,
    ) -> Resource:
        """A new job in its kind's first state, with no phase started.

        `owner`: the user or role that asked for it; of equal priority, owners take turns. Higher priority comes first.
        Raises Invalid, in Bedrock's words, when the name was used, and JobEnded when `parent` stops or has ended.
        """
        now = self._clock.now()
        phases = {phase.value: {"status": PhaseStatus.NOT_STARTED.value} for phase in kind.phases}
        details = {"statusDetails": phases} if phases else {}
        job = Resource(
            arn=job_arn,
            kind=kind.name,
            region=region,
            name=name,
            status=kind.first,
            created=now,
            updated=now,
            document={**document, **details},
        )
        try:
            with self._store.transaction():
                if parent is not None:
                    self._check_may_have_children(parent)
                added = self._resources.add(job)
                self._queue.add(job_arn, kind=kind.name, owner=owner, priority=priority, parent=parent, created=now)
                return added
        except NameTaken as error:
            raise Invalid("The provided job name is currently in use.") from error

    def kind_of(self, job: Resource | Row) -> JobKind[Any]:
        """Raises NotFound for a row that is no job."""
        kind = self._kinds.get(job.kind)
        if kind is None:
            raise NotFound(f"{job.arn}: no job of a kind that this Outcrop knows.")
        return kind

    def get(self, job_arn: str) -> Resource:
        """The job with this ARN. Raises NotFound."""
        row = self._resources.row(job_arn)
        if row is None:
            raise NotFound(f"The job {job_arn} was not found.")
        self.kind_of(row)
        return row.resource()

    def find(self, kind: JobKind[Any], region: str, identifier: str) -> Resource:
        """The job of this kind with this ARN, or with this name in the region. Raises NotFound."""
        by_arn = arn.is_arn(identifier)
        job = self._resources.row(identifier) if by_arn else self._resources.row_named(kind.name, region, identifier)
        if job is None or job.kind != kind.name:
            raise NotFound(f"The {kind.noun} {identifier} was not found.")
        return job.resource()

    def running(self, kind: JobKind[Any]) -> list[Resource]:
        """The jobs of a kind that have not ended, oldest first; ended ones cost nothing."""
        return self._resources.in_states(kind.name, kind.lifecycle.running)

    def children(self, job_arn: str) -> list[Resource]:
        """The jobs that this one has created."""
        found = map(self._resources.get, self._queue.children(job_arn))
        return [job for job in found if job is not None]

    def forget(self, job_arn: str) -> None:
        """Remove an ended job; its children stay, without a parent, and its name can be given again."""
        with self._store.transaction():
            self._resources.remove(job_arn)
            self._queue.remove(job_arn)
            self._store.tags.clear(job_arn)

    def owner_and_priority(self, job_arn: str) -> tuple[str, int]:
        return self._queue.owner_and_priority(job_arn)

    def request_stop(self, job_arn: str) -> Resource:
        """Stop a job and its children; one that never began is stopped at once. Asking again changes nothing.

        Raises Conflict for a job that has ended, or whose kind cannot be stopped.
        """
        kind, now = self.kind_of(self.get(job_arn)), self._clock.now()

        def decide(row: Resource) -> Change | None:
            if row.status in kind.lifecycle.ended or kind.stopping is None:
                raise Conflict(f"The {kind.noun} {row.name} is {row.status} and cannot be stopped.")
            # A worker begins a job by writing that into the same row: one of the two comes first.
            if not _has_begun(row):
                return _checked(kind, row, kind.stopped, {**row.document, "endTime": now.isoformat()})
            return None if row.status == kind.stopping else _checked(kind, row, kind.stopping)

        stopped = self._change(job_arn, decide)
        self.stop_children(job_arn)
        return stopped

    def begin(self, job_arn: str) -> None:
        """A worker begins to work on the job; again, after a crash, changes nothing. Raises JobEnded."""
        now = self._clock.now().isoformat()

        def decide(row: Resource) -> Change | None:
            self._check_not_ended(row)
            return None if _BEGAN in row.document else Change(document={**row.document, _BEGAN: now})

        self._change(job_arn, decide)

    def enter(self, job_arn: str, phase: StrEnum) -> None:
        """The given phase runs; those before it are completed. Entering it again, after a crash, changes nothing,
        nor does entering one that is over: the successor of a killed worker goes through all of them.

        Raises JobEnded.
        """
        now = self._clock.now()

        def decide(row: Resource) -> Change | None:
            phases = self._check_not_ended(row).phases
            details = dict(row.document["statusDetails"])
            if details[phase]["status"] != PhaseStatus.NOT_STARTED:
                return None
            for earlier in phases[: phases.index(phase)]:
                if details[earlier]["status"] != PhaseStatus.COMPLETED:
                    details[earlier] = _entry(details[earlier], PhaseStatus.COMPLETED, now)
            details[phase] = _entry(details[phase], PhaseStatus.IN_PROGRESS, now)
            return Change(document={**row.document, "statusDetails": details})

        self._change(job_arn, decide)

    def move(self, job_arn: str, status: StrEnum) -> None:
        """Move a job to its next state, in kinds with more than one state on the way. To be there already changes
        nothing.

        Raises JobEnded, and Conflict for a transition that the kind's table does not know.
        """

        def decide(row: Resource) -> Change | None:
            kind = self._check_not_ended(row)
            return None if row.status == status else _checked(kind, row, status)

        self._change(job_arn, decide)

    def note(self, job_arn: str, **members: Any) -> None:
        """Write members into the job's document."""
        self._change(job_arn, lambda row: Change(document={**row.document, **members}))

    def end(self, job_arn: str, status: StrEnum, **members: Any) -> Resource:
        """Move the job to an end state, its running phase with it, and stop its children. Raises JobEnded."""
        now = self._clock.now()

        def decide(row: Resource) -> Change:
            kind = self._check_not_ended(row)
            assert status in kind.lifecycle.ended, f"{status}: not an end"
            ended: dict[str, Any] = {"endTime": now.isoformat()}
            if kind.phases:
                at_end = kind.phase_at_end(status)
                ended["statusDetails"] = {
                    phase: _entry(entry, at_end, now) if entry["status"] == PhaseStatus.IN_PROGRESS else entry
                    for phase, entry in row.document["statusDetails"].items()
                }
            return _checked(kind, row, status, {**row.document, **ended, **members})

        ended = self._change(job_arn, decide)
        self.stop_children(job_arn)
        return ended

    def begin_again(self, job_arn: str, renewed: Callable[[Resource], dict[str, Any]]) -> Resource:
        """Put an ended job back into its kind's first state, with the document that `renewed` makes of its row.

        For kinds whose ends somebody may take back: a pipeline execution that is retried. Raises Conflict for a job
        that has not ended, and what `renewed` raises.
        """

        def decide(row: Resource) -> Change:
            kind = self.kind_of(row)
            if row.status not in kind.lifecycle.ended:
                raise Conflict(f"The {kind.noun} {row.arn} is {row.status}.")
            kept = {name: value for name, value in renewed(row).items() if name not in _OF_AN_END}
            return Change(kind.first, kept)

        return self._change(job_arn, decide)

    def fail_damaged(self, job_arn: str) -> None:
        """End a job whose record cannot be read."""
        row = self._resources.row(job_arn)
        kind = None if row is None else self._kinds.get(row.kind)
        self._resources.fail(job_arn, at=self._clock.now(), unless=kind.lifecycle.ended if kind else ())

    def is_stopping(self, job_arn: str) -> bool:
        job = self.get(job_arn)
        return job.status == self.kind_of(job).stopping

    def _change(self, job_arn: str, decide: Callable[[Resource], Change | None]) -> Resource:
        with understood(job_arn):
            return change(self._resources, job_arn, at=self._clock.now(), decide=decide)

    def stop_children(self, job_arn: str) -> None:
        """Stop those that run; a child whose kind cannot be stopped runs to its end."""
        for child in self._queue.children(job_arn):
            with contextlib.suppress(Conflict, NotFound):  # it has ended already, or is gone
                self.request_stop(child)

    def _check_may_have_children(self, parent: str) -> None:
        job = self.get(parent)
        if self._check_not_ended(job).stopping == job.status:
            raise JobEnded(f"{parent}: it is {job.status} and begins nothing more.")

    def _check_not_ended(self, row: Resource) -> JobKind[Any]:
        kind = self.kind_of(row)
        if row.status in kind.lifecycle.ended:
            raise JobEnded(f"{row.arn}: it is {row.status} already.")
        return kind


def _has_begun(row: Resource) -> bool:
    """Whether a worker has begun it; one of an older Outcrop tells by its phases alone."""
    entries = row.document.get("statusDetails", {}).values()
    return _BEGAN in row.document or any(entry["status"] != PhaseStatus.NOT_STARTED for entry in entries)


def _checked(kind: JobKind[Any], row: Resource, status: StrEnum, document: dict[str, Any] | None = None) -> Change:
    """The move, if the kind's table knows it. Raises Conflict."""
    state = type(kind.first)
    kind.lifecycle.check(row.arn, state(row.status), state(status))
    return Change(status, document)


def _entry(before: Mapping[str, str], status: PhaseStatus, now: datetime) -> dict[str, str]:
    moment = now.isoformat()
    return {"status": status.value, "creationTime": before.get("creationTime", moment), "lastModifiedTime": moment}
