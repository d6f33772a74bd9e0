"""Execution of a leased job to its end: its kind's function runs, and whatever becomes of it is recorded.

Stopped, failed, damaged, given up or done: it is the same for every kind, so a function raises and need not clean up.
A full disk fails no job, nor does a database that is away: what they broke off is begun again when they are mended.
"""

import logging
from typing import Any

from outcrop.jobs.full_disk import Patience, is_passing
from outcrop.jobs.jobs import JobEnded
from outcrop.jobs.leases import MAX_ATTEMPTS
from outcrop.jobs.running import Interrupted, JobFailed, RunningJob, StopRequested
from outcrop.store.damage import Damaged

_log = logging.getLogger("outcrop.worker")


def execute(house: Any, job: RunningJob) -> bool:
    """Work on a leased job until it ends, or until the worker is to end; whether it ended.

    The worker may be killed at any instant: its successor calls this again. `house` is what the kind's functions need.
    """
    try:
        Patience(job=job).repeat(lambda: _run(house, job))
    except Interrupted:
        return False
    except JobEnded:
        pass  # stopped in the moment before it began
    except Damaged as damaged:
        _log.error("job %s broke", job.arn, exc_info=damaged)
        job.fail_damaged()
    job.kind.tidy(house, job.arn)
    return True


def _run(house: Any, job: RunningJob) -> None:
    kind = job.kind
    if job.record.status in kind.lifecycle.ended:
        return
    try:
        if job.is_stopping() and not kind.ends_stops:
            raise StopRequested(f"{job.arn}: it was asked to stop before this worker took it up.")
        _check_attempts(job)
        job.begin()
        kind.run(house, job)
        if job.record.status not in kind.lifecycle.ended:
            job.end(kind.completed)
    except StopRequested:
        job.see_children_off()
        job.end(kind.stopped)
    except (Interrupted, JobEnded):
        raise
    except Exception as error:
        if is_passing(error) or (isinstance(error, Damaged) and error.arn == job.arn):
            raise
        message = job.failure_of(error)
        job.see_children_off()
        job.end(kind.failed, failureMessage=message)


def _check_attempts(job: RunningJob) -> None:
    """Raises JobFailed for a job whose workers die again and again."""
    if job.attempt > MAX_ATTEMPTS:
        raise JobFailed(f"The worker died {MAX_ATTEMPTS} times without coming any further. {job.kind.gives_up}")
