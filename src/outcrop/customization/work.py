"""A job with everything its phases need, and its first phase: the data fetched and accounted for."""

import logging
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from outcrop import logs
from outcrop.catalog.base_model import BaseModel, Customization
from outcrop.customization import base
from outcrop.customization.base import Start
from outcrop.customization.checked_data import CheckedData, CheckedDatasets, checked_for
from outcrop.customization.choices import prompting
from outcrop.customization.output import events, model_folder
from outcrop.customization.output.artifacts import Artifacts
from outcrop.customization.output.progress import Journal
from outcrop.customization.rooms import Rooms
from outcrop.data.data import RoleData
from outcrop.datasets import dataset as datasets
from outcrop.datasets import preflight
from outcrop.datasets.record_file import RecordFile
from outcrop.datasets.report.value import Report
from outcrop.errors import Invalid, Refusal
from outcrop.jobs import lease_folders
from outcrop.jobs.running import LONGEST_MESSAGE, RunningJob
from outcrop.keys import sealing
from outcrop.keys.sealed_folder import FolderSeal
from outcrop.keys.sealed_records import key_arn_of
from outcrop.machine.memory_folder import memory_folder, remove_memory_folder
from outcrop.store.resources import Resource
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

_log = logging.getLogger("outcrop.worker")


@dataclass(frozen=True, kw_only=True)
class Work:
    """Made once by each worker that takes the job up."""

    house: Rooms
    job: RunningJob
    record: Resource
    "The job's row as it was when the worker took it up."
    start: Start
    data: RoleData
    artifacts: Artifacts
    run_dir: Path
    "Of this lease, as the next one is: what another worker writes later is not found there."
    output_dir: Path
    "Where the model is made; it is put in its place with its row."
    journal: Journal
    seal: FolderSeal | None = None
    "What seals all that the job leaves on the disk, and where it works in memory; None: nothing is sealed."
    notes: tuple[str, ...] = ()
    "What the job's own network is, where it begins at random."

    @classmethod
    def of(cls, house: Rooms, job: RunningJob) -> "Work":
        """Raises Invalid when what the job starts from is gone, LeaseLost when another worker has the job."""
        record = job.record
        document = record.document
        data_key = sealing.opened(house, document)
        sealed_by = key_arn_of(document) or ""
        data = house.data.under(document["roleArn"], source_arn=record.arn, kms_key_id=sealed_by)
        output = document["outputDataConfig"]["s3Uri"]
        artifacts = Artifacts(data=data, output_uri=output, job_arn=job.arn)
        run_dir = lease_folders.take_up(house.settings.runs, job.id, job.number)
        seal = None
        if data_key is not None:
            remove_memory_folder(house.settings.home, job.id, but=run_dir.name)
            seal = FolderSeal(data_key=data_key, scratch=memory_folder(house.settings.home, run_dir.name))
        return cls(
            house=house,
            job=job,
            record=record,
            start=base.of_job(house.catalog, house.models, record),
            data=data,
            artifacts=artifacts,
            run_dir=run_dir,
            output_dir=model_folder.take_up(house.models.folder(document["modelArn"]), number=job.number),
            seal=seal,
            journal=Journal(
                artifacts,
                events.of_run(run_dir, house.clock, data_key=data_key),
                job.report,
                tensorboard=document["hyperParameters"].get("outcrop.tensorboard") == "true",
            ),
        )

    @property
    def base(self) -> BaseModel:
        """The base model, with the weights the job starts from."""
        return self.start.base

    @property
    def customization(self) -> Customization:
        return Customization(self.record.document["customizationType"])

    @property
    def data_dir(self) -> Path:
        """Where the data lies while it is worked on: in memory, where nothing may lie on the disk in clear."""
        return self.run_dir if self.seal is None else self.seal.scratch

    @property
    def folder(self) -> Path:
        """Where the weights of the base model are."""
        assert self.base.folder is not None
        return self.base.folder

    def tell_report(self, report: Report) -> str:
        """Write the preflight report into the bucket, and return where its page is."""
        return self.artifacts.write_preflight(report.to_json(), report.to_text(), report.to_html())

    def end_journal(self, status: StrEnum, **members: Any) -> None:
        """The last event of a job that leaves no model. It ends, whether or not that could be told."""
        try:
            self.journal.end(status.value, **members)
        except (Refusal, OSError) as error:
            logs.tell(_log, "the last events were not written", job=self.job.arn, note=str(error))


