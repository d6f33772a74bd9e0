"""Hubs and JumpStart's buckets over the wire: what is there, whom it is shown, and what is refused."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from botocore.exceptions import ClientError

from outcrop.catalog.catalog import HOME_FILE, Catalog
from outcrop.network import facts
from outcrop.network.run_mode import ProbeVerdict, RunMode
from tests.support.homes import TINY, with_tiny_models
from tests.support.servers import Running, running_server
from tests.support.tiny import CONTEXT_LENGTH

BUCKET, GATED = "jumpstart-cache-prod-us-east-1", "jumpstart-private-cache-prod-us-east-1"
NAME = "local-textgeneration-tiny-v1"
PUBLIC = "SageMakerPublicHub"
DOCUMENT = {"DocumentSchemaVersion": "2.3.0", "HubContentDocument": '{"Url": ""}'}


class LaterClock:
    """The clock of the system, or one that is ahead of it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module")
def clock() -> LaterClock:
    return LaterClock()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, clock: LaterClock) -> Iterator[Running]:
    with running_server(with_tiny_models(tmp_path_factory.mktemp("hubs") / "home"), clock=clock) as running:
        yield running


@pytest.fixture(scope="module")
def s3(house: Running) -> Any:
    return house.client("s3")


@pytest.fixture(scope="module")
def hubs(house: Running) -> Any:
    return house.client("sagemaker")


@pytest.fixture
def hub(hubs: Any) -> Iterator[str]:
    """A hub of the account, empty before and after."""
    hubs.create_hub(HubName="mine", HubDescription="for tests")
    yield "mine"
    for kind in ("ModelReference", "Model", "Notebook"):
        for each in hubs.list_hub_contents(HubName="mine", HubContentType=kind)["HubContentSummaries"]:
            named = {"HubName": "mine", "HubContentType": kind, "HubContentName": each["HubContentName"]}
            if kind == "ModelReference":
                hubs.delete_hub_content_reference(**named)
                continue
            for version in hubs.list_hub_content_versions(**named)["HubContentSummaries"]:
                hubs.delete_hub_content(**named, HubContentVersion=version["HubContentVersion"])
    hubs.delete_hub(HubName="mine")


