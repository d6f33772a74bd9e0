"""Executions of pipelines from their first step to their last, with training jobs that are played."""

import json
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Conflict, Invalid, Unavailable
from outcrop.sagemaker.pipelines import executions, pipelines
from outcrop.sagemaker.pipelines.run import ExecutionRun
from tests.support.pipeline_house import BY, PipelineHouse
from tests.support.training_programs import IMAGE
from tests.support.tuning_house import OWNER, Killed

MODEL_OF_A = {"Get": "Steps.A.ModelArtifacts.S3ModelArtifacts"}
EPOCHS = {"Name": "Epochs", "Type": "Integer", "DefaultValue": 3}


@pytest.fixture
def house(tmp_path: Path) -> PipelineHouse:
    return PipelineHouse(tmp_path / "home")


def channel(uri: Any) -> list[dict[str, Any]]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return [{"ChannelName": "model", "DataSource": {"S3DataSource": source}}]


def test_steps_wait_for_what_they_name_and_refer_to_and_the_others_run_beside(house: PipelineHouse) -> None:
    steps = (
        house.training("C", after=["A", "B"]),
        house.training("B", InputDataConfig=channel(MODEL_OF_A)),
        house.training("A"),
        house.training("Beside"),
    )
    arn = house.start(house.defining(*steps))
    assert house.play_execution(arn) == "Succeeded"
    assert house.statuses(arn) == dict.fromkeys("ABC", "Succeeded") | {"Beside": "Succeeded"}
    began = {name: step["StartTime"] for name, step in house.steps(arn).items()}
    assert began["A"] == began["Beside"] < began["B"] < began["C"]
    assert house.most_at_once == 2
    (of_b,) = house.created_by(arn, "B").document["request"]["InputDataConfig"]
    of_a = house.created_by(arn, "A")
    assert of_b["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://b/out/{of_a.name}/output/model.tar.gz"
    assert str(of_a.name).startswith(f"pipelines-{arn[-12:]}-A-")


def test_references_become_what_they_stand_for(house: PipelineHouse) -> None:
    joined = {
        "Std:Join": {
            "On": "/",
            "Values": ["s3://b", {"Get": "Execution.PipelineExecutionId"}, {"Get": "Parameters.Epochs"}],
        }
    }
    text = {"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Epochs"}]}}
    step = house.training(
        "A",
        OutputDataConfig={"S3OutputPath": joined},
        HyperParameters={"epochs": text},
        ResourceConfig={
            "InstanceCount": {"Get": "Parameters.Count"},
            "InstanceType": "ml.m5.xlarge",
            "VolumeSizeInGB": 5,
        },
    )
    definition = house.defining(step, parameters=[EPOCHS, {"Name": "Count", "Type": "Integer"}])
    arn = house.start(definition, {"Epochs": "7", "Count": "2"})
    assert house.play_execution(arn) == "Succeeded"
    request = house.created_by(arn, "A").document["request"]
    assert request["OutputDataConfig"] == {"S3OutputPath": f"s3://b/{arn[-12:]}/7"}
    assert request["HyperParameters"] == {"epochs": "7"}
    assert request["ResourceConfig"]["InstanceCount"] == 2


@pytest.mark.parametrize("ticks", range(1, 7))
def test_an_execution_that_is_broken_off_goes_on_and_creates_nothing_twice(house: PipelineHouse, ticks: int) -> None:
    arn = house.start(house.defining(house.training("A"), house.training("B", after=["A"])))
    for _ in range(9):
        try:
            status = house.play_execution(arn, ticks=ticks)
            break
        except Killed:
            continue
    assert status == "Succeeded"
    assert len(house.house.jobs.children(arn)) == 2


