"""The kind of job that imports a model: a light one, which waits for disks and for another process."""

import shutil
from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.machine.memory_folder import remove_memory_folder
from outcrop.model_import.states import LIFECYCLE, ImportJobStatus
from outcrop.store.damage import Damaged, understood

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob
    from outcrop.model_import.rooms import ImportRooms


def _run(house: "ImportRooms", job: "RunningJob") -> None:
    from outcrop.model_import.run import import_model

    import_model(house, job)


def _tidy(house: "ImportRooms", job_arn: str) -> None:
    """Remove what was fetched, and the files of a model that is not on record."""
    shutil.rmtree(house.settings.runs / job_arn.rsplit("/", 1)[-1], ignore_errors=True)
    try:
        with understood(job_arn):
            model_arn = str(house.jobs.get(job_arn).document["importedModelArn"])
    except Damaged:
        return
    remove_memory_folder(house.settings.home, model_arn.rsplit("/", 1)[-1])
    if house.store.resources.row(model_arn) is None:
        shutil.rmtree(house.imported_models.folder(model_arn), ignore_errors=True)


KIND: "JobKind[ImportRooms]" = JobKind(
    name="model-import-job",
    lifecycle=LIFECYCLE,
    first=ImportJobStatus.IN_PROGRESS,
    stopping=None,
    stopped=ImportJobStatus.FAILED,
    completed=ImportJobStatus.COMPLETED,
    failed=ImportJobStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    tidy=_tidy,
    gives_up="The worker's log has the details; import a smaller model, or free memory and import this one again.",
)
