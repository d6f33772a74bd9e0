"""The kind of job that ingests or deletes single documents of a data source, or all of them.

Clients see the documents' own states, and never this job, which is forgotten when it has ended.
"""

import shutil
from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.knowledge.states import CHANGE_LIFECYCLE, DocumentChangeStatus

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob
    from outcrop.knowledge.rooms import KnowledgeRooms

MOST_AT_ONCE = 3


def _run(house: "KnowledgeRooms", job: "RunningJob") -> None:
    from outcrop.knowledge.changes.run import run

    run(house, job)


def _tidy(house: "KnowledgeRooms", job_arn: str) -> None:
    from outcrop.knowledge.changes.run import give_up

    give_up(house, job_arn)
    shutil.rmtree(house.settings.runs / job_arn.rsplit("/", 1)[-1], ignore_errors=True)
    house.jobs.forget(job_arn)  # one for each request: nobody would ever take them away


KIND: "JobKind[KnowledgeRooms]" = JobKind(
    name="document-change",
    lifecycle=CHANGE_LIFECYCLE,
    first=DocumentChangeStatus.IN_PROGRESS,
    stopping=None,
    stopped=DocumentChangeStatus.FAILED,
    completed=DocumentChangeStatus.COMPLETED,
    failed=DocumentChangeStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    tidy=_tidy,
    most_at_once=MOST_AT_ONCE,
)
