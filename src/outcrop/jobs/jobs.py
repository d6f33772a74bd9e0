"""Customization jobs on record: created, found, moved from state to state. What a job does is not known here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from outcrop import arn
from outcrop.clock import Clock
from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.jobs.states import ENDED, LIFECYCLE, JobStatus, Phase, PhaseStatus, phase_at_end
from outcrop.store.changing import Change, change
from outcrop.store.damage import understood
from outcrop.store.resources import NameTaken, Resource, Row
from outcrop.store.store import Store

KIND = "model-customization-job"


class JobEnded(Conflict):
    """The job has ended already: somebody stopped it before it began."""


class Jobs:
    """The jobs of an installation, on any region."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._resources = store.resources
        self._clock = clock

    def add(self, *, job_arn: str, name: str, region: str, document: Mapping[str, Any]) -> Resource:
        """A new job, InProgress with no phase started. Raises Invalid, in Bedrock's words, when the name was used."""
        now = self._clock.now()
        phases = {phase.value: {"status": PhaseStatus.NOT_STARTED.value} for phase in Phase}
        job = Resource(
            arn=job_arn,
            kind=KIND,
            region=region,
            name=name,
            status=JobStatus.IN_PROGRESS,
            created=now,
            updated=now,
            document={**document, "statusDetails": phases},
        )
        try:
            return self._resources.add(job)
        except NameTaken as error:
            raise Invalid("The provided job name is currently in use.") from error

    def get(self, job_arn: str) -> Resource:
        """Raises NotFound."""
        return self.find("", job_arn)  # an ARN needs no region

    def find(self, region: str, identifier: str) -> Resource:
        """The job with this ARN or name. Raises NotFound."""
        return self.row(region, identifier).resource()

    def row(self, region: str, identifier: str) -> Row:
        """The same, not taken apart: jobs are asked for again and again. Raises NotFound."""
        by_arn = arn.is_arn(identifier)
        job = self._resources.row(identifier) if by_arn else self._resources.row_named(KIND, region, identifier)
        if job is None or job.kind != KIND:
            raise NotFound(f"The model customization job {identifier} was not found.")
        return job

    def request_stop(self, region: str, identifier: str) -> Resource:
        """InProgress becomes Stopping; a job that never began is Stopped at once. Asking again changes nothing.

        Raises Conflict for a job that has ended.
        """
        job = self.find(region, identifier)
        now = self._clock.now()

        def decide(row: Resource) -> Change | None:
            status = JobStatus(row.status)
            if status in ENDED:
                raise Conflict(f"The model customization job {row.name} is {status} and cannot be stopped.")
            # A worker begins a job by entering its first phase, which changes the same row: one of the two comes first.
            if all(entry["status"] == PhaseStatus.NOT_STARTED for entry in row.document["statusDetails"].values()):
                return Change(JobStatus.STOPPED, {**row.document, "endTime": now.isoformat()})
            return None if status is JobStatus.STOPPING else Change(status=JobStatus.STOPPING)

        with understood(job.arn):
            return change(self._resources, job.arn, at=now, decide=decide)

    def enter(self, job_arn: str, phase: Phase) -> None:
        """The given phase runs; those before it are completed. Entering it again, after a crash, changes nothing,
        nor does entering one that is over: the successor of a killed worker goes through all of them.

        Raises JobEnded.
        """
        now = self._clock.now()

        def decide(row: Resource) -> Change | None:
            _check_not_ended(row)
            details = dict(row.document["statusDetails"])
            if details[phase]["status"] != PhaseStatus.NOT_STARTED:
                return None
            for earlier in list(Phase)[: list(Phase).index(phase)]:
                if details[earlier]["status"] != PhaseStatus.COMPLETED:
                    details[earlier] = _entry(details[earlier], PhaseStatus.COMPLETED, now)
            details[phase] = _entry(details[phase], PhaseStatus.IN_PROGRESS, now)
            return Change(document={**row.document, "statusDetails": details})

        change(self._resources, job_arn, at=now, decide=decide)

    def note(self, job_arn: str, **members: Any) -> None:
        """Write members into the job's document."""
        change(
            self._resources,
            job_arn,
            at=self._clock.now(),
            decide=lambda row: Change(document={**row.document, **members}),
        )

    def end(self, job_arn: str, status: JobStatus, **members: Any) -> Resource:
        """Move the job to an end state, its running phase with it. Raises JobEnded."""
        now = self._clock.now()

        def decide(row: Resource) -> Change:
            _check_not_ended(row)
            LIFECYCLE.check(job_arn, JobStatus(row.status), status)
            details = {
                phase: _entry(entry, phase_at_end(status), now) if entry["status"] == PhaseStatus.IN_PROGRESS else entry
                for phase, entry in row.document["statusDetails"].items()
            }
            ended = {"endTime": now.isoformat(), "statusDetails": details}
            return Change(status=status, document={**row.document, **ended, **members})

        return change(self._resources, job_arn, at=now, decide=decide)

    def is_going_on(self, job_arn: str) -> bool:
        """Whether the job is neither to stop nor has ended."""
        return self.row("", job_arn).status == JobStatus.IN_PROGRESS

    def is_stopping(self, job_arn: str) -> bool:
        return self.get(job_arn).status == JobStatus.STOPPING


def _check_not_ended(row: Resource) -> None:
    if row.status in ENDED:
        raise JobEnded(f"{row.arn}: it is {row.status} already.")


def _entry(before: Mapping[str, str], status: PhaseStatus, now: datetime) -> dict[str, str]:
    moment = now.isoformat()
    return {"status": status.value, "creationTime": before.get("creationTime", moment), "lastModifiedTime": moment}
