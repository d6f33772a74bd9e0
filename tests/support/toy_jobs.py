"""Toy kinds of jobs, which show what a new kind takes: naps, counted and reported, and a parent that waits for some.

Run as a program it is a worker that knows them: python -m tests.support.toy_jobs --home HOME --class light
"""

import sys
from dataclasses import replace
from enum import StrEnum
from typing import Any

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.jobs.running import RunningJob
from outcrop.lifecycle import Lifecycle
from outcrop.worker import serve


class State(StrEnum):
    SUBMITTED = "Submitted"
    NAPPING = "Napping"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    RESTED = "Rested"
    FAILED = "Failed"


_ENDS = {State.STOPPED, State.RESTED, State.FAILED}


def nap(_house: Any, job: RunningJob) -> None:
    """As many naps as asked for; after a kill only those that are left."""
    job.move(State.NAPPING)
    asked = job.record.document
    for number in range(asked.get("napped", 0), asked["naps"]):
        job.check()
        job.pause(asked["seconds"])
        job.note(napped=number + 1)
        job.report(f"nap {number + 1}", {"Naps": number + 1})


LIGHT = JobKind(
    name="nap-job",
    lifecycle=Lifecycle(
        {
            State.SUBMITTED: {State.NAPPING, State.STOPPING} | _ENDS,
            State.NAPPING: {State.STOPPING} | _ENDS,
            State.STOPPING: _ENDS,
            **{end: set() for end in _ENDS},
        }
    ),
    first=State.SUBMITTED,
    stopping=State.STOPPING,
    stopped=State.STOPPED,
    completed=State.RESTED,
    failed=State.FAILED,
    worker=WorkerClass.LIGHT,
    run=nap,
)
HEAVY = replace(LIGHT, name="deep-nap-job", worker=WorkerClass.HEAVY)


def send_to_bed(_house: Any, job: RunningJob) -> None:
    """One child after the other is a job of its own; the parent waits for all."""
    document = {"naps": job.record.document["naps"], "seconds": job.record.document["seconds"]}
    for number in range(len(job.children()), job.record.document["children"]):
        job.add_child(LIGHT, job_arn=f"{job.arn}-{number}", name=f"{job.id}-{number}", document=document)
    ended = job.wait_for_children()
    job.end(State.RESTED, rested=[child.name for child in ended if child.status == State.RESTED])


PARENT = replace(LIGHT, name="bedtime-job", run=send_to_bed)
TOYS = (LIGHT, HEAVY, PARENT)

if __name__ == "__main__":
    sys.exit(serve.main(kinds=TOYS))
