"""A leased job in the hands of the function that runs it: what the function may ask and tell."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from math import inf
from typing import Any, Protocol

from outcrop.errors import MachineTrouble, OutcropError, Refusal, Unavailable
from outcrop.jobs.jobs import JobEnded, Jobs
from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.loops import UNEXPECTED
from outcrop.store.resources import Resource

LONGEST_MESSAGE = 2048
"Letters of a failureMessage."
_ASK_EVERY_S = 0.5
_log = logging.getLogger("outcrop.worker")

Numbers = Callable[[str, Mapping[str, float]], None]
"Told the ARN of a job and numbers by their names, each time the job reports some."


class ProgressReport(Protocol):
    """A report on how far a job is, in words that change with it. With them goes what was measured on the way, by
    metric."""

    def __call__(self, words: str, numbers: Mapping[str, float] = {}) -> None: ...


class StopRequested(OutcropError):
    """Somebody asked the job to stop: its function ends here."""


class Interrupted(OutcropError):
    """The worker is to end, or lost a part of itself: the job goes on in the worker's successor."""


class LeaseLost(Interrupted):
    """Another worker has the job by now: nothing that this one does is written any more."""


class JobFailed(OutcropError):
    """The job fails with this very message."""

    passes = False


class RunningJob:
    """A job that a worker holds. Its function asks `check` (or both `is_stopping` and `interrupted`) often."""

    def __init__(
        self,
        jobs: Jobs,
        kind: JobKind[Any],
        arn: str,
        *,
        attempt: int = 1,
        number: int = 0,
        stop: threading.Event,
        is_held: Callable[[], bool] = lambda: True,
        told: Callable[[str], None] = lambda _words: None,
        numbers: Numbers = lambda _arn, _numbers: None,
        hide: Callable[[str], str] = lambda text: text,
    ) -> None:
        """`stop` is set when the worker is to end; `is_held` is False once another worker has the job.

        `told` hears of progress, `numbers` of what is measured.

        `hide` takes out of a failureMessage what no client need know.
        """
        self.arn = arn
        self.kind = kind
        self.attempt = attempt
        "How often it was taken up since it last came further; 1 at first."
        self.number = number
        "The number of its lease; 0 where it has none."
        self.waits = False
        "Whether it does nothing but wait for its children."
        self._jobs = jobs
        self._stop = stop
        self._is_held = is_held
        self._told = told
        self._numbers = numbers
        self._hide = hide
        self._asked_at, self._stopping = -inf, False

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def record(self) -> Resource:
        """The job's row as it stands now."""
        return self._jobs.get(self.arn)

    def report(self, words: str, numbers: Mapping[str, float] = {}) -> None:
        """Tell how far the job is, in words that change with it. With them goes what was measured on the way, by
        metric.

        A worker that dies between two reports with equal words has come no further.
        """
        self._told(words)
        if numbers:
            self._numbers(self.arn, numbers)

    def begin(self) -> None:
        """Raises JobEnded."""
        self._jobs.begin(self.arn)

    def enter(self, phase: StrEnum) -> None:
        """Enter a phase of the job, as `Jobs.enter` does."""
        self._jobs.enter(self.arn, phase)

    def move(self, status: StrEnum) -> None:
        """Move the job to its next state, as `Jobs.move` does."""
        self._jobs.move(self.arn, status)

    def note(self, **members: Any) -> None:
        """Write members into the job's document."""
        self._jobs.note(self.arn, **members)

    def end(self, status: StrEnum, **members: Any) -> None:
        """Move the job to an end state, as `Jobs.end` does. A function need not call it to complete, only to write more
        with the end, or another end."""
        self._jobs.end(self.arn, status, **members)

    def fail_damaged(self) -> None:
        self._jobs.fail_damaged(self.arn)

    def interrupted(self) -> bool:
        """Whether the worker is to end, or another has the job."""
        return self._stop.is_set() or not self._is_held()

    def is_stopping(self) -> bool:
        """Whether somebody asked the job to stop. The record is read at most twice a second, however often this is
        asked. While the database does not answer, nobody has asked: a training goes on meanwhile."""
        if not self._stopping and time.monotonic() - self._asked_at > _ASK_EVERY_S:
            with suppress(Unavailable):
                self._stopping = self._jobs.is_stopping(self.arn)
            self._asked_at = time.monotonic()
        return self._stopping

    def check(self) -> None:
        """Raises Interrupted when the worker is to end, StopRequested when the job is to stop."""
        if self.interrupted():
            raise Interrupted(f"{self.arn}: the worker ends; the job goes on in the next one.")
        if self.is_stopping():
            raise StopRequested(f"{self.arn}: it was asked to stop.")

    def pause(self, seconds: float) -> None:
        """Wait, unless the worker is to end."""
        self._stop.wait(seconds)

    def failure_of(self, error: Exception) -> str:
        """The message for the customer about the error that ended the job. A defect of ours goes into the log."""
        if isinstance(error, Refusal | MachineTrouble | JobFailed):
            return self._hide(error.message)[:LONGEST_MESSAGE]
        # The one catch-all of the worker: a defect of ours must not leave a job running for ever.
        _log.error("job %s broke", self.arn, exc_info=error)
        return f"{UNEXPECTED} (the worker's log has the details)."

    def add_child(
        self, kind: JobKind[Any], *, job_arn: str, name: str, document: Mapping[str, Any], priority: int | None = None
    ) -> Resource:
        """A new job of the same owner and region, as urgent as this one unless told otherwise.

        It is stopped with this job. After a kill, look at `children` before adding them again. Raises StopRequested.
        """
        owner, urgency = self._jobs.owner_and_priority(self.arn)
        try:
            return self._jobs.add(
                kind,
                job_arn=job_arn,
                name=name,
                region=self.record.region,
                document=document,
                owner=owner,
                priority=urgency if priority is None else priority,
                parent=self.arn,
            )
        except JobEnded as stopping:
            raise StopRequested(stopping.message) from stopping

    def children(self) -> list[Resource]:
        """The jobs that this one has created."""
        return self._jobs.children(self.arn)

    def wait_for_children(self) -> list[Resource]:
        """The children, once all have ended by themselves. Raises what `check` raises."""
        children = self._until_children_end(self.check)
        self._asked_at = -inf  # they may have ended because this job is to stop, which was not asked meanwhile
        self.check()
        return children

    def see_children_off(self) -> None:
        """Stop the children, and wait for their end. Raises Interrupted."""
        self._jobs.stop_children(self.arn)
        if self.kind.worker is WorkerClass.LIGHT:  # a heavy one's heavy children could not even begin to stop
            self._until_children_end(self._check_interrupted)

    def _until_children_end(self, check: Callable[[], None]) -> list[Resource]:
        assert self.kind.worker is WorkerClass.LIGHT, "a heavy worker has no room for another job to run meanwhile"
        self.waits = True
        try:
            while self._running_children():
                check()
                self.pause(_ASK_EVERY_S)
        finally:
            self.waits = False
        return self.children()

    def _running_children(self) -> list[Resource]:
        return [job for job in self.children() if job.status in self._jobs.kind_of(job).lifecycle.running]

    def _check_interrupted(self) -> None:
        if self.interrupted():
            raise Interrupted(f"{self.arn}: the worker ends; the job goes on in the next one.")