def refused(call: Any, **members: Any) -> tuple[str, str]:
    """Code and message of a refusal."""
    with pytest.raises(ClientError) as error:
        call(**members)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def read(s3: Any, key: str) -> Any:
    return json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def entry_of(s3: Any, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = next(
        (each for each in read(s3, "models_manifest.json") if each["model_id"] == name), None
    )
    return found


def public_arn(hubs: Any, name: str = NAME) -> str:
    found = hubs.list_hub_contents(HubName=PUBLIC, HubContentType="Model", NameContains=name)["HubContentSummaries"]
    arn: str = found[0]["HubContentArn"]
    return arn.rpartition("/")[0]


def reference(hubs: Any, hub: str, **more: str) -> None:
    hubs.create_hub_content_reference(HubName=hub, SageMakerPublicHubContentArn=public_arn(hubs), **more)


def test_the_bucket_holds_a_manifest_a_specification_and_the_files_of_each_model(s3: Any, house: Running) -> None:
    entry = entry_of(s3, NAME)
    assert entry is not None
    told = read(s3, entry["spec_key"])
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix=told["training_artifact_key"])["Contents"]]
    names = [key.removeprefix(told["training_artifact_key"]) for key in keys]
    assert names == [
        "config.json", "generation_config.json", "model.safetensors", "outcrop.json", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    folder = house.platform.catalog.usable(TINY).folder
    assert folder is not None
    body = s3.get_object(Bucket=BUCKET, Key=f"{told['training_artifact_key']}model.safetensors")["Body"].read()
    assert body == (folder / "model.safetensors").read_bytes()
    assert told["version"] == entry["version"]
    assert re.fullmatch(r"\d{1,4}\.\d{1,4}\.\d{1,4}", told["version"])
    assert len(read(s3, "proprietary-sdk-manifest.json")) == 1


def test_an_alias_of_a_jumpstart_id_is_found_under_that_id(s3: Any, house: Running) -> None:
    house.platform.catalog.alias("meta-textgeneration-llama-2-7b", TINY)
    assert entry_of(s3, "meta-textgeneration-llama-2-7b") is not None
    assert entry_of(s3, "meta-textgeneration-llama2-13b-v1") is not None


def test_heads_ranges_and_conditions_are_those_of_any_object(s3: Any) -> None:
    head = s3.head_object(Bucket=BUCKET, Key="models_manifest.json")
    assert head["ContentType"] == "application/json"
    entry = entry_of(s3, NAME)
    assert entry is not None
    key = f"{read(s3, entry['spec_key'])['training_artifact_key']}model.safetensors"
    whole = s3.get_object(Bucket=BUCKET, Key=key)
    data = whole["Body"].read()
    part = s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=8-15")
    assert part["Body"].read() == data[8:16]
    assert part["ContentRange"] == f"bytes 8-15/{len(data)}"
    assert part["ETag"] == whole["ETag"] == s3.head_object(Bucket=BUCKET, Key=key)["ETag"]
    assert refused(s3.get_object, Bucket=BUCKET, Key=key, IfNoneMatch=whole["ETag"])[0] == "304"
    assert refused(s3.get_object, Bucket=BUCKET, Key=key, IfMatch='"other"')[0] == "PreconditionFailed"
    assert s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"] == [{"Key": "SageMaker", "Value": "true"}]
    assert refused(s3.get_object, Bucket=BUCKET, Key=f"{key}.no")[0] == "NoSuchKey"


def test_every_region_has_its_buckets_and_the_gated_one_is_empty(s3: Any, house: Running) -> None:
    tokyo = "jumpstart-cache-prod-ap-northeast-1"
    assert s3.head_bucket(Bucket=tokyo)["BucketRegion"] == "ap-northeast-1"
    entry = entry_of(s3, NAME)
    assert entry is not None
    there = json.loads(s3.get_object(Bucket=tokyo, Key=entry["spec_key"])["Body"].read())
    assert list(there["training_instance_type_variants"]["regional_aliases"]) == ["ap-northeast-1"]
    assert s3.list_objects_v2(Bucket=GATED)["KeyCount"] == 0
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == []
    abroad = house.client("sagemaker", region_name="eu-west-1")
    arns = [
        each["HubContentArn"]
        for each in abroad.list_hub_contents(HubName=PUBLIC, HubContentType="Model")["HubContentSummaries"]
    ]
    assert all(arn.startswith(f"arn:aws:sagemaker:eu-west-1:aws:hub-content/{PUBLIC}/Model/") for arn in arns)


WRITES: dict[str, dict[str, Any]] = {
    "put_object": {"Key": "x", "Body": b"x"},
    "delete_object": {"Key": "models_manifest.json"},
    "copy_object": {"Key": "x", "CopySource": f"{BUCKET}/models_manifest.json"},
    "create_multipart_upload": {"Key": "x"},
    "put_object_tagging": {"Key": "models_manifest.json", "Tagging": {"TagSet": []}},
    "put_bucket_tagging": {"Tagging": {"TagSet": []}},
    "put_bucket_cors": {"CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}},
    "delete_bucket": {},
}


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("bucket", [BUCKET, GATED])
def test_nobody_writes_into_these_buckets(operation: str, bucket: str, s3: Any) -> None:
    code, message = refused(getattr(s3, operation), Bucket=bucket, **WRITES[operation])
    assert code == "AccessDenied"
    assert "is read only" in message


def test_nobody_else_has_a_bucket_of_such_a_name(s3: Any) -> None:
    assert refused(s3.create_bucket, Bucket=BUCKET)[0] == "BucketAlreadyExists"
    deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "models_manifest.json"}]})
    assert [each["Code"] for each in deleted["Errors"]] == ["AccessDenied"]
    s3.create_bucket(Bucket="jumpstart-cache-prod-mine")
    s3.copy_object(Bucket="jumpstart-cache-prod-mine", Key="m", CopySource=f"{BUCKET}/models_manifest.json")
    s3.delete_object(Bucket="jumpstart-cache-prod-mine", Key="m")
    s3.delete_bucket(Bucket="jumpstart-cache-prod-mine")


