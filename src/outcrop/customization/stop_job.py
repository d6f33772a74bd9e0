"""The StopModelCustomizationJob request: a job that never began ends at once, and nothing is left of it."""

from outcrop.customization.rooms import Rooms
from outcrop.customization.states import JobStatus
from outcrop.keys import sealing


def stop(house: Rooms, job_arn: str) -> None:
    """Ask a job to stop. Raises Conflict for one that has ended.

    No worker takes one that never began, so what its role was granted is taken back here.
    """
    stopped = house.jobs.request_stop(job_arn)
    if stopped.status == JobStatus.STOPPED:
        sealing.take_back(house, stopped.document, name=job_arn.rsplit("/", 1)[-1])
