"""The kind of job that makes a custom model: the worker it needs, and what runs it."""

from typing import TYPE_CHECKING

from outcrop.customization.states import LIFECYCLE, JobStatus, Phase
from outcrop.jobs.kinds import JobKind, WorkerClass

if TYPE_CHECKING:
    from outcrop.customization.rooms import Rooms
    from outcrop.jobs.running import RunningJob


def _run(house: "Rooms", job: "RunningJob") -> None:
    from outcrop.customization.leftovers import remove_of_lease
    from outcrop.customization.memory import reserved
    from outcrop.jobs.running import LeaseLost

    try:
        with reserved(house, job):
            job.check()
            from outcrop.customization.run import customize  # torch comes with it

            customize(house, job)
    except LeaseLost:
        remove_of_lease(house, job)
        raise


def _tidy(house: "Rooms", job_arn: str) -> None:
    from outcrop.customization.leftovers import remove_leftovers

    remove_leftovers(house, job_arn)


KIND: "JobKind[Rooms]" = JobKind(
    name="model-customization-job",
    lifecycle=LIFECYCLE,
    first=JobStatus.IN_PROGRESS,
    stopping=JobStatus.STOPPING,
    stopped=JobStatus.STOPPED,
    completed=JobStatus.COMPLETED,
    failed=JobStatus.FAILED,
    phases=tuple(Phase),
    worker=WorkerClass.HEAVY,
    run=_run,
    tidy=_tidy,
    gives_up=(
        "Most likely it wanted for memory: shorten the longest records, or choose a smaller base model. The worker's "
        "log has the details."
    ),
)
