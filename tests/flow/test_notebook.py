"""What public Bedrock customization notebooks do, call for call, with nothing set but the endpoint and keys."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.homes import pairs, with_tiny_models
from tests.support.patience import eventually
from tests.support.servers import Installed, installed

BASE = "amazon.titan-text-lite-v1:0:4k"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "bedrock.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(with_tiny_models(tmp_path_factory.mktemp("home"))) as running:
        yield running


@pytest.fixture(scope="module")
def clients(house: Installed) -> dict[str, Any]:
    return {name: house.client(name) for name in ("sts", "iam", "s3", "bedrock", "bedrock-runtime")}


@pytest.fixture(scope="module")
def role(clients: dict[str, Any]) -> str:
    """The role that a notebook makes for its job, with the policy it attaches."""
    iam = clients["iam"]
    access = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
                "Resource": ["arn:aws:s3:::notebook", "arn:aws:s3:::notebook/*"],
            }
        ],
    }
    made = iam.create_role(RoleName="CustomizationRole", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    policy = iam.create_policy(PolicyName="CustomizationData", PolicyDocument=json.dumps(access))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="CustomizationRole", PolicyArn=policy)
    return str(made)


@pytest.fixture(scope="module")
def job(clients: dict[str, Any], role: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A job run to its end, polled by name as the samples do."""
    s3, bedrock = clients["s3"], clients["bedrock"]
    data = tmp_path_factory.mktemp("data") / "train.jsonl"
    data.write_bytes(pairs(24))
    s3.create_bucket(Bucket="notebook")
    s3.upload_file(str(data), "notebook", "data/train.jsonl")
    s3.put_object(Bucket="notebook", Key="data/validation.jsonl", Body=pairs(6))
    bedrock.create_model_customization_job(
        customizationType="FINE_TUNING",
        jobName="notebook-job",
        customModelName="notebook-model",
        roleArn=role,
        baseModelIdentifier=BASE,
        hyperParameters={
            "epochCount": "1",
            "batchSize": "8",
            "learningRate": "0.00001",
            "learningRateWarmupSteps": "0",
        },
        trainingDataConfig={"s3Uri": "s3://notebook/data/train.jsonl"},
        validationDataConfig={"validators": [{"s3Uri": "s3://notebook/data/validation.jsonl"}]},
        outputDataConfig={"s3Uri": "s3://notebook/output"},
        jobTags=[{"key": "project", "value": "notebook"}],
        customModelTags=[{"key": "kind", "value": "model"}],
    )

    def ended() -> Any:
        seen = bedrock.get_model_customization_job(jobIdentifier="notebook-job")
        return seen if seen["status"] not in ("InProgress", "Stopping") else None

    return eventually(ended)


@pytest.fixture(scope="module")
def throughput(clients: dict[str, Any], job: Any) -> str:
    bedrock = clients["bedrock"]
    made = bedrock.create_provisioned_model_throughput(
        modelUnits=1, provisionedModelName="notebook-pt", modelId=job["outputModelArn"]
    )["provisionedModelArn"]
    eventually(lambda: bedrock.get_provisioned_model_throughput(provisionedModelId=made)["status"] == "InService")
    return str(made)


def invoked(clients: dict[str, Any], model: str, body: dict[str, Any]) -> Any:
    answer = clients["bedrock-runtime"].invoke_model(
        modelId=model, body=json.dumps(body), accept="application/json", contentType="application/json"
    )
    return json.loads(answer["body"].read())


def test_the_caller_is_known(clients: dict[str, Any]) -> None:
    assert clients["sts"].get_caller_identity()["Arn"].endswith(":user/admin")


def test_the_job_completes_with_everything_bedrock_shows(clients: dict[str, Any], job: Any, role: str) -> None:
    assert job["status"] == "Completed", job.get("failureMessage")
    assert job["roleArn"] == role
    assert job["baseModelArn"] == f"arn:aws:bedrock:us-east-1::foundation-model/{BASE}"
    assert job["hyperParameters"]["learningRate"] == "0.00001"
    assert 0 < float(job["hyperParameters"]["outcrop.learningRate"]) < 0.003  # what it was read as, for batches of 8
    assert {details["status"] for details in job["statusDetails"].values()} == {"Completed"}
    assert job["trainingMetrics"]["trainingLoss"] > 0
    assert len(job["validationMetrics"]) == 1
    listed = clients["bedrock"].list_model_customization_jobs(nameContains="notebook", statusEquals="Completed")
    assert [summary["jobName"] for summary in listed["modelCustomizationJobSummaries"]] == ["notebook-job"]


def test_metrics_lie_where_bedrock_puts_them(clients: dict[str, Any], job: Any) -> None:
    folder = f"output/model-customization-job-{job['jobArn'].rsplit('/', 1)[1]}"
    paths = {
        "training_artifacts/step_wise_training_metrics.csv": "step_number,epoch_number,training_loss,perplexity",
        "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv": (
            "step_number,epoch_number,validation_loss,perplexity"
        ),
    }
    for path, header in paths.items():
        text = clients["s3"].get_object(Bucket="notebook", Key=f"{folder}/{path}")["Body"].read().decode()
        assert text.splitlines()[0] == header
    steps = clients["s3"].get_object(Bucket="notebook", Key=f"{folder}/{next(iter(paths))}")["Body"].read().decode()
    assert [line.split(",")[0] for line in steps.splitlines()[1:]] == ["0", "1", "2"]