def test_who_reads_is_decided_by_policies(house: Running) -> None:
    iam = house.client("iam")

    def client_of(user: str, service: str) -> Any:
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return house.client(service, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])

    for user in ("stranger", "scientist"):
        iam.create_user(UserName=user)
    iam.attach_user_policy(UserName="scientist", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    stranger, scientist = client_of("stranger", "s3"), client_of("scientist", "s3")
    assert refused(stranger.get_object, Bucket=BUCKET, Key="models_manifest.json")[0] == "AccessDenied"
    assert refused(stranger.list_objects_v2, Bucket=BUCKET)[0] == "AccessDenied"
    assert scientist.get_object(Bucket=BUCKET, Key="models_manifest.json")["ResponseMetadata"]["HTTPStatusCode"] == 200
    code, message = refused(client_of("stranger", "sagemaker").describe_hub, HubName=PUBLIC)
    assert code == "AccessDeniedException"
    assert "sagemaker:DescribeHub on resource: arn:aws:sagemaker:us-east-1:aws:hub/SageMakerPublicHub" in message
    deny = {
        "Effect": "Deny",
        "Action": "sagemaker:*",
        "Resource": "arn:aws:sagemaker:*:aws:hub-content/*/Model/local-*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_user_policy(UserName="scientist", PolicyName="no", PolicyDocument=document)
    mine = client_of("scientist", "sagemaker")
    named = {"HubName": f"arn:aws:sagemaker:us-east-1:{house.platform.account}:hub/{PUBLIC}", "HubContentType": "Model"}
    assert refused(mine.describe_hub_content, **named, HubContentName=NAME)[0] == "AccessDeniedException"
    assert mine.describe_hub_content(**named, HubContentName="outcrop-textgeneration-starter-v1")


def test_the_content_follows_the_catalogue_and_the_files(s3: Any, hubs: Any, house: Running, tmp_path: Path) -> None:
    source, catalog = house.platform.catalog.usable(TINY).folder, house.platform.catalog
    assert source is not None
    folder = shutil.copytree(source, tmp_path / "model")
    before = s3.head_object(Bucket=BUCKET, Key="models_manifest.json")["ETag"]
    verdict = ProbeVerdict(way=RunMode.PACKED, config=facts.digest(folder))
    own = house.settings.home / HOME_FILE
    kept = own.read_text()
    Catalog(house.settings.home).register(
        folder, model_id="my.model-v1", name="My", context_length=CONTEXT_LENGTH, licence="", verdict=verdict
    )
    name = "my-textgeneration-model-v1"
    entry = entry_of(s3, name)
    assert entry is not None
    assert s3.head_object(Bucket=BUCKET, Key="models_manifest.json")["ETag"] != before
    weights = folder / "model.safetensors"
    later = weights.stat().st_mtime + timedelta(days=1).total_seconds()
    os.utime(weights, (later, later))
    newer = entry_of(s3, name)
    assert newer is not None
    assert newer["version"] != entry["version"]
    assert refused(s3.get_object, Bucket=BUCKET, Key=entry["spec_key"])[0] == "NoSuchKey"
    weights.unlink()
    assert entry_of(s3, name) is None
    own.write_text(kept)
    catalog._seen = None
    assert refused(hubs.describe_hub_content, HubName=PUBLIC, HubContentType="Model", HubContentName=name)[0] == (
        "ResourceNotFound"
    )


def test_the_public_hub_is_read_only_and_its_documents_are_those_of_the_models(hubs: Any, s3: Any) -> None:
    assert [each["HubName"] for each in hubs.list_hubs()["HubSummaries"]] == [PUBLIC]
    content = hubs.describe_hub_content(HubName=PUBLIC, HubContentType="Model", HubContentName=NAME)
    document, entry = json.loads(content["HubContentDocument"]), entry_of(s3, NAME)
    assert entry is not None
    told = read(s3, entry["spec_key"])
    assert document["TrainingArtifactUri"] == f"s3://{BUCKET}/{told['training_artifact_key']}"
    assert document["Hyperparameters"][0] == {
        "Name": "epoch", "Type": "int", "Default": "3", "Scope": "algorithm", "Min": 1, "Max": 100,
    }  # fmt: skip
    assert content["HubContentVersion"] == entry["version"]
    assert content["HubArn"] == "arn:aws:sagemaker:us-east-1:aws:hub/SageMakerPublicHub"
    for call, more in (
        (hubs.update_hub, {"HubDescription": "mine"}),
        (hubs.delete_hub, {}),
        (hubs.import_hub_content, {"HubContentName": "x", "HubContentType": "Model", **DOCUMENT}),
    ):
        code, message = refused(call, HubName=PUBLIC, **more)
        assert code == "ValidationException"
        assert "follows the catalogue, and is read only" in message
    assert refused(hubs.create_hub, HubName=PUBLIC, HubDescription="")[0] == "ResourceInUse"


def test_a_hub_is_made_changed_found_by_its_arn_and_removed_when_it_is_empty(hubs: Any, house: Running) -> None:
    tags = [{"Key": "team", "Value": "a"}]
    arn = hubs.create_hub(
        HubName="team", HubDescription="first", S3StorageConfig={"S3OutputPath": "s3://b/hub"}, Tags=tags
    )["HubArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:{house.platform.account}:hub/team"
    assert hubs.list_tags(ResourceArn=arn)["Tags"] == tags
    assert refused(hubs.create_hub, HubName="team", HubDescription="")[0] == "ResourceInUse"
    hubs.update_hub(HubName="team", HubDescription="second", HubSearchKeywords=["a"])
    told = hubs.describe_hub(HubName=arn)
    assert (told["HubDescription"], told["HubSearchKeywords"], told["HubStatus"]) == ("second", ["a"], "InService")
    assert told["S3StorageConfig"] == {"S3OutputPath": "s3://b/hub"}
    assert [each["HubName"] for each in hubs.list_hubs(SortBy="HubName", SortOrder="Ascending")["HubSummaries"]] == [
        PUBLIC,
        "team",
    ]
    abroad = house.client("sagemaker", region_name="eu-west-1")
    assert refused(abroad.describe_hub, HubName="team")[0] == "ResourceNotFound"
    assert refused(abroad.describe_hub, HubName=arn)[0] == "ResourceNotFound"
    abroad.create_hub(HubName="team", HubDescription="another one")
    reference(hubs, "team")
    code, message = refused(hubs.delete_hub, HubName="team")
    assert (code, "still holds 1 contents" in message) == ("ResourceInUse", True)
    abroad.delete_hub(HubName="team")
    hubs.delete_hub_content_reference(HubName="team", HubContentType="ModelReference", HubContentName=NAME)
    hubs.delete_hub(HubName="team")
    assert refused(hubs.describe_hub, HubName="team")[0] == "ResourceNotFound"


def test_contents_have_versions_of_which_the_newest_is_meant(hubs: Any, hub: str) -> None:
    named = {"HubName": hub, "HubContentName": "m", "HubContentType": "Model"}
    for version in ("1.2.0", "1.10.0"):
        hubs.import_hub_content(**named, **DOCUMENT, HubContentVersion=version, HubContentDisplayName=version)
    hubs.import_hub_content(**named, **DOCUMENT)
    (newest,) = hubs.list_hub_contents(HubName=hub, HubContentType="Model")["HubContentSummaries"]
    assert newest["HubContentVersion"] == "1.10.1"
    versions = hubs.list_hub_content_versions(**named, MinVersion="1.3.0", SortOrder="Ascending")["HubContentSummaries"]
    assert [each["HubContentVersion"] for each in versions] == ["1.10.0", "1.10.1"]
    assert hubs.describe_hub_content(**named, HubContentVersion="1.2.0")["HubContentDisplayName"] == "1.2.0"
    assert refused(hubs.import_hub_content, **named, **DOCUMENT, HubContentVersion="1.2.0")[0] == "ResourceInUse"
    hubs.update_hub_content(**named, HubContentVersion="1.2.0", HubContentDescription="told")
    assert hubs.describe_hub_content(**named, HubContentVersion="1.2.0")["HubContentDescription"] == "told"
    code, message = refused(hubs.describe_hub_content, **named, HubContentVersion="3.0.0")
    assert (code, "is there at 1.2.0, 1.10.0, 1.10.1" in message) == ("ResourceNotFound", True)
    assert refused(hubs.delete_hub_content, **named, HubContentVersion="3.0.0")[0] == "ResourceNotFound"
    assert refused(hubs.import_hub_content, **named, **(DOCUMENT | {"HubContentDocument": "["}))[0] == (
        "ValidationException"
    )
    assert refused(hubs.create_hub_content_presigned_urls, **named)[0] == "ValidationException"


def test_a_reference_stands_for_the_model_of_the_moment_until_that_is_gone(hubs: Any, hub: str, house: Running) -> None:
    house.platform.catalog.alias("lent.model-v1", TINY)
    arn = public_arn(hubs, "lent-textgeneration-model-v1")
    hubs.create_hub_content_reference(HubName=hub, SageMakerPublicHubContentArn=arn, HubContentName="lent")
    named = {"HubName": hub, "HubContentName": "lent", "HubContentType": "ModelReference"}
    told = hubs.describe_hub_content(**named)
    assert told["SageMakerPublicHubContentArn"] == arn
    assert json.loads(told["HubContentDocument"])["TrainingSupported"] is True
    assert (
        refused(
            hubs.create_hub_content_reference, HubName=hub, SageMakerPublicHubContentArn=arn, HubContentName="lent"
        )[0]
        == "ResourceInUse"
    )
    hubs.update_hub_content_reference(**named, MinVersion="9999.0.0")
    assert "Lower MinVersion" in refused(hubs.describe_hub_content, **named)[1]
    hubs.update_hub_content_reference(**named, MinVersion="1.0.0")
    assert hubs.describe_hub_content(**named)["ReferenceMinVersion"] == "1.0.0"
    assert refused(hubs.delete_hub_content, **named, HubContentVersion="1.0.0")[0] == "ValidationException"
    own = house.settings.home / HOME_FILE
    own.write_text(own.read_text().replace("lent.model-v1", "returned.model-v1"))
    code, message = refused(hubs.describe_hub_content, **named)
    assert code == "ResourceNotFound"
    assert "stands for the model lent-textgeneration-model-v1, which is in the catalogue no more" in message
    (listed,) = hubs.list_hub_contents(HubName=hub, HubContentType="ModelReference")["HubContentSummaries"]
    assert listed["HubContentStatus"] == "ImportFailed"


def test_presigned_urls_are_good_for_an_hour_and_for_nothing_else(hubs: Any, hub: str, clock: LaterClock) -> None:
    reference(hubs, hub)
    named = {"HubName": hub, "HubContentName": NAME, "HubContentType": "ModelReference"}
    first = hubs.create_hub_content_presigned_urls(**named, MaxResults=2)
    rest = hubs.create_hub_content_presigned_urls(**named, MaxResults=100, NextToken=first["NextToken"])
    urls = {each["LocalPath"]: each["Url"] for each in first["AuthorizedUrlConfigs"] + rest["AuthorizedUrlConfigs"]}
    assert sorted(urls) == [
        "/config.json", "/generation_config.json", "/model.safetensors", "/outcrop.json", "/tokenizer.json",
        "/tokenizer_config.json",
    ]  # fmt: skip
    url = urls["/config.json"]
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["3600"]
    assert httpx.get(url).json()["model_type"] == "llama"
    assert httpx.get(url.replace("config.json", "outcrop.json", 1)).status_code == 403
    assert httpx.get(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200")).status_code == 403
    clock.ahead = timedelta(minutes=59)
    assert httpx.get(url).status_code == 200
    clock.ahead = timedelta(minutes=61)
    late = httpx.get(url)
    clock.ahead = timedelta()
    assert (late.status_code, "Request has expired" in late.text) == (403, True)
    code, message = refused(
        hubs.create_hub_content_presigned_urls, **named, AccessConfig={"ExpectedS3Url": "s3://elsewhere/x/"}
    )
    assert (code, "ExpectedS3Url" in message) == ("ValidationException", True)
