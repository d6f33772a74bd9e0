"""A JumpStart fine-tuning with every real process, beside a customization job on the same data: equal weights."""

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from safetensors.numpy import load

from outcrop.sagemaker.jumpstart.training_data import SEPARATOR
from tests.support.homes import TINY, with_tiny_models
from tests.support.patience import eventually
from tests.support.sandboxes import needs_sandbox
from tests.support.servers import Installed, installed
from tests.support.training_programs import BUCKET, TrainingJobs

pytestmark = needs_sandbox
CONTENT = "jumpstart-cache-prod-us-east-1"
NAME = "local-textgeneration-tiny-v1"
RECORDS = [{"question": f"what is {number}?", "answer": f"it is {number * number}"} for number in range(9)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(with_tiny_models(tmp_path_factory.mktemp("jumpstart") / "home")) as house:
        yield house


@pytest.fixture(scope="module")
def jobs(house: Installed) -> TrainingJobs:
    return TrainingJobs(house, house.role)


def specification(jobs: TrainingJobs) -> Any:
    """The specification of the tiny model."""
    found = json.loads(jobs.s3.get_object(Bucket=CONTENT, Key="models_manifest.json")["Body"].read())
    (entry,) = [each for each in found if each["model_id"] == NAME]
    return json.loads(jobs.s3.get_object(Bucket=CONTENT, Key=entry["spec_key"])["Body"].read())


def fine_tune(jobs: TrainingJobs, name: str, **given: str) -> dict[str, Any]:
    """The job that JumpStartEstimator asks for, once it has ended; `given` are hyperparameters beside the defaults."""
    told = specification(jobs)
    channels = {
        "training": f"s3://{BUCKET}/{name}/",
        "model": f"s3://{CONTENT}/{told['training_artifact_key']}",
        "code": f"s3://{CONTENT}/{told['training_script_key']}",
    }
    defaults = {each["name"]: each["default"] for each in told["hyperparameters"]}
    images = told["training_instance_type_variants"]["regional_aliases"]["us-east-1"]
    request = jobs.request(
        name,
        AlgorithmSpecification={
            "TrainingImage": next(iter(images.values())),
            "TrainingInputMode": "File",
            "MetricDefinitions": told["metrics"],
        },
        HyperParameters={key: json.dumps(value) for key, value in (defaults | given).items()},
        InputDataConfig=[
            {"ChannelName": key, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}
            for key, uri in channels.items()
        ],
    )
    jobs.sagemaker.create_training_job(**request)
    return jobs.ended(name)


def unpacked(jobs: TrainingJobs, name: str, file: str) -> bytes:
    """A file of a job's model.tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(jobs.read(f"out/{name}/output/model.tar.gz"))) as tar:
        found = next(member for member in tar if member.name.removeprefix("./") == file)
        read = tar.extractfile(found)
        assert read is not None
        return read.read()


def test_both_ways_lead_to_the_same_weights(house: Installed, jobs: TrainingJobs) -> None:
    # Given the same records, once with a template and once as prompts with completions
    template = {"prompt": "Question: {question}", "completion": " {answer}"}
    pairs = [
        {"prompt": f"Question: {each['question']}{SEPARATOR}", "completion": f" {each['answer']}"} for each in RECORDS
    ]
    jobs.put("same/template.json", json.dumps(template).encode())
    jobs.put("same/train.jsonl", "".join(f"{json.dumps(each)}\n" for each in RECORDS).encode())
    jobs.put("pairs.jsonl", "".join(f"{json.dumps(each)}\n" for each in pairs).encode())
    # When a training job and a customization job learn them
    bedrock = house.client("bedrock")
    bedrock.create_model_customization_job(
        jobName="same",
        customModelName="same",
        roleArn=house.role,
        baseModelIdentifier=TINY,
        trainingDataConfig={"s3Uri": f"s3://{BUCKET}/pairs.jsonl"},
        outputDataConfig={"s3Uri": f"s3://{BUCKET}/customized"},
        hyperParameters={
            "epochCount": "2", "batchSize": "4", "learningRate": "0.003", "outcrop.evalPercentage": "20",
            "outcrop.promptFormat": "text", "outcrop.seed": "7",
        },
    )  # fmt: skip
    job = fine_tune(
        jobs,
        "same",
        instruction_tuned="True",
        epoch="2",
        per_device_train_batch_size="4",
        learning_rate="0.003",
        seed="7",
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    found = {each["MetricName"] for each in job["FinalMetricDataList"]}
    assert found == {"huggingface-textgeneration:train-loss", "huggingface-textgeneration:eval-loss"}

    def customized() -> str | None:
        status: str = bedrock.get_model_customization_job(jobIdentifier="same")["status"]
        return status if status in ("Completed", "Failed") else None

    # Then both have the same adapter, bit for bit
    assert eventually(customized) == "Completed"
    model = bedrock.get_custom_model(modelIdentifier="same")["modelArn"]
    (own,) = [path for path in house.settings.models.rglob("adapter_model.safetensors") if path_of(model) in str(path)]
    ours, theirs = load(unpacked(jobs, "same", "adapter/adapter_model.safetensors")), load(own.read_bytes())
    assert ours.keys() == theirs.keys()
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)


def path_of(model_arn: str) -> str:
    """What the folder of a custom model ends with."""
    return model_arn.rpartition("/")[2]


def test_a_job_on_bad_data_fails_with_the_sentence_of_the_preflight(jobs: TrainingJobs) -> None:
    jobs.put("bad/train.jsonl", b'{"prompt": "a"}\n')
    job = fine_tune(jobs, "bad", instruction_tuned="True")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "AlgorithmError: train.jsonl:1: completion: missing. Give the record a completion, or remove the line., "
        "exit code: 1"
    )


def test_a_model_that_has_changed_since_is_told_before_anything_runs(jobs: TrainingJobs) -> None:
    told = specification(jobs)
    gone = f"s3://{CONTENT}/{told['training_artifact_key'].replace('/v2', '/v1')}"
    source = {"S3DataType": "S3Prefix", "S3Uri": gone}
    request = jobs.request("gone", InputDataConfig=[{"ChannelName": "model", "DataSource": {"S3DataSource": source}}])
    images = told["training_instance_type_variants"]["regional_aliases"]["us-east-1"]
    request["AlgorithmSpecification"] = {"TrainingImage": next(iter(images.values())), "TrainingInputMode": "File"}
    jobs.sagemaker.create_training_job(**request)
    job = jobs.ended("gone")
    assert f"no object begins with {gone}" in job["FailureReason"]
