"""The leftovers of an ended customization job on the disk: nothing, but the files of the model it registered."""

import shutil
from collections.abc import Mapping
from typing import Any

from outcrop.customization.output import model_folder
from outcrop.customization.rooms import Rooms
from outcrop.jobs import lease_folders
from outcrop.jobs.running import RunningJob
from outcrop.keys import sealing
from outcrop.machine.memory_folder import remove_memory_folder
from outcrop.store.damage import Damaged, understood


def remove_leftovers(house: Rooms, job_arn: str) -> None:
    """Remove the data and checkpoints of the run, and the files of a model that is not on record."""
    job_id = job_arn.rsplit("/", 1)[-1]
    lease_folders.remove(house.settings.runs, job_id)
    remove_memory_folder(house.settings.home, job_id)
    document = _document(house, job_arn)
    if document is None:
        return
    sealing.take_back(house, document, name=job_id)
    model_arn = str(document["modelArn"])
    model_folder.remove_leftovers(house.models.folder(model_arn))
    if house.store.resources.row(model_arn) is None:
        shutil.rmtree(house.models.folder(model_arn), ignore_errors=True)


def remove_of_lease(house: Rooms, job: RunningJob) -> None:
    """Remove what a worker has made since it lost its lease, which nobody will read."""
    lease_folders.remove(house.settings.runs, job.id, number=job.number)
    if job.number:
        remove_memory_folder(house.settings.home, f"{job.id}.{job.number}")
    document = _document(house, job.arn)
    if document is not None:
        model_folder.remove_leftovers(house.models.folder(str(document["modelArn"])), number=job.number)


def _document(house: Rooms, job_arn: str) -> Mapping[str, Any] | None:
    """The document of the job; None where its record does not tell what its model would be."""
    try:
        with understood(job_arn):
            document = house.jobs.get(job_arn).document
            assert document["modelArn"]
            return document
    except Damaged:
        return None
