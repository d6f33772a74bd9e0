"""Tuning jobs with the real processes: search, stops, kills, failures, early stopping and warm starts."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.patience import eventually
from tests.support.sandboxes import needs_sandbox
from tests.support.servers import Installed, installed
from tests.support.training_programs import TrainingJobs, name_environment
from tests.support.tuning_jobs import TuningJobs

pytestmark = needs_sandbox
UNTIL_TOLD = """
import argparse, time, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
asked, _ = parser.parse_known_args()
print(f"score={asked.rate:.6f};", flush=True)
time.sleep(600)
"""
"Prints its objective, and waits to be stopped."
SLOW = UNTIL_TOLD.replace("time.sleep(600)", "time.sleep(2)")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("tuning") / "home"
    name_environment(home)
    with installed(home) as house:
        yield house


@pytest.fixture(scope="module")
def jobs(house: Installed) -> TuningJobs:
    return TuningJobs(TrainingJobs(house, house.role))


def scores(children: list[dict[str, Any]]) -> list[float]:
    return [child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for child in children]


def test_a_search_finds_the_best_of_its_training_jobs_which_are_ordinary_ones(jobs: TuningJobs) -> None:
    told = jobs.run("first", most=3, Tags=[{"Key": "team", "Value": "a"}])
    assert told["HyperParameterTuningJobStatus"] == "Completed"
    assert told["TrainingJobStatusCounters"]["Completed"] == told["ObjectiveStatusCounters"]["Succeeded"] == 3
    found = jobs.children("first")
    best = told["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == min(scores(found))
    for child in found:
        rate = float(child["TunedHyperParameters"]["rate"])
        assert child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == pytest.approx((rate - 3) ** 2, abs=1e-6)
    training = jobs.training.describe(best["TrainingJobName"])
    assert training["TuningJobArn"] == told["HyperParameterTuningJobArn"]
    assert training["HyperParameters"]["_tuning_objective_metric"] == "score"
    assert training["ResourceConfig"] == {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
    tags = jobs.sagemaker.list_tags(ResourceArn=training["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "a"}]
    assert float(jobs.training.model(best["TrainingJobName"])["rate"]) == float(best["TunedHyperParameters"]["rate"])
    again = jobs.run("again", most=3, parallel=1)
    assert again["HyperParameterTuningJobStatus"] == "Completed"
    told_rates = [[child["TunedHyperParameters"] for child in jobs.children(name)] for name in ("first", "again")]
    assert told_rates[0] == told_rates[1], "one seed, one search"


def test_the_successor_of_a_killed_worker_goes_on_with_the_training_jobs_that_exist(
    house: Installed, jobs: TuningJobs
) -> None:
    for name in ("killed", "beside"):
        jobs.start(name, script=SLOW, most=3, parallel=1, strategy="Bayesian")
    eventually(lambda: jobs.describe("killed")["TrainingJobStatusCounters"]["Completed"] > 0)
    before = jobs.children("killed")
    with pytest.raises(ClientError, match="Stop that first"):
        jobs.sagemaker.delete_training_job(TrainingJobName=before[0]["TrainingJobName"])
    worker = house.pid_of("light-worker")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    told = [jobs.ended(name) for name in ("killed", "beside")]
    assert [each["HyperParameterTuningJobStatus"] for each in told] == ["Completed", "Completed"]
    found = jobs.children("killed")
    assert [child["TrainingJobName"] for child in found[: len(before)]] == [each["TrainingJobName"] for each in before]
    assert [child["TunedHyperParameters"] for child in found] == [
        child["TunedHyperParameters"] for child in jobs.children("beside")
    ]
    assert len(found) == 3


def test_a_stop_stops_the_training_jobs_too(jobs: TuningJobs) -> None:
    jobs.start("stopped", script=UNTIL_TOLD, most=9, parallel=2)
    eventually(lambda: [each for each in jobs.children("stopped") if "TrainingStartTime" in each])
    jobs.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    assert jobs.describe("stopped")["HyperParameterTuningJobStatus"] == "Stopping"
    told = jobs.ended("stopped")
    assert told["HyperParameterTuningJobStatus"] == "Stopped"
    found = jobs.children("stopped")
    assert {child["TrainingJobStatus"] for child in found} == {"Stopped"}
    assert told["TrainingJobStatusCounters"]["Stopped"] == len(found)
    with pytest.raises(ClientError, match="in status Stopped"):
        jobs.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")


def test_a_stop_at_once_leaves_nothing_running(jobs: TuningJobs) -> None:
    jobs.start("at-once", script=UNTIL_TOLD, most=9)
    jobs.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="at-once")
    assert jobs.ended("at-once")["HyperParameterTuningJobStatus"] == "Stopped"
    assert {child["TrainingJobStatus"] for child in jobs.children("at-once")} <= {"Stopped"}


def test_a_training_job_that_fails_is_one_of_many_and_all_failing_fail_the_search(jobs: TuningJobs) -> None:
    script = "import sys\nif 'bad' in sys.argv: raise ValueError('bad kind')\nprint('score=1.5;')"
    ranges = {"CategoricalParameterRanges": [{"Name": "kind", "Values": ['"bad"', '"good"']}]}
    told = jobs.run("half", script=script, strategy="Grid", most=None, ranges=ranges)
    assert told["HyperParameterTuningJobStatus"] == "Completed"
    counters = told["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["NonRetryableError"]) == (1, 1)
    assert told["BestTrainingJob"]["TunedHyperParameters"] == {"kind": '"good"'}
    bad = jobs.children("half", StatusEquals="Failed")
    assert [each["ObjectiveStatus"] for each in bad] == ["Failed"]
    told = jobs.run("none", script="raise ValueError('always')", most=2)
    assert told["HyperParameterTuningJobStatus"] == "Failed"
    assert told["FailureReason"].startswith("All 2 training jobs failed. The reason of none-001-")
    assert "BestTrainingJob" not in told


def test_an_objective_that_never_comes_ends_the_search_with_a_reason(jobs: TuningJobs) -> None:
    told = jobs.run("silent", script="print('nothing')", most=2)
    assert told["HyperParameterTuningJobStatus"] == "Failed"
    assert told["FailureReason"].startswith("No value of the objective score was found in 2 training jobs")
    assert told["ObjectiveStatusCounters"]["Failed"] == 2


RISING = """
import argparse, time
parser = argparse.ArgumentParser()
parser.add_argument("--kind")
asked, _ = parser.parse_known_args()
level = dict(a=1, b=2, c=3, d=9)[asked.kind]
for epoch in range(4 if asked.kind != "d" else 600):
    print(f"score={level}.0;", flush=True)
    time.sleep(0.3)
