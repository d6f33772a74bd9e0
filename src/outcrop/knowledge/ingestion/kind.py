"""The kind of job that brings a knowledge base up to date with a data source."""

import shutil
from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.knowledge.knowledge_bases import INGESTION_JOB
from outcrop.knowledge.states import INGESTION_LIFECYCLE, IngestionStatus

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob
    from outcrop.knowledge.rooms import KnowledgeRooms

MOST_AT_ONCE = 3
"Each holds a document in memory, and keeps a processor busy."


def _run(house: "KnowledgeRooms", job: "RunningJob") -> None:
    from outcrop.knowledge.ingestion.run import run  # what it imports, an idle worker has not read

    run(house, job)


def _tidy(house: "KnowledgeRooms", job_arn: str) -> None:
    shutil.rmtree(house.settings.runs / job_arn.rsplit("/", 1)[-1], ignore_errors=True)


KIND: "JobKind[KnowledgeRooms]" = JobKind(
    name=INGESTION_JOB,
    lifecycle=INGESTION_LIFECYCLE,
    first=IngestionStatus.STARTING,
    stopping=IngestionStatus.STOPPING,
    stopped=IngestionStatus.STOPPED,
    completed=IngestionStatus.COMPLETE,
    failed=IngestionStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    tidy=_tidy,
    most_at_once=MOST_AT_ONCE,
)
