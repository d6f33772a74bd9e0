"""A model import from its lease to the model: fetched, checked, tried, put in place, and on record.

Nothing is loaded here. Names, sizes and shapes are read from headers; what loads the network is a process of its own
with limits (`probe/launch.py`), once everything else is right, and once there is memory for it. A worker that is killed
goes on with the files it has.
"""

import shutil
from pathlib import Path
from typing import Any

from outcrop.catalog import model_files
from outcrop.catalog.imported_models import units_of
from outcrop.catalog.model_folder import check_folder
from outcrop.data import model_fetching
from outcrop.errors import Invalid
from outcrop.jobs.running import RunningJob
from outcrop.model_import.create_job import source_of
from outcrop.model_import.rooms import ImportRooms
from outcrop.model_import.states import ImportJobStatus
from outcrop.network import encoder_facts, facts, headers, shape_check, vocabulary
from outcrop.network.adapters.method import CONFIG_FILE
from outcrop.network.model_task import ModelTask
from outcrop.probe import launch
from outcrop.probe.launch import ProbeReport
from outcrop.store.resources import Resource
from outcrop.tokens.prompt_format import chat_problem
from outcrop.tokens.tokenizer import Tokenizer


def import_model(house: ImportRooms, job: RunningJob) -> None:
    """The whole road of one import. Raises what ends the job or its worker."""
    record = job.record
    run_dir = house.settings.runs / job.id
    folder = _fetched(house, job, record, run_dir / "model")
    tokenizer = _checked(folder, source_of(record.document))
    probed = _tried(house, job, folder)
    document = _document(record, folder, tokenizer, probed)
    job.report("putting the model in place")
    _put_in_place(folder, house.imported_models.folder(record.document["importedModelArn"]))
    _register(house, job, record, document)


def _fetched(house: ImportRooms, job: RunningJob, record: Resource, folder: Path) -> Path:
    """The model's files on this machine, fetched under the job's role."""

    def told(words: str) -> None:
        job.check()
        job.report(words)

    data = house.data.under(record.document["roleArn"], source_arn=record.arn)
    return model_fetching.fetch_model(data, source_of(record.document), folder, told=told)


def _checked(folder: Path, source: str) -> Tokenizer:
    """The model's tokenizer, once every file is what it should be. Raises Invalid, as the customer knows the files."""
    try:
        if (folder / CONFIG_FILE).exists():
            raise Invalid(
                f"{CONFIG_FILE}: an adapter, and whole networks are imported. Merge it into its base first, or make a "
                "custom model of it: CreateCustomModel."
            )
        model_files.check_no_code(folder)
        check_folder(folder)
        if (task := encoder_facts.task_of(folder)) is not ModelTask.TEXT:
            raise Invalid(
                f"config.json: a network for {task}, and models that write text are imported. Add it to the catalogue "
                "with `outcrop register`."
            )
        shape_check.check(folder)
        tokenizer = Tokenizer.open(folder)
        vocabulary.check(folder, tokenizer)
        return tokenizer
    except Invalid as refused:
        raise Invalid(_as_source(refused.message, folder, source)) from refused


def _tried(house: ImportRooms, job: RunningJob, folder: Path) -> ProbeReport:
    """The probe's report on the network. Its process has memory of the machine's budget for as long as it runs."""
    job.report("waiting for memory to try the network")
    num_bytes = launch.needed_bytes(folder)
    with house.sharing.held(
        job.arn, f"the import {job.record.name}", num_bytes, until=job.interrupted, waits=job.report
    ):
        job.check()
        job.report("trying the network")
        try:
            return launch.demand(folder)
        except Invalid as refused:
            raise Invalid(_as_source(refused.message, folder, source_of(job.record.document))) from refused


def _document(record: Resource, folder: Path, tokenizer: Tokenizer, probed: ProbeReport) -> dict[str, Any]:
    described = facts.read(folder)
    assert probed.verdict.way is not None, "demanded"
    length = probed.context or (described.context if described.has_context else None)
    if length is None:
        raise Invalid(
            "config.json: names no context length, as recurrent networks do not, and an imported model needs one. Add "
            "max_position_embeddings."
        )
    return {
        "jobArn": record.arn,
        "jobName": record.name,
        "modelDataSource": record.document["modelDataSource"],
        "modelArchitecture": described.kind,
        "instructSupported": tokenizer.chat_template is not None and chat_problem(tokenizer) is None,
        "customModelUnits": units_of(headers.num_parameters(folder)),
        "contextLength": length,
        "way": probed.verdict.way.value,
        "config": probed.verdict.config,
    }


def _put_in_place(folder: Path, place: Path) -> None:
    """Move the files to where the model lies; a worker that was killed here may have done so before."""
    if place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    for note in folder.glob(".*"):
        note.unlink()
    shutil.move(folder, place)


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