def test_the_custom_model_is_found_by_name_and_listed(clients: dict[str, Any], job: Any) -> None:
    bedrock = clients["bedrock"]
    model = bedrock.get_custom_model(modelIdentifier="notebook-model")
    assert model["modelArn"] == job["outputModelArn"]
    assert model["jobArn"] == job["jobArn"]
    assert [m["modelName"] for m in bedrock.list_custom_models()["modelSummaries"]] == ["notebook-model"]
    tags = bedrock.list_tags_for_resource(resourceARN=job["outputModelArn"])["tags"]
    assert tags == [{"key": "kind", "value": "model"}]


def test_a_used_job_name_is_refused_in_bedrocks_words(clients: dict[str, Any], job: Any, role: str) -> None:
    with pytest.raises(ClientError) as refused:
        clients["bedrock"].create_model_customization_job(
            jobName="notebook-job",
            customModelName="another",
            roleArn=role,
            baseModelIdentifier=BASE,
            trainingDataConfig={"s3Uri": "s3://notebook/data/train.jsonl"},
            outputDataConfig={"s3Uri": "s3://notebook/output"},
        )
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The provided job name is currently in use.",
    }


def test_a_custom_model_alone_is_refused_as_bedrock_refuses_it(clients: dict[str, Any], job: Any) -> None:
    with pytest.raises(ClientError, match="with on-demand throughput isn’t supported"):
        invoked(clients, job["outputModelArn"], {"inputText": "Question"})


def test_the_provisioned_model_answers_in_titans_words(clients: dict[str, Any], throughput: str) -> None:
    body = {"inputText": "Question 3: what is 3?", "textGenerationConfig": {"maxTokenCount": 8, "temperature": 0}}
    answer = invoked(clients, throughput, body)
    assert answer["inputTextTokenCount"] > 0
    assert answer["results"][0]["tokenCount"] <= 8
    assert answer["results"][0]["completionReason"] in ("FINISH", "LENGTH")


def test_llama_answers_in_llamas_words(clients: dict[str, Any]) -> None:
    answer = invoked(clients, "meta.llama2-13b-v1", {"prompt": "One two", "max_gen_len": 5, "temperature": 0})
    assert answer.keys() == {"generation", "prompt_token_count", "generation_token_count", "stop_reason"}


def test_claude_answers_in_claudes_words(clients: dict[str, Any]) -> None:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "One two"}]}],
    }
    answer = invoked(clients, "anthropic.claude-3-haiku-20240307-v1:0", body)
    assert answer["type"] == "message"
    assert answer["usage"]["output_tokens"] <= 5


def test_nova_answers_in_novas_words(clients: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "One two"}]}], "inferenceConfig": {"maxTokens": 5}}
    answer = invoked(clients, "us.amazon.nova-micro-v1:0", body)
    assert answer["output"]["message"]["role"] == "assistant"


def test_both_streams_say_what_the_single_answers_say(clients: dict[str, Any], throughput: str) -> None:
    runtime = clients["bedrock-runtime"]
    body = {"inputText": "Question 3: what is 3?", "textGenerationConfig": {"maxTokenCount": 8, "temperature": 0}}
    stream = runtime.invoke_model_with_response_stream(modelId=throughput, body=json.dumps(body))["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
    assert (
        "".join(chunk["outputText"] for chunk in chunks)
        == invoked(clients, throughput, body)["results"][0]["outputText"]
    )
    assert chunks[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] <= 8

    conversation = {
        "modelId": throughput,
        "messages": [{"role": "user", "content": [{"text": "Question 3: what is 3?"}]}],
        "inferenceConfig": {"maxTokens": 8, "temperature": 0},
    }
    answer = runtime.converse(**conversation)
    events = list(runtime.converse_stream(**conversation)["stream"])
    told = "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e)
    assert told == answer["output"]["message"]["content"][0]["text"]
    assert "metadata" in events[-1]


def test_tokens_are_counted(clients: dict[str, Any], throughput: str) -> None:
    counted = clients["bedrock-runtime"].count_tokens(
        modelId=throughput, input={"converse": {"messages": [{"role": "user", "content": [{"text": "One two"}]}]}}
    )
    assert counted["inputTokens"] > 0


def test_everything_can_be_deleted_in_order(clients: dict[str, Any], throughput: str, job: Any) -> None:
    bedrock, iam, s3 = clients["bedrock"], clients["iam"], clients["s3"]
    with pytest.raises(ClientError, match="is in use by notebook-pt"):
        bedrock.delete_custom_model(modelIdentifier="notebook-model")
    bedrock.delete_provisioned_model_throughput(provisionedModelId=throughput)
    bedrock.delete_custom_model(modelIdentifier="notebook-model")
    assert bedrock.list_custom_models()["modelSummaries"] == []
    attached = iam.list_attached_role_policies(RoleName="CustomizationRole")["AttachedPolicies"]
    for policy in attached:
        iam.detach_role_policy(RoleName="CustomizationRole", PolicyArn=policy["PolicyArn"])
        iam.delete_policy(PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName="CustomizationRole")
    keys = [{"Key": entry["Key"]} for entry in s3.list_objects_v2(Bucket="notebook")["Contents"]]
    s3.delete_objects(Bucket="notebook", Delete={"Objects": keys})
    s3.delete_bucket(Bucket="notebook")
    assert "notebook" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