@dataclass(frozen=True, kw_only=True)
class Validated:
    """The data of a job, fetched and accounted for, and the two forms of its prompts.

    The forms are decided here and nowhere else.
    """

    files: list[Path]
    "Training first."
    sha256: list[str]
    "Of each file."
    encoded: list[Path]
    "What each file was encoded to."
    known: Path
    "The digests and origins of their records."
    report: Report
    learned: PromptFormat
    "Of prompts with completions; the day that chat templates write is the job's own, however often it resumes."
    spoken: PromptFormat
    "The form in which the model is spoken to; conversations make a model of conversations."


def validate(work: Work) -> Validated:
    """Account for every record; the report goes to the bucket whether or not the data is good. Raises Invalid."""
    work.journal.report("validating")
    values, tokenizer = work.record.document["hyperParameters"], Tokenizer.open(work.folder)
    learned = prompting.format_of_prompts(
        values, tokenizer, parent=work.start.parent, customization=work.customization, day=work.record.created
    )
    files = fetch(work)
    folder = work.data_dir / "encoded"
    folder.mkdir(exist_ok=True)
    encoded = [folder / str(index) for index in range(len(files))]
    with RecordFile(folder / "known") as known:
        report = preflight.examine(
            files,
            tokenizer=tokenizer,
            context_length=work.base.context_length,
            customization=work.customization.value,
            prompt_format=learned,
            encoded=encoded,
            known=known,
        )
    report = replace(report, base=work.base.id)
    uri = work.tell_report(report)
    work.journal.on_report(uri)
    given = [datasets.of_path(path) for path in files]
    sha256 = [datasets.digest(dataset) for dataset in given]
    about = checked_for(
        given, sha256, work.base, tokenizer, customization=work.customization.value, prompt_format=learned
    )
    if work.seal is None:
        checked = CheckedData(checked=work.house.clock.now(), by=work.job.arn, checked_for=about, report=report)
        CheckedDatasets(work.house.settings).keep(checked)
    if report.problems:
        # What is wrong with a record may quote it, and the job's record is not sealed.
        raise Invalid(_told(report, uri) if work.seal is None else f"{report.num_problems} problems. The report: {uri}")
    prompting.check(values, files[0], work.customization)
    spoken = prompting.format_of_model(learned, files[0], work.customization)
    return Validated(
        files=files,
        sha256=sha256,
        encoded=encoded,
        known=folder / "known",
        report=report,
        learned=learned,
        spoken=spoken,
    )


def fetch(work: Work) -> list[Path]:
    """The data, training first, fetched where it is not here yet.

    Files lie under the names that their owner gave them, so that problems can name them. A prefix, which ends in a
    slash, becomes a folder: all its files are one dataset.
    """
    document = work.record.document
    validators = document["validationDataConfig"]["validators"]
    uris = [document["trainingDataConfig"]["s3Uri"], *(validator["s3Uri"] for validator in validators)]
    files = []
    for index, uri in enumerate(uris):
        place = work.data_dir / "data" / str(index) / uri.rstrip("/").rsplit("/", 1)[-1]
        if not place.exists():
            if uri.endswith("/"):
                work.data.fetch_all(uri, place)
            else:
                work.data.fetch(uri, place)
        files.append(place)
    return files


def _told(checked: Report, uri: str) -> str:
    """The problems of the data, as many as a failureMessage has room for, and where the whole report is."""
    where = f"The report: {uri}"
    told, room = "", LONGEST_MESSAGE - 80 - len(where)
    for count, problem in enumerate(checked.problems):
        if len(told) + len(str(problem)) > room:
            return f"{told}({checked.num_problems - count} more problems.) {where}"
        told += f"{problem} "
    return f"{told}{where}"
