"""The leftovers of an ended customization job on the disk: nothing, but the files of the model it registered."""

import shutil

from outcrop.customization.output import model_folder
from outcrop.customization.rooms import Rooms
from outcrop.jobs import lease_folders
from outcrop.jobs.running import RunningJob
from outcrop.machine.memory_folder import remove_memory_folder
from outcrop.store.damage import Damaged, understood


def remove_leftovers(house: Rooms, job_arn: str) -> None:
    """Remove the data and checkpoints of the run, and the files of a model that is not on record."""
    job_id = job_arn.rsplit("/", 1)[-1]
    lease_folders.remove(house.settings.runs, job_id)
    remove_memory_folder(house.settings.home, job_id)
    model_arn = _promised(house, job_arn)
    if model_arn is not None:
        model_folder.remove_leftovers(house.models.folder(model_arn))
        if house.store.resources.row(model_arn) is None:
            shutil.rmtree(house.models.folder(model_arn), ignore_errors=True)


def remove_of_lease(house: Rooms, job: RunningJob) -> None:
    """Remove what a worker has made since it lost its lease, which nobody will read."""
    lease_folders.remove(house.settings.runs, job.id, number=job.number)
    if job.number:
        remove_memory_folder(house.settings.home, f"{job.id}.{job.number}")
    model_arn = _promised(house, job.arn)
    if model_arn is not None:
        model_folder.remove_leftovers(house.models.folder(model_arn), number=job.number)


def _promised(house: Rooms, job_arn: str) -> str | None:
    """The ARN that the job's model would have; None where the job's record does not tell."""
    try:
        with understood(job_arn):
            return str(house.jobs.get(job_arn).document["modelArn"])
    except Damaged:
        return None
