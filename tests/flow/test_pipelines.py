"""Pipelines of training jobs with the real processes: from one script's model to the next one, also through kills."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.patience import eventually
from tests.support.pipeline_house import role_of_pipelines
from tests.support.sandboxes import needs_sandbox
from tests.support.servers import Installed, installed
from tests.support.training_programs import BUCKET, TrainingJobs, archive, name_environment

pytestmark = needs_sandbox
ENDS = ("Succeeded", "Failed", "Stopped")
SCRIPT = """
import glob, sys, tarfile, time
before = glob.glob("/opt/ml/input/data/model/model.tar.gz")
said = tarfile.open(before[0]).extractfile("said").read().decode() if before else "nothing"
open("/opt/ml/model/said", "w").write(said + " then " + sys.argv[sys.argv.index("--word") + 1])
time.sleep(1.0)
"""
"Adds its word to those of the model that it is given; slow enough to be killed meanwhile."
TOKEN = "0123456789" * 4


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("pipelines") / "home"
    name_environment(home)
    with installed(home) as house:
        yield house


@pytest.fixture(scope="module")
def jobs(house: Installed) -> TrainingJobs:
    made = TrainingJobs(house, house.role)
    made.put("code/sourcedir.tar.gz", archive({"train.py": SCRIPT}))
    return made


def training(jobs: TrainingJobs, name: str, word: Any, model: Any = None) -> dict[str, Any]:
    """A Training step that says a word, and reads a model."""
    request = jobs.request("left-out")
    del request["TrainingJobName"], request["InputDataConfig"]
    source = {"S3DataType": "S3Prefix", "S3Uri": model, "S3DataDistributionType": "FullyReplicated"}
    if model is not None:
        request["InputDataConfig"] = [{"ChannelName": "model", "DataSource": {"S3DataSource": source}}]
    code = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://{BUCKET}/code/sourcedir.tar.gz"}
    return {"Name": name, "Type": "Training", "Arguments": request | {"HyperParameters": code | {"word": word}}}


def definition(jobs: TrainingJobs) -> str:
    steps = [
        training(jobs, "First", {"Get": "Parameters.Word"}),
        training(jobs, "Second", "second", {"Get": "Steps.First.ModelArtifacts.S3ModelArtifacts"}),
    ]
    parameters = [{"Name": "Word", "Type": "String", "DefaultValue": "first"}]
    return json.dumps({"Version": "2020-12-01", "Parameters": parameters, "Steps": steps})


def ended(jobs: TrainingJobs, execution: str) -> dict[str, Any]:
    def told() -> dict[str, Any] | None:
        found: dict[str, Any] = jobs.sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
        return found if found["PipelineExecutionStatus"] in ENDS else None

    found: dict[str, Any] = eventually(told)
    return found


def steps_of(jobs: TrainingJobs, execution: str) -> dict[str, dict[str, Any]]:
    answer = jobs.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution)
    return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}


def test_a_pipeline_goes_through_its_steps_also_when_server_and_worker_are_killed(
    house: Installed, jobs: TrainingJobs
) -> None:
    sagemaker = jobs.sagemaker
    asked = {
        "PipelineName": "Chain",
        "RoleArn": role_of_pipelines(house.role.split(":")[4]),
        "PipelineDefinition": definition(jobs),
    }
    arn = sagemaker.create_pipeline(**asked, ClientRequestToken=TOKEN)["PipelineArn"]
    assert sagemaker.create_pipeline(**asked, ClientRequestToken=TOKEN)["PipelineArn"] == arn
    with pytest.raises(ClientError, match=r"\(ValidationException\).*with name \(Chain\) already exists"):
        sagemaker.create_pipeline(**asked)
    parameters = [{"Name": "Word", "Value": "once"}]
    start = {"PipelineName": "Chain", "PipelineParameters": parameters, "ClientRequestToken": TOKEN}
    execution = sagemaker.start_pipeline_execution(**start)["PipelineExecutionArn"]
    assert sagemaker.start_pipeline_execution(**start)["PipelineExecutionArn"] == execution

    eventually(lambda: steps_of(jobs, execution).get("First", {}).get("StepStatus") == "Executing")
    for process in ("light-worker", "server"):
        pid = house.pid_of(process)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    told = ended(jobs, execution)
    assert told["PipelineExecutionStatus"] == "Succeeded", told

    steps = steps_of(jobs, execution)
    assert list(steps) == ["Second", "First"], "the last one first"
    names = {name: step["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2] for name, step in steps.items()}
    mine = sagemaker.list_training_jobs(NameContains="pipelines-")["TrainingJobSummaries"]
    assert {each["TrainingJobArn"].rpartition("/")[2] for each in mine} == set(names.values()), "none twice"
    second = next(each["TrainingJobName"] for each in mine if each["TrainingJobArn"].endswith(names["Second"]))
    assert jobs.model(second) == {"said": b"nothing then once then second"}
    told = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=execution)
    assert told["PipelineParameters"] == parameters
    told = sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=execution)
    assert told["PipelineDefinition"] == definition(jobs)


def test_a_pipeline_is_changed_stopped_retried_and_deleted(house: Installed, jobs: TrainingJobs) -> None:
    sagemaker = jobs.sagemaker
    for name in ("Chain-of-one", "Never"):
        sagemaker.create_pipeline(
            PipelineName=name,
            RoleArn=role_of_pipelines(house.role.split(":")[4]),
            PipelineDefinition=definition(jobs),
        )
    one = json.dumps({"Version": "2020-12-01", "Steps": [training(jobs, "Only", "only")]})
    sagemaker.update_pipeline(PipelineName="Chain-of-one", PipelineDefinition=one, PipelineDescription="one step")
    told = sagemaker.describe_pipeline(PipelineName="Chain-of-one")
    assert (told["PipelineDefinition"], told["PipelineDescription"]) == (one, "one step")
    assert told["CreatedBy"] == told["LastModifiedBy"]
    execution = sagemaker.start_pipeline_execution(PipelineName=told["PipelineArn"])["PipelineExecutionArn"]
    sagemaker.update_pipeline_execution(PipelineExecutionArn=execution, PipelineExecutionDisplayName="mine")
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=execution)
    assert ended(jobs, execution)["PipelineExecutionStatus"] == "Stopped"
    (summary,) = sagemaker.list_pipeline_executions(PipelineName="Chain-of-one")["PipelineExecutionSummaries"]
    assert (summary["PipelineExecutionDisplayName"], summary["PipelineExecutionStatus"]) == ("mine", "Stopped")
    sagemaker.retry_pipeline_execution(PipelineExecutionArn=execution)
    with pytest.raises(ClientError, match=r"\(ConflictException\).*has a running execution"):
        sagemaker.delete_pipeline(PipelineName="Chain-of-one")
    assert ended(jobs, execution)["PipelineExecutionStatus"] == "Succeeded"
    with pytest.raises(ClientError, match=r"\(ConflictException\).*Only executions with status 'Executing'"):
        sagemaker.stop_pipeline_execution(PipelineExecutionArn=execution)
    for name in ("Chain-of-one", "Never"):
        sagemaker.delete_pipeline(PipelineName=name)
    with pytest.raises(ClientError, match=r"\(ResourceNotFound\).*does not exist"):
        sagemaker.describe_pipeline(PipelineName="Chain-of-one")
    with pytest.raises(ClientError, match=r"\(ResourceNotFound\).*does not exist"):
        sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
