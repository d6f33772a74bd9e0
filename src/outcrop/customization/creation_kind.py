"""The kind of job that makes a custom model of what other trainers left: the row of a Creating model."""

import shutil
from typing import TYPE_CHECKING

from outcrop.catalog import custom_model_states
from outcrop.catalog.custom_model_states import LIFECYCLE, ModelStatus
from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.machine.memory_folder import remove_run_folder

if TYPE_CHECKING:
    from outcrop.customization.rooms import Rooms
    from outcrop.jobs.running import RunningJob


def _run(house: "Rooms", job: "RunningJob") -> None:
    from outcrop.customization.creation import make

    make(house, job)


def _tidy(house: "Rooms", model_arn: str) -> None:
    """Remove what was fetched, and the files of a model whose making failed."""
    model_id = model_arn.rsplit("/", 1)[-1]
    remove_run_folder(house.settings.home, house.settings.runs, model_id)
    row = house.store.resources.row(model_arn)
    if row is None or row.status == ModelStatus.FAILED:
        shutil.rmtree(house.models.folder(model_arn), ignore_errors=True)


KIND: "JobKind[Rooms]" = JobKind(
    name=custom_model_states.KIND,
    lifecycle=LIFECYCLE,
    first=ModelStatus.CREATING,
    stopping=None,
    stopped=ModelStatus.FAILED,
    completed=ModelStatus.ACTIVE,
    failed=ModelStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    tidy=_tidy,
    gives_up="The worker's log has the details; free memory, and create the model anew.",
)