@pytest.mark.parametrize("before", [True, False])
def test_a_worker_killed_in_the_moment_of_creation_leaves_one_job(
    house: PipelineHouse, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    arn, add = house.start(house.defining(house.training("A"))), house.house.jobs.add

    def killed(*given: Any, **members: Any) -> None:
        if not before:
            add(*given, **members)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(house.house.jobs, "add", killed)
        with pytest.raises(Killed):
            house.play_execution(arn)
    assert house.statuses(arn) == {"A": "Starting"}
    assert house.play_execution(arn) == "Succeeded"
    assert len(house.house.jobs.children(arn)) == 1


def test_a_failure_ends_the_execution_with_its_reason_and_a_retry_goes_on_from_there(house: PipelineHouse) -> None:
    steps = (
        house.training("A"),
        house.training("B", after=["A"]),
        house.training("Long", after=["A"]),
        house.training("C", after=["B"]),
    )
    arn = house.start(house.defining(*steps))
    assert house.play_execution(arn, failing={"B": "no data"}, lasting=2) == "Failed"
    # Long ends in the same second as B, and what it has done counts.
    assert house.statuses(arn) == {"A": "Succeeded", "B": "Failed", "Long": "Succeeded"}
    assert house.house.jobs.get(arn).document["failureMessage"] == "Step failure: B: no data"
    assert house.steps(arn)["B"]["FailureReason"] == "no data"
    with pytest.raises(Conflict, match="Only executions with status 'Executing'"):
        executions.stop(house.house, arn)
    first = house.created_by(arn, "A").arn, house.created_by(arn, "B").arn
    executions.retry(house.house, arn, {}, by=BY)
    with pytest.raises(Conflict, match="is Executing"):
        executions.retry(house.house, arn, {}, by=BY)
    assert house.play_execution(arn) == "Succeeded"
    assert house.statuses(arn) == {"A": "Succeeded", "B": "Succeeded", "Long": "Succeeded", "C": "Succeeded"}
    assert house.created_by(arn, "A").arn == first[0]
    assert house.created_by(arn, "B").arn != first[1]
    assert {name: step["AttemptCount"] for name, step in house.steps(arn).items()} == {
        "A": 1,
        "B": 2,
        "Long": 1,
        "C": 1,
    }
    with pytest.raises(Conflict, match="'Failed' or 'Stopped' can be retried"):
        executions.retry(house.house, arn, {}, by=BY)


def test_a_stop_reaches_the_jobs_of_the_steps_also_when_its_worker_is_killed(house: PipelineHouse) -> None:
    arn = house.start(house.defining(house.training("A"), house.training("B", after=["A"])))
    with pytest.raises(Killed):
        house.play_execution(arn, ticks=1, lasting=9)
    executions.stop(house.house, arn)
    assert house.statuses(arn) == {"A": "Stopping"}
    assert house.play_execution(arn, lasting=9) == "Stopped"
    assert house.statuses(arn) == {"A": "Stopped"}
    assert {child.status for child in house.house.jobs.children(arn)} == {"Stopped"}
    executions.retry(house.house, arn, {}, by=BY)
    assert house.play_execution(arn) == "Succeeded"


def test_a_database_that_is_away_for_a_moment_stops_no_step(
    house: PipelineHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop.jobs.full_disk._DATABASE_PAUSE_S", 0.0)
    arn = house.start(house.defining(house.training("A"), house.training("B", after=["A"])))
    look, looks = ExecutionRun._look, list[bool]()

    def away_once(run: ExecutionRun, *, stopping: bool = False) -> None:
        looks.append(stopping)
        if len(looks) == 2:
            raise Unavailable("The database did not finish a statement in time.")
        look(run, stopping=stopping)

    monkeypatch.setattr(ExecutionRun, "_look", away_once)
    assert house.play_execution(arn) == "Succeeded"
    assert house.statuses(arn) == {"A": "Succeeded", "B": "Succeeded"}
    assert (True in looks, len(house.house.jobs.children(arn))) == (False, 2)


def test_an_execution_with_a_stopped_step_has_failed(house: PipelineHouse) -> None:
    arn = house.start(house.defining(house.training("A"), house.training("B", after=["A"])))
    with pytest.raises(Killed):
        house.play_execution(arn, ticks=1, lasting=9)
    steps = house.house.jobs.get(arn).document["steps"]
    house.house.jobs.note(arn, steps={"A": steps["A"] | {"status": "Stopped"}})
    assert house.play_execution(arn) == "Failed"
    assert house.house.jobs.get(arn).document["failureMessage"] == "Step failure: A: it was stopped."


def test_no_more_steps_run_at_once_than_asked_for(house: PipelineHouse) -> None:
    steps = [house.training(name) for name in ("A", "B", "C")]
    arn = house.start(house.defining(*steps), ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    assert house.play_execution(arn) == "Succeeded"
    assert house.most_at_once == 1


@pytest.mark.parametrize(("most", "branch"), [("0.3", "Good"), ("0.2", "Bad")])
def test_a_condition_over_a_metric_chooses_a_branch(house: PipelineHouse, most: str, branch: str) -> None:
    least = {
        "Type": "LessThanOrEqualTo",
        "LeftValue": {"Get": "Steps.A.FinalMetricDataList['loss'].Value"},
        "RightValue": {"Get": "Parameters.Most"},
    }
    condition = {
        "Name": "Check",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [least],
            "IfSteps": [house.training("Good")],
            "ElseSteps": [{"Name": "Bad", "Type": "Fail", "Arguments": {"ErrorMessage": "too bad"}}],
        },
    }
    definition = house.defining(
        house.training("A"), condition, parameters=[{"Name": "Most", "Type": "Float", "DefaultValue": 1}]
    )
    arn = house.start(definition, {"Most": most})
    assert house.play_execution(arn) == ("Succeeded" if branch == "Good" else "Failed")
    assert set(house.statuses(arn)) == {"A", "Check", branch}
    assert house.steps(arn)["Check"]["Metadata"] == {"Condition": {"Outcome": "True" if branch == "Good" else "False"}}
    if branch == "Bad":
        assert house.house.jobs.get(arn).document["failureMessage"] == "Step failure: Bad: too bad"
        assert house.steps(arn)["Bad"]["Metadata"] == {"Fail": {"ErrorMessage": "too bad"}}


def test_a_step_is_created_as_the_role_of_the_pipeline_may(house: PipelineHouse) -> None:
    """Who may start a pipeline may not thereby hand any role to a training job: the pipeline's role must."""
    access = house.house.access
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    weak = access.identities.create_role("weak", trust=json.dumps(trust))
    definition = house.defining(house.training("A"))
    pipeline = house.pipeline(definition, RoleArn=weak.arn)
    arn = executions.start(house.house, pipeline, {}, owner=OWNER, by=BY)
    assert house.play_execution(arn) == "Failed"
    reason = house.steps(arn)["A"]["FailureReason"]
    assert (
        f"The role {weak.arn} is not authorized to perform: sagemaker:CreateTrainingJob on resource: arn:aws:" in reason
    )
    assert house.house.jobs.children(arn) == []


def test_a_job_that_is_deleted_or_stopped_under_a_step_fails_it(house: PipelineHouse) -> None:
    arn = house.start(house.defining(house.training("A")))

    def at_tick(number: int) -> None:
        if number == 1:
            house.house.jobs.forget(house.created_by(arn, "A").arn)

    assert house.play_execution(arn, at_tick=at_tick) == "Failed"
    assert house.steps(arn)["A"]["FailureReason"].endswith("was deleted while it ran.")


def test_a_pipeline_with_a_running_execution_stays(house: PipelineHouse) -> None:
    arn = house.start(house.defining(house.training("A")))
    pipeline = arn.partition("/execution/")[0]
    with pytest.raises(Conflict, match="has a running execution"):
        pipelines.remove(house.house, pipeline)
    house.play_execution(arn)
    pipelines.remove(house.house, pipeline)
    assert house.house.store.resources.get(pipeline) is None
    assert house.house.store.resources.get(arn) is None


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"Epochs": "many"}, "PipelineParameters.Epochs: 'many' is no Integer."),
        ({"Other": "1"}, "PipelineParameters.Other: the pipeline has no such parameter."),
        ({}, "PipelineParameters.Needed: it has no default value. Give one."),
        ({"Needed": "c"}, "PipelineParameters.Needed: 'c' is none of 'a', 'b'."),
    ],
)
def test_parameters_are_checked_before_anything_runs(house: PipelineHouse, given: dict[str, str], problem: str) -> None:
    needed = {"Name": "Needed", "Type": "String", "EnumValues": ["a", "b"]}
    definition = house.defining(house.training("A"), parameters=[EPOCHS, needed])
    with pytest.raises(Invalid) as refused:
        house.start(definition, given)
    assert refused.value.message == problem