"""
"The last kind is the worst, and would go on for minutes."


def test_a_training_job_that_is_worse_than_the_median_is_stopped(jobs: TuningJobs) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b", "c", "d"]}]}
    config = {"TrainingJobEarlyStoppingType": "Auto"}
    told = jobs.run("median", script=RISING, strategy="Grid", most=None, parallel=1, ranges=ranges, config=config)
    assert told["HyperParameterTuningJobStatus"] == "Completed"
    assert [child["TrainingJobStatus"] for child in jobs.children("median")] == ["Completed"] * 3 + ["Stopped"]
    assert scores(jobs.children("median")) == [1.0, 2.0, 3.0, 9.0], "what was stopped has told its objective"


def test_a_search_goes_on_from_another_and_ends_at_its_target(jobs: TuningJobs) -> None:
    parent = jobs.describe("first")
    warm = {
        "WarmStartType": "IdenticalDataAndAlgorithm",
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "first"}],
    }
    config = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 1000.0}}
    told = jobs.run("warm", strategy="Bayesian", most=9, parallel=1, config=config, WarmStartConfig=warm)
    assert told["HyperParameterTuningJobStatus"] == "Completed"
    assert len(jobs.children("warm")) == 1, "the first one has reached it"
    values = [
        each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for each in (told["OverallBestTrainingJob"], told["BestTrainingJob"], parent["BestTrainingJob"])
    ]
    assert values[0] == min(values[1:])


def test_a_name_is_free_again_once_its_search_is_deleted(jobs: TuningJobs) -> None:
    with pytest.raises(ClientError) as taken:
        jobs.start("First")
    assert taken.value.response["Error"]["Code"] == "ResourceInUse"
    jobs.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="silent")
    with pytest.raises(ClientError, match="Requested resource not found"):
        jobs.describe("silent")
    told = jobs.run("silent", most=1)
    assert told["TrainingJobStatusCounters"]["Completed"] == len(jobs.children("silent")) == 1
