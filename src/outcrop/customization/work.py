"""One job with everything its phases need, and its first phase: the data fetched and accounted for."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from outcrop import logs
from outcrop.catalog.base_model import BaseModel, Customization
from outcrop.customization import base, events, prompting
from outcrop.customization.artifacts import Artifacts
from outcrop.customization.base import Start
from outcrop.customization.data_access import DataAccess
from outcrop.customization.events import Events
from outcrop.customization.progress import Journal
from outcrop.customization.rooms import Rooms
from outcrop.datasets import preflight
from outcrop.errors import Invalid, Refusal
from outcrop.jobs.states import JobStatus
from outcrop.store.resources import Resource
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

LONGEST_MESSAGE = 2048
"Letters of a failureMessage."
_log = logging.getLogger("outcrop.worker")


@dataclass(frozen=True, kw_only=True)
class Work:
    """Made once by each worker that takes the job up."""

    house: Rooms
    job: Resource
    start: Start
    data: DataAccess
    artifacts: Artifacts
    run_dir: Path
    journal: Journal

    @classmethod
    def of(cls, house: Rooms, job: Resource, report: Callable[[str], None]) -> "Work":
        document = job.document
        data = DataAccess(house=house, role_arn=document["roleArn"])
        output = document["outputDataConfig"]["s3Uri"]
        artifacts = Artifacts(data=data, output_uri=output, job_arn=job.arn)
        run_dir = house.settings.runs / job.arn.rsplit("/", 1)[-1]
        return cls(
            house=house,
            job=job,
            start=base.of_job(house.catalog, house.models, job),
            data=data,
            artifacts=artifacts,
            run_dir=run_dir,
            journal=Journal(
                artifacts,
                Events(run_dir / events.FILE, house.clock),
                report,
                tensorboard=document["hyperParameters"].get("outcrop.tensorboard") == "true",
            ),
        )

    @property
    def base(self) -> BaseModel:
        """With the weights the job starts from."""
        return self.start.base

    @property
    def customization(self) -> Customization:
        return Customization(self.job.document["customizationType"])

    @cached_property
    def prompt_format(self) -> PromptFormat:
        """Of prompts with completions; the day that chat templates write is the job's own, however often it resumes."""
        return prompting.format_of_prompts(
            self.job.document["hyperParameters"],
            Tokenizer.open(self.folder),
            parent=self.start.parent,
            customization=self.customization,
            day=self.job.created,
        )

    @property
    def folder(self) -> Path:
        """Where the weights of the base model are."""
        assert self.base.folder is not None
        return self.base.folder

    def end_journal(self, status: JobStatus, **members: Any) -> None:
        """The last event of a job that leaves no model. It ends, whether or not that could be told."""
        try:
            self.journal.end(status.value, **members)
        except (Refusal, OSError) as error:
            logs.tell(_log, "the last events were not written", job=self.job.arn, note=str(error))


def fetch(work: Work) -> list[Path]:
    """The data under the names its owner gave it, so that problems can name the file: training first."""
    document = work.job.document
    validators = document["validationDataConfig"]["validators"]
    uris = [document["trainingDataConfig"]["s3Uri"], *(validator["s3Uri"] for validator in validators)]
    files = []
    for index, uri in enumerate(uris):
        place = work.run_dir / "data" / str(index) / uri.rsplit("/", 1)[-1]
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f".{place.name}.part")
            shutil.copyfile(work.data.open(uri), temporary)
            temporary.replace(place)
        files.append(place)
    return files


def check(work: Work, files: list[Path]) -> preflight.Report:
    """Account for every record; the report goes to the bucket whether or not the data is good. Raises Invalid."""
    checked = preflight.examine(
        files,
        tokenizer=Tokenizer.open(work.folder),
        context_length=work.base.context_length,
        customization=work.customization.value,
        prompt_format=work.prompt_format,
    )
    work.artifacts.write_preflight(checked.to_json(), checked.to_text())
    if checked.problems:
        raise Invalid(_told(checked))
    prompting.check(work.job.document["hyperParameters"], files[0], work.customization)
    return checked


def _told(checked: preflight.Report) -> str:
    """As many problems as a failureMessage has room for."""
    told, room = "", LONGEST_MESSAGE - 80
    for count, problem in enumerate(checked.problems):
        if len(told) + len(str(problem)) > room:
            return f"{told}({checked.num_problems - count} more problems in preflight/report.txt of the output.)"
        told += f"{problem} "
    return told.rstrip()
