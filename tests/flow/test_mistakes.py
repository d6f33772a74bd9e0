"""Every mistake a newcomer makes gets one clear sentence, through the door and in the words of the service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.catalog.catalog import Catalog
from outcrop.cli.app import run
from outcrop.customization.choices.hyperparameters import read_family
from outcrop.settings import PARTS_FILE
from tests.support.homes import TINY, pairs, with_tiny_models
from tests.support.servers import Running, running_server


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = with_tiny_models(tmp_path_factory.mktemp("home"))
    huge = huge_model(home / "huge")
    Catalog(home).register(huge, model_id="local.huge-v1", name="Huge", context_length=8192, licence="none")
    with running_server(home) as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket="data")
        s3.put_object(Bucket="data", Key="train.jsonl", Body=pairs(20))
        yield running


def huge_model(folder: Path) -> Path:
    """A model of 400 billion parameters in whole files, of which only the headers take room on the disk."""
    folder.mkdir()
    config = {"hidden_size": 16384, "num_hidden_layers": 126, "intermediate_size": 53248, "vocab_size": 128256}
    (folder / "config.json").write_text(json.dumps(config))
    size = 2 * 400_000 * 1_000_000
    header = json.dumps({"all": {"dtype": "BF16", "shape": [400_000, 1_000_000], "data_offsets": [0, size]}}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    return folder


def create(house: Running, region: str = "us-east-1", **changes: Any) -> Any:
    asked = {
        "jobName": "mistake",
        "customModelName": "mistake",
        "roleArn": house.installation.service_role_arn,
        "baseModelIdentifier": TINY,
        "trainingDataConfig": {"s3Uri": "s3://data/train.jsonl"},
        "outputDataConfig": {"s3Uri": "s3://data/output"},
    }
    return house.client("bedrock", region_name=region).create_model_customization_job(**(asked | changes))


KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
ROLE = "arn:aws:iam::123456789012:role/Nobody"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseModelIdentifier": "nobody.knows-v1"}, "The provided model identifier is invalid. ('nobody.knows-v1' is not in the catalogue; `outcrop models` lists it.)"),
        ({"baseModelIdentifier": "qwen.qwen3-0-6b-v1"}, "The provided model identifier is invalid. (qwen.qwen3-0-6b-v1 is known, but not on this machine: `outcrop pull qwen.qwen3-0-6b-v1` downloads it.)"),
        ({"hyperParameters": {"epochs": "3"}}, "hyperParameters.epochs: unknown for this base model. Known are epochCount, batchSize, learningRate, learningRateWarmupSteps, earlyStoppingPatience, earlyStoppingThreshold, " + ", ".join(read_family("extra").allowed) + "."),
        ({"hyperParameters": {"outcrop.method": "full", "outcrop.rank": "8"}}, "hyperParameters.outcrop.rank: belongs to lora and dora, and this job trains by full. Remove it, or choose another outcrop.method."),
        ({"hyperParameters": {"outcrop.targets": "query"}}, "hyperParameters.outcrop.targets: query is no linear layer of this base model. Choose among down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj."),
        ({"hyperParameters": {"batchSize": "0"}}, "hyperParameters.batchSize: 0 is below the least value 1. Choose 1 to 4096 for this base model."),
        ({"customizationType": "DISTILLATION"}, "customizationType: DISTILLATION is not built in Outcrop yet. Choose one of FINE_TUNING, CONTINUED_PRE_TRAINING."),
        ({"baseModelIdentifier": "meta.llama2-13b-v1", "customizationType": "CONTINUED_PRE_TRAINING"}, "customizationType: meta.llama2-13b-v1:0 does not offer CONTINUED_PRE_TRAINING. Choose one of FINE_TUNING."),
        ({"trainingDataConfig": {"s3Uri": "s3://data/absent.jsonl"}}, "Could not validate GetObject permissions to access Amazon S3 bucket: data at key absent.jsonl (The specified key does not exist.)"),
        ({"trainingDataConfig": {"s3Uri": "s3://nowhere/train.jsonl"}}, "Could not validate GetObject permissions to access Amazon S3 bucket: nowhere at key train.jsonl (The specified bucket does not exist)"),
        ({"outputDataConfig": {"s3Uri": "s3://nowhere/output"}}, "Could not validate PutObject permissions to access S3 bucket: nowhere at key output/.write_access_check_file.tmp (The specified bucket does not exist)"),
        ({"customModelKmsKeyId": KEY}, f"customModelKmsKeyId: The KMS key of the model cannot be used: Key '{KEY}' does not exist (NotFoundException)."),
        ({"vpcConfig": {"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]}}, "vpcConfig: a network of one's own is not built in Outcrop yet; jobs run in the worker on this machine. Leave it out."),
        ({"trainingDataConfig": {"s3Uri": "s3://data"}}, "s3://data: names a bucket, not an object. Name one JSONL object, s3://bucket/key."),
    ],
)  # fmt: skip
def test_a_job_that_cannot_work_is_refused_at_creation(house: Running, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError) as refused:
        create(house, **changes)
    assert refused.value.response["Error"] == {"Code": "ValidationException", "Message": message}


def test_a_copy_of_a_model_under_a_key_of_ones_own_is_refused(house: Running) -> None:
    with pytest.raises(ClientError, match=r"CreateModelCopyJob"):
        house.client("bedrock").create_model_copy_job(
            sourceModelArn="arn:aws:bedrock:us-east-1:123456789012:custom-model/a/b",
            targetModelName="b",
            modelKmsKeyId=KEY,
        )


def test_a_role_that_is_not_there_is_told(house: Running) -> None:
    with pytest.raises(
        ClientError, match=r"roleArn: there is no role arn:aws:iam::123456789012:role/Nobody in account"
    ):
        create(house, roleArn=ROLE)


def test_a_model_this_machine_cannot_hold_is_refused_with_numbers(house: Running) -> None:
    with pytest.raises(
        ClientError, match=r"local.huge-v1: training needs at least [\d.]+ GiB .* and this machine has [\d.]+ GiB free"
    ):
        create(house, baseModelIdentifier="local.huge-v1")


def test_a_refused_job_leaves_its_name_free(house: Running) -> None:
    with pytest.raises(ClientError):
        create(house, hyperParameters={"epochCount": "0"})
    assert house.client("bedrock").list_model_customization_jobs()["modelCustomizationJobSummaries"] == []


def test_the_same_client_token_gets_the_same_job(house: Running) -> None:
    first = create(house, jobName="twice", customModelName="twice", clientRequestToken="token-1")["jobArn"]
    assert create(house, jobName="twice", customModelName="twice", clientRequestToken="token-1")["jobArn"] == first
    with pytest.raises(ClientError, match="this token was used for a different request"):
        create(house, jobName="thrice", customModelName="thrice", clientRequestToken="token-1")
    house.client("bedrock").stop_model_customization_job(jobIdentifier="twice")


def test_a_wrong_key_is_refused_in_awss_words(house: Running) -> None:
    with pytest.raises(ClientError) as refused:
        house.client("bedrock", aws_access_key_id="AKIAWRONGWRONGWRONG0").list_custom_models()
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
    with pytest.raises(ClientError) as refused:
        house.client("bedrock", aws_secret_access_key="wrong").list_custom_models()
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_an_operation_not_built_answers_by_name(house: Running) -> None:
    with pytest.raises(ClientError, match="ListPromptRouters is not built in Outcrop yet"):
        house.client("bedrock").list_prompt_routers()


def test_an_unknown_deployment_is_told(house: Running) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
    with pytest.raises(ClientError, match=rf"The custom model deployment {arn} was not found\."):
        house.client("bedrock-runtime").converse(modelId=arn, messages=[{"role": "user", "content": [{"text": "hi"}]}])


def test_jobs_of_every_region_are_listed_and_one_region_is_asked_for(
    house: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = house.platform.settings.home
    (home / PARTS_FILE).write_text(json.dumps({"endpoint": house.endpoint}))
    monkeypatch.setenv("OUTCROP_HOME", str(home))
    for region in ("eu-west-1", "ap-northeast-1"):
        create(house, region=region, jobName="somewhere", customModelName="somewhere")

    def listed(*words: str) -> list[tuple[str, str]]:
        assert run(["jobs", "--json", *words]) == 0
        return [(job["job"], job["region"]) for job in json.loads(capsys.readouterr().out)]

    # The newest first, whatever its region.
    assert listed()[:2] == [("somewhere", "ap-northeast-1"), ("somewhere", "eu-west-1")]
    assert listed("--region", "eu-west-1") == [("somewhere", "eu-west-1")]
    assert listed("--region", "us-west-2") == []
    assert run(["deployments", "--json"]) == 0

    assert run(["checkpoints", "somewhere"]) == 2
    told = capsys.readouterr().err
    assert told == "outcrop: somewhere: there is such a job in ap-northeast-1, eu-west-1. Choose one with --region.\n"
    assert run(["checkpoints", "somewhere", "--region", "eu-west-1"]) == 0
    assert run(["checkpoints", "nobody"]) == 2
    told = capsys.readouterr().err
    assert told == "outcrop: nobody: there is no such job. `outcrop jobs` lists them.\n"
    for region in ("eu-west-1", "ap-northeast-1"):
        house.client("bedrock", region_name=region).stop_model_customization_job(jobIdentifier="somewhere")