def test_a_model_step_makes_a_model_of_what_was_trained(house: PipelineHouse) -> None:
    house.house.buckets.create("models", "us-east-1")
    image = IMAGE.replace("pytorch-training", "pytorch-inference")
    model = {"ExecutionRoleArn": house.role, "PrimaryContainer": {"Image": image, "ModelDataUrl": MODEL_OF_A}}
    step = {"Name": "Model", "Type": "Model", "Arguments": model}
    trained = house.training("A", OutputDataConfig={"S3OutputPath": "s3://models/out"})
    arn = house.start(house.defining(trained, step))

    def at_tick(_number: int) -> None:
        name = house.created_by(arn, "A").name
        uri = f"out/{name}/output/model.tar.gz"
        house.house.buckets.put_bytes("models", uri, b"a model", content_type="application/x-tar")

    assert house.play_execution(arn, at_tick=at_tick) == "Succeeded"
    made = house.created_by(arn, "Model").document["request"]
    assert made["PrimaryContainer"]["ModelDataUrl"].endswith("/output/model.tar.gz")
    assert "Model" in house.steps(arn)["Model"]["Metadata"]


def test_a_tuning_step_is_a_child_that_stops_with_its_execution(house: PipelineHouse) -> None:
    arguments = {member: value for member, value in house.params("x").items() if not member.endswith("JobName")}
    arn = house.start(house.defining({"Name": "Search", "Type": "Tuning", "Arguments": arguments}))
    with pytest.raises(Killed):
        house.play_execution(arn, ticks=0)
    (child,) = house.house.jobs.children(arn)
    assert (child.kind, child.status) == ("hyper-parameter-tuning-job", "InProgress")
    assert str(child.name).startswith(f"{arn[-12:]}-Search-")
    executions.stop(house.house, arn)
    assert house.house.jobs.get(child.arn).status == "Stopped"
    assert house.play_execution(arn) == "Stopped"
    assert house.statuses(arn) == {"Search": "Stopped"}
