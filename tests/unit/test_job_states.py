"""Jobs move as Bedrock's state table says, whoever asks, and every move is on record."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from outcrop import arn
from outcrop.clock import MovableClock
from outcrop.customization.kind import KIND
from outcrop.customization.states import LIFECYCLE, JobStatus, Phase
from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.jobs.jobs import JobEnded, Jobs
from outcrop.settings import Settings
from outcrop.store.store import Store

REGION, ACCOUNT = "us-east-1", "123456789012"
ENDED = LIFECYCLE.ended


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def jobs(store: Store) -> Jobs:
    return Jobs(store, MovableClock(), [KIND])


def add(jobs: Jobs, name: str = "renga") -> str:
    job_arn = arn.bedrock(REGION, ACCOUNT, f"model-customization-job/outcrop.starter-v1:0:2k/{arn.new_id()}")
    return jobs.add(KIND, job_arn=job_arn, name=name, region=REGION, document={"outputModelName": name}).arn


def test_a_new_job_is_in_progress_with_no_phase_started(jobs: Jobs) -> None:
    job = jobs.get(add(jobs))
    assert job.status == "InProgress"
    assert {phase: details["status"] for phase, details in job.document["statusDetails"].items()} == {
        "validationDetails": "NotStarted",
        "dataProcessingDetails": "NotStarted",
        "trainingDetails": "NotStarted",
    }


def test_a_job_is_found_by_name_and_by_arn(jobs: Jobs) -> None:
    job_arn = add(jobs)
    assert jobs.find(KIND, REGION, "renga").arn == jobs.find(KIND, "anywhere", job_arn).arn == job_arn


def test_a_job_is_not_found_in_another_region_by_its_name(jobs: Jobs) -> None:
    add(jobs)
    with pytest.raises(NotFound, match=r"^The model customization job renga was not found\.$"):
        jobs.find(KIND, "eu-west-1", "renga")


def test_a_job_name_is_used_up_for_ever(jobs: Jobs) -> None:
    jobs.end(add(jobs), JobStatus.FAILED)
    with pytest.raises(Invalid, match=r"^The provided job name is currently in use\.$"):
        add(jobs)


def test_entering_a_phase_completes_those_before_it(jobs: Jobs) -> None:
    job_arn = add(jobs)
    jobs.enter(job_arn, Phase.TRAINING)
    details = jobs.get(job_arn).document["statusDetails"]
    assert [details[phase]["status"] for phase in Phase] == ["Completed", "Completed", "InProgress"]


def test_a_failed_job_leaves_later_phases_not_started(jobs: Jobs) -> None:
    job_arn = add(jobs)
    jobs.enter(job_arn, Phase.VALIDATION)
    jobs.end(job_arn, JobStatus.FAILED, failureMessage="train.jsonl:3: not JSON.")
    job = jobs.get(job_arn)
    details = job.document["statusDetails"]
    assert [details[phase]["status"] for phase in Phase] == ["Failed", "NotStarted", "NotStarted"]
    assert job.document["failureMessage"] == "train.jsonl:3: not JSON."
    assert "endTime" in job.document


def test_stopping_twice_is_the_same_as_once(jobs: Jobs) -> None:
    job_arn = add(jobs)
    jobs.enter(job_arn, Phase.VALIDATION)
    jobs.request_stop(job_arn)
    jobs.request_stop(job_arn)
    assert jobs.is_stopping(job_arn)


def test_a_job_that_never_began_is_stopped_at_once(jobs: Jobs) -> None:
    job_arn = add(jobs)
    stopped = jobs.request_stop(job_arn)
    assert (stopped.status, "endTime" in stopped.document) == ("Stopped", True)
    with pytest.raises(JobEnded):
        jobs.enter(job_arn, Phase.VALIDATION)
    assert jobs.get(job_arn).status == "Stopped"


def test_of_a_stop_and_a_begin_at_the_same_moment_one_comes_first(store: Store) -> None:
    for number in range(20):
        jobs = Jobs(store, MovableClock(), [KIND])
        job_arn = add(jobs, f"renga{number}")
        with ThreadPoolExecutor(2) as pool:
            began = pool.submit(_began, jobs, job_arn)
            stopped = pool.submit(jobs.request_stop, job_arn).result()
        job = jobs.get(job_arn)
        assert job.status == stopped.status == ("Stopping" if began.result() else "Stopped")
        assert ("endTime" in job.document) == (job.status == "Stopped")


def _began(jobs: Jobs, job_arn: str) -> bool:
    try:
        jobs.enter(job_arn, Phase.VALIDATION)
    except JobEnded:
        return False
    return True


@pytest.mark.parametrize("ended", sorted(ENDED))
def test_an_ended_job_cannot_be_stopped(jobs: Jobs, ended: JobStatus) -> None:
    job_arn = add(jobs)
    jobs.enter(job_arn, Phase.VALIDATION)
    jobs.request_stop(job_arn)
    jobs.end(job_arn, ended)
    with pytest.raises(Conflict, match=rf"^The model customization job renga is {ended} and cannot be stopped\.$"):
        jobs.request_stop(job_arn)


@pytest.mark.parametrize("now", sorted(JobStatus))
@pytest.mark.parametrize("then", sorted(ENDED))
def test_no_job_leaves_the_table(jobs: Jobs, now: JobStatus, then: JobStatus) -> None:
    job_arn = add(jobs)
    jobs.enter(job_arn, Phase.VALIDATION)
    if now is not JobStatus.IN_PROGRESS:
        jobs.request_stop(job_arn)
    if now in ENDED:
        jobs.end(job_arn, now)
    if then in LIFECYCLE.following(now):
        assert jobs.end(job_arn, then).status == then
    else:
        with pytest.raises(Conflict):
            jobs.end(job_arn, then)
