"""A model import from its lease to the model: fetched, checked, tried, put in place, and on record.

Nothing is loaded here. Names, sizes and shapes are read from headers; what loads the network is a process of its own
with limits (`probe/launch.py`), once everything else is right, and once there is memory for it. A worker that is killed
goes on with the files it has.
"""

import shutil
from pathlib import Path
from typing import Any

from outcrop.catalog.imported_models import units_of
from outcrop.data import model_fetching
from outcrop.errors import Invalid
from outcrop.jobs.running import RunningJob
from outcrop.keys import sealing
from outcrop.keys.sealed_folder import FolderSeal, seal_folder
from outcrop.keys.sealed_records import SEAL
from outcrop.model_import import network_check
from outcrop.model_import.create_job import source_of
from outcrop.model_import.network_check import CheckedNetwork
from outcrop.model_import.rooms import ImportRooms
from outcrop.model_import.states import ImportJobStatus
from outcrop.store.resources import Resource


def import_model(house: ImportRooms, job: RunningJob) -> None:
    """The whole road of one import. Raises what ends the job or its worker."""
    record = job.record
    model_arn = record.document["importedModelArn"]
    with sealing.made_in_memory(house, record.document, model_arn, lease=job.number) as seal:
        run_dir = house.settings.runs / job.id if seal is None else seal.scratch
        folder = _fetched(house, job, record, run_dir / "model")
        network = _looked_at(house, job, folder, source_of(record.document))
        document = _document(record, network)
        job.report("putting the model in place")
        _put_in_place(folder, house.imported_models.folder(model_arn), seal)
    _register(house, job, record, document)


def _fetched(house: ImportRooms, job: RunningJob, record: Resource, folder: Path) -> Path:
    """The model's files on this machine, fetched under the job's role."""

    def told(words: str) -> None:
        job.check()
        job.report(words)

    data = house.data.under(record.document["roleArn"], source_arn=record.arn)
    return model_fetching.fetch_model(data, source_of(record.document), folder, told=told)


def _looked_at(house: ImportRooms, job: RunningJob, folder: Path, source: str) -> CheckedNetwork:
    """The network, every file of it checked, and run once. Raises Invalid, as the customer knows the files."""
    try:
        return network_check.tried(
            folder,
            network_check.checked(folder),
            house.sharing,
            owner=job.arn,
            title=f"the import {job.record.name}",
            interrupted=job.interrupted,
            check=job.check,
            told=job.report,
        )
    except Invalid as refused:
        raise Invalid(_as_source(refused.message, folder, source)) from refused


def _document(record: Resource, network: CheckedNetwork) -> dict[str, Any]:
    return {
        "jobArn": record.arn,
        "jobName": record.name,
        "modelDataSource": record.document["modelDataSource"],
        "modelArchitecture": network.architecture,
        "instructSupported": network.has_template,
        "customModelUnits": units_of(network.num_parameters),
        "contextLength": network.context_length,
        "way": network.way.value,
        "config": network.config,
        **({SEAL: record.document[SEAL]} if SEAL in record.document else {}),
    }


def _put_in_place(folder: Path, place: Path, seal: FolderSeal | None) -> None:
    """Move the files to where the model lies; a worker that was killed here may have done so before."""
    if place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    for note in folder.glob(".*"):
        note.unlink()
    if seal is None:
        shutil.move(folder, place)
        return
    making = place.with_name(f".importing-{place.name}")
    shutil.rmtree(making, ignore_errors=True)
    seal_folder(folder, making, seal.data_key)
    making.rename(place)


def _register(house: ImportRooms, job: RunningJob, record: Resource, document: dict[str, Any]) -> None:
    """The model's row and the job's end, in one transaction."""
    model_arn = record.document["importedModelArn"]
    tags = {tag["key"]: tag["value"] for tag in record.document["importedModelTags"]}
    with house.store.transaction():
        house.imported_models.add(
            model_arn=model_arn,
            name=record.document["importedModelName"],
            region=record.region,
            created=house.clock.now(),
            document=document,
        )
        house.store.tags.put(model_arn, tags)
        job.end(ImportJobStatus.COMPLETED)


def _as_source(message: str, folder: Path, source: str) -> str:
    """A sentence about a file on this machine, as the customer knows it."""
    return message.replace(f"{folder}/", f"{source.rstrip('/')}/").replace(str(folder), source)
