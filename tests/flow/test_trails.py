"""CloudTrail over HTTP: events looked up, and trails that deliver files which the AWS CLI verifies."""

import gzip
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.audit.entry import Entry
from outcrop.cli import audit
from outcrop.clock import MovableClock
from outcrop.errors import Invalid
from outcrop.store.database import writing
from outcrop.trails.delivery import TrailDelivery
from outcrop.trails.progress import ProgressRecords
from outcrop.trails.verification import TrailVerifier
from tests.support.databases import kept_bytes
from tests.support.servers import Running, outcrop, running_server

NOW = datetime.now(UTC).replace(microsecond=0)
MINUTE = timedelta(minutes=1)
PASSWORD = "a secret that nobody may see in any record"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("house") / "home") as running:
        yield running


class Deliverer:
    """Deliveries by a clock of their own: requests are signed by the machine's."""

    def __init__(self, house: Running) -> None:
        self.house = house
        self.clock = MovableClock(NOW)
        rooms = house.platform
        self._delivery = TrailDelivery(rooms.trails, rooms.audit, rooms.trail_keys, self.clock, rooms.account)

    def turn(self, *, after: timedelta = timedelta()) -> int:
        self.clock.move(after)
        self.house.write()
        return self._delivery.turn()


def policy(bucket: str, account: str) -> str:
    """The statements that CloudTrail's user guide has for a bucket."""
    service = {"Service": "cloudtrail.amazonaws.com"}
    sent = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}
    statements = [
        {"Effect": "Allow", "Principal": service, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{bucket}"},
        {
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/AWSLogs/{account}/*",
            "Condition": sent,
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def bucket_for_trails(house: Running, name: str) -> str:
    s3 = house.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_policy(Bucket=name, Policy=policy(name, house.platform.account))
    return name


def keys(house: Running, bucket: str, kind: str = "CloudTrail/") -> list[str]:
    found = house.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return [each["Key"] for each in found if f"/{kind}" in each["Key"]]


def records(house: Running, bucket: str) -> list[dict[str, Any]]:
    """Every event in the bucket, in the order of the files."""
    found: list[dict[str, Any]] = []
    for key in keys(house, bucket):
        body = house.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        found += json.loads(gzip.decompress(body))["Records"]
    return found


def look_up(house: Running, key: str, value: str, **more: Any) -> list[dict[str, Any]]:
    pages = house.client("cloudtrail").get_paginator("lookup_events")
    asked = {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}], **more}
    return [event for page in pages.paginate(**asked) for event in page["Events"]]


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def test_an_event_says_who_did_what_with_what_and_from_where(house: Running) -> None:
    made = house.client("iam").create_user(UserName="ada", Path="/people/", Tags=[{"Key": "a", "Value": "b"}])
    (found,) = look_up(house, "EventName", "CreateUser")
    event = json.loads(found["CloudTrailEvent"])
    assert event["userIdentity"]["type"] == "IAMUser"
    assert event["userIdentity"]["userName"] == "admin" == found["Username"]
    assert event["userIdentity"]["accessKeyId"] == house.installation.access_key_id == found["AccessKeyId"]
    assert event["requestParameters"] == {
        "userName": "ada", "path": "/people/", "tags": [{"key": "a", "value": "b"}],
    }  # fmt: skip
    assert event["responseElements"]["user"]["arn"] == made["User"]["Arn"]
    assert event["requestID"] == made["ResponseMetadata"]["RequestId"]
    assert event["eventID"] == found["EventId"]
    assert (event["eventSource"], event["eventCategory"]) == ("iam.amazonaws.com", "Management")
    assert (event["readOnly"], event["managementEvent"]) == (False, True)
    assert event["eventVersion"].startswith("1.")
    assert event["recipientAccountId"] == house.platform.account
    assert event["sourceIPAddress"] == "127.0.0.1"
    assert event["userAgent"].startswith("Boto3/")
    assert found["Resources"] == [{"ResourceType": "AWS::IAM::User", "ResourceName": "ada"}]
    assert datetime.fromisoformat(event["eventTime"]) == found["EventTime"].replace(microsecond=0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("EventName", "CreateUser"),
        ("ReadOnly", "false"),
        ("Username", "admin"),
        ("ResourceType", "AWS::IAM::User"),
        ("ResourceName", "searched"),
        ("ResourceName", "arn:aws:iam::{account}:user/searched"),
        ("EventSource", "iam.amazonaws.com"),
        ("AccessKeyId", "{key}"),
        ("EventId", "{event}"),
    ],
)
def test_an_event_is_found_by_each_of_its_attributes(house: Running, key: str, value: str) -> None:
    iam = house.client("iam")
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName="searched")
    made = look_up(house, "ResourceName", "searched")[-1]
    known = {"account": house.platform.account, "key": house.installation.access_key_id, "event": made["EventId"]}
    found = look_up(house, key, value.format(**known))
    assert made in found
    others = {"EventName": "DeleteUser", "ReadOnly": "true", "EventSource": "kms.amazonaws.com"}
    assert made not in look_up(house, key, others.get(key, "nothing"))


def test_events_come_newest_first_in_pages_and_within_a_time(house: Running) -> None:
    cloudtrail, begin = house.client("cloudtrail"), NOW - timedelta(hours=5)
    for number in (0, 1, 2, 3, 4, -91 * 24 * 60):
        house.platform.audit.record(dated(begin + timedelta(minutes=number), params=f'{{"number":{number}}}'))
    asked = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateAlias"}]}
    seen, token = [], None
    while True:
        page = cloudtrail.lookup_events(**asked, MaxResults=2, **({"NextToken": token} if token else {}))
        seen += [json.loads(each["CloudTrailEvent"])["requestParameters"]["number"] for each in page["Events"]]
        token = page.get("NextToken")
        if token is None:
            break
    assert seen == [4, 3, 2, 1, 0]
    inside = cloudtrail.lookup_events(**asked, StartTime=begin + MINUTE, EndTime=begin + 3 * MINUTE)["Events"]
    assert len(inside) == 3
    with pytest.raises(ClientError) as raised:
        cloudtrail.lookup_events(StartTime=begin, EndTime=begin - timedelta(hours=1))
    assert code_of(raised) == "InvalidTimeRangeException"
    with pytest.raises(ClientError) as raised:
        cloudtrail.lookup_events(**asked, NextToken="made-up")
    assert code_of(raised) == "InvalidNextTokenException"
    elsewhere = house.client("cloudtrail", region_name="eu-west-1")
    assert elsewhere.lookup_events(**asked)["Events"] == []


def dated(at: datetime, **more: Any) -> Entry:
    """The entry of a change at a moment."""
    return Entry(
        at=at, service="kms", operation="CreateAlias", region="us-east-1", caller="arn:aws:iam::123456789012:user/jane",
        user_id="AIDA", key_id="AKIA", session="", resources=(), source_ip="", user_agent="",
        request_id=str(uuid.uuid4()), status=200, code="", read_only=False, data=False, **more,
    )  # fmt: skip


def test_secrets_policies_and_bodies_are_in_no_event(house: Running) -> None:
    iam = house.client("iam")
    iam.create_user(UserName="guarded")
    key = iam.create_access_key(UserName="guarded")["AccessKey"]
    (found,) = look_up(house, "EventName", "CreateAccessKey")
    made = json.loads(found["CloudTrailEvent"])["responseElements"]["accessKey"]
    assert made["accessKeyId"] == key["AccessKeyId"]
    assert made["secretAccessKey"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    with pytest.raises(ClientError):
        house.client("bedrock-runtime").converse(
            modelId="nobody.has-this", messages=[{"role": "user", "content": [{"text": PASSWORD}]}]
        )
    with pytest.raises(ClientError):
        house.client("sagemaker").create_training_job(
            TrainingJobName="j",
            RoleArn=house.installation.service_role_arn,
            AlgorithmSpecification={"TrainingInputMode": "File", "TrainingImage": PASSWORD},
            OutputDataConfig={"S3OutputPath": "s3://nowhere/o"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
            Environment={"TOKEN": PASSWORD},
        )
    (tried,) = look_up(house, "EventName", "CreateTrainingJob")
    asked = json.loads(tried["CloudTrailEvent"])
    assert asked["requestParameters"]["environment"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert asked["requestParameters"]["algorithmSpecification"]["trainingImage"] == PASSWORD
    assert PASSWORD not in asked.get("errorMessage", "")
    (invoked,) = look_up(house, "EventName", "Converse")
    assert json.loads(invoked["CloudTrailEvent"])["requestParameters"] == {"modelId": "nobody.has-this"}
    house.write()
    kept = kept_bytes(house.settings)
    assert key["SecretAccessKey"].encode() not in kept


def test_a_session_is_told_with_the_role_that_issued_it(house: Running) -> None:
    iam, role = house.client("iam"), "trail-reader"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=role, Path="/in/", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    given = house.client("sts").assume_role(RoleArn=arn, RoleSessionName="night-shift")["Credentials"]
    session = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    house.client("sts", **session).get_caller_identity()
    found = [each for each in look_up(house, "Username", "night-shift") if each["EventName"] == "GetCallerIdentity"]
    identity = json.loads(found[0]["CloudTrailEvent"])["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == arn
    (taken,) = [each for each in look_up(house, "EventName", "AssumeRole") if "night-shift" in each["CloudTrailEvent"]]
    answer = json.loads(taken["CloudTrailEvent"])["responseElements"]["credentials"]
    assert answer["accessKeyId"] == given["AccessKeyId"]
    assert given["SessionToken"] not in taken["CloudTrailEvent"]
    with pytest.raises(ClientError) as raised:
        house.client("iam", **session).delete_user(UserName="ada")
    assert code_of(raised) == "AccessDenied"
    (refused,) = [each for each in look_up(house, "Username", "night-shift") if each["EventName"] == "DeleteUser"]
    event = json.loads(refused["CloudTrailEvent"])
    assert event["errorCode"] == "AccessDenied"
    assert "is not authorized to perform: iam:DeleteUser" in event["errorMessage"]


def test_a_trail_needs_a_bucket_that_lets_it_in(house: Running) -> None:
    cloudtrail, s3 = house.client("cloudtrail"), house.client("s3")
    for name, code in (("nobodys-bucket", "S3BucketDoesNotExistException"), ("AB", "InvalidS3BucketNameException")):
        with pytest.raises(ClientError) as raised:
            cloudtrail.create_trail(Name="refused", S3BucketName=name)
        assert code_of(raised) == code
    s3.create_bucket(Bucket="closed")
    with pytest.raises(ClientError) as raised:
        cloudtrail.create_trail(Name="refused", S3BucketName="closed")
    assert code_of(raised) == "InsufficientS3BucketPolicyException"
    bucket = bucket_for_trails(house, "open-for-trails")
    for name, told in (
        ("a", "too short. Minimum allowed length: 3 characters. Specified name length: 1 characters"),
        ("a" * 129, "too long. Maximum allowed length: 128 characters. Specified name length: 129 characters"),
        ("-aa", "must starts with"), ("aa-", "must ends with"), ("a b", "can only contain"),
        ("a..b", "adjacent"), ("10.0.0.1", "IP address"),
    ):  # fmt: skip
        with pytest.raises(ClientError, match=told) as raised:
            cloudtrail.create_trail(Name=name, S3BucketName=bucket)
        assert code_of(raised) == "InvalidTrailNameException"
    for more in ({"SnsTopicName": "t"}, {"KmsKeyId": "k"}, {"IsOrganizationTrail": True}):
        with pytest.raises(ClientError, match=next(iter(more))):
            cloudtrail.create_trail(Name="refused", S3BucketName=bucket, **more)
    with pytest.raises(ClientError, match="Multi-Region trail must include global service events"):
        cloudtrail.create_trail(
            Name="refused", S3BucketName=bucket, IsMultiRegionTrail=True, IncludeGlobalServiceEvents=False
        )
    made = cloudtrail.create_trail(Name="made", S3BucketName=bucket, TagsList=[{"Key": "k", "Value": "v"}])
    with pytest.raises(ClientError) as raised:
        cloudtrail.create_trail(Name="made", S3BucketName=bucket)
    assert code_of(raised) == "TrailAlreadyExistsException"
    assert cloudtrail.get_trail(Name="made")["Trail"]["TrailARN"] == made["TrailARN"]
    listed = cloudtrail.list_tags(ResourceIdList=[made["TrailARN"]])["ResourceTagList"]
    assert listed == [{"ResourceId": made["TrailARN"], "TagsList": [{"Key": "k", "Value": "v"}]}]
    assert not cloudtrail.get_trail_status(Name=made["TrailARN"])["IsLogging"]
    elsewhere = house.client("cloudtrail", region_name="eu-west-1")
    with pytest.raises(ClientError) as raised:
        elsewhere.start_logging(Name=made["TrailARN"])
    assert code_of(raised) == "InvalidHomeRegionException"
    assert elsewhere.describe_trails()["trailList"] == []
    cloudtrail.update_trail(Name="made", IsMultiRegionTrail=True)
    assert [each["Name"] for each in elsewhere.describe_trails()["trailList"]] == ["made"]
    assert elsewhere.describe_trails(includeShadowTrails=False)["trailList"] == []
    cloudtrail.delete_trail(Name="made")
    with pytest.raises(ClientError) as raised:
        cloudtrail.get_trail(Name="made")
    assert code_of(raised) == "TrailNotFoundException"
    with pytest.raises(ClientError, match="CreateEventDataStore is not built"):
        cloudtrail.create_event_data_store(Name="lake")


def test_a_trail_takes_what_its_selectors_say(house: Running) -> None:
    bucket, cloudtrail, s3 = bucket_for_trails(house, "chosen"), house.client("cloudtrail"), house.client("s3")
    cloudtrail.create_trail(Name="choosing", S3BucketName=bucket)
    (given,) = cloudtrail.get_event_selectors(TrailName="choosing")["EventSelectors"]
    assert given["ReadWriteType"] == "All"
    s3.create_bucket(Bucket="watched")
    data = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::watched/in/"]}
    selector = {"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True, "DataResources": [data]}
    cloudtrail.put_event_selectors(TrailName="choosing", EventSelectors=[selector])
    cloudtrail.start_logging(Name="choosing")
    for key in ("in/a", "out/b"):
        s3.put_object(Bucket="watched", Key=key, Body=PASSWORD.encode(), Metadata={"m": PASSWORD})
    s3.get_object(Bucket="watched", Key="in/a")
    house.client("iam").list_users()
    house.client("iam").create_user(UserName="chosen")
    house.client("kms", region_name="eu-west-1").create_key()
    deliverer = Deliverer(house)
    assert deliverer.turn() == 1
    found = records(house, bucket)
    assert [(each["eventName"], each["eventCategory"]) for each in found] == [
        ("StartLogging", "Management"), ("PutObject", "Data"), ("CreateUser", "Management"),
    ]  # fmt: skip
    assert found[1]["requestParameters"] == {"bucketName": "watched", "key": "in/a"}
    assert found[1]["resources"][0] == {
        "accountId": house.platform.account, "type": "AWS::S3::Object", "ARN": "arn:aws:s3:::watched/in/a",
    }  # fmt: skip
    assert look_up(house, "EventName", "PutObject") == []
    fields = [
        {"Field": "eventCategory", "Equals": ["Data"]},
        {"Field": "resources.type", "Equals": ["AWS::Bedrock::Model"]},
        {"Field": "resources.ARN", "EndsWith": ["this-one"]},
    ]
    cloudtrail.put_event_selectors(TrailName="choosing", AdvancedEventSelectors=[{"FieldSelectors": fields}])
    for model in ("nobody.this-one", "nobody.another"):
        with pytest.raises(ClientError):
            house.client("bedrock-runtime").invoke_model(modelId=model, body=PASSWORD)
    s3.put_object(Bucket="watched", Key="in/c", Body=b"")
    deliverer.turn(after=6 * MINUTE)
    assert [each["eventName"] for each in records(house, bucket)[3:]] == ["InvokeModel"]
    for wrong in (
        [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["NetworkActivity"]}]}],
        [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}],
        [{"FieldSelectors": [{"Field": "vpcEndpointId", "Equals": ["x"]}]}],
    ):
        with pytest.raises(ClientError) as raised:
            cloudtrail.put_event_selectors(TrailName="choosing", AdvancedEventSelectors=wrong)
        assert code_of(raised) == "InvalidEventSelectorsException"
    everything = kept_bytes(house.settings)
    house.client("cloudtrail").delete_trail(Name="choosing")
    assert f'"{PASSWORD}"'.encode() not in everything.replace(b'{"m":"' + PASSWORD.encode(), b"")


def test_a_bucket_that_closes_gets_everything_once_it_opens_again(house: Running) -> None:
    bucket, cloudtrail, s3 = bucket_for_trails(house, "closing"), house.client("cloudtrail"), house.client("s3")
    cloudtrail.create_trail(Name="closing", S3BucketName=bucket)
    cloudtrail.start_logging(Name="closing")
    s3.delete_bucket_policy(Bucket=bucket)
    deliverer = Deliverer(house)
    assert deliverer.turn() == 0
    assert cloudtrail.get_trail_status(Name="closing")["LatestDeliveryError"] == "AccessDenied"
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, house.platform.account))
    assert deliverer.turn(after=MINUTE) == 0
    assert deliverer.turn(after=5 * MINUTE) == 1
    status = cloudtrail.get_trail_status(Name="closing")
    assert "LatestDeliveryError" not in status
    cloudtrail.stop_logging(Name="closing")
    house.client("iam").create_user(UserName="unseen")
    deliverer.turn()
    names = [each["eventName"] for each in records(house, bucket)]
    assert names[:2] == ["StartLogging", "DeleteBucketPolicy"]
    assert names[-2:] == ["GetTrailStatus", "StopLogging"]
    assert "CreateUser" not in names
    ids = [each["eventID"] for each in records(house, bucket)]
    assert len(ids) == len(set(ids))
    cloudtrail.delete_trail(Name="closing")


def validated(house: Running, arn: str, since: datetime) -> "subprocess.CompletedProcess[str]":
    """The words and the exit code of `aws cloudtrail validate-logs`."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": house.endpoint,
        "AWS_ACCESS_KEY_ID": house.installation.access_key_id,
        "AWS_SECRET_ACCESS_KEY": house.installation.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    until = since + timedelta(hours=9)
    place = ["--trail-arn", arn, "--start-time", since.isoformat(), "--end-time", until.isoformat(), "--verbose"]
    command = [sys.executable, "-m", "awscli", "cloudtrail", "validate-logs", *place]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_delivered_files_are_verified_by_the_aws_command_line(tmp_path: Path) -> None:
    with running_server(tmp_path / "home") as house:
        bucket, cloudtrail, s3 = bucket_for_trails(house, "verified"), house.client("cloudtrail"), house.client("s3")
        made = cloudtrail.create_trail(Name="verified", S3BucketName=bucket, EnableLogFileValidation=True)
        cloudtrail.start_logging(Name="verified")
        deliverer = Deliverer(house)
        for number in range(3):
            house.client("iam").create_user(UserName=f"user-{number}")
            deliverer.turn()
            deliverer.turn(after=61 * MINUTE)
        digests = keys(house, bucket, "CloudTrail-Digest/")
        assert len(digests) == 3
        told = validated(house, made["TrailARN"], NOW)
        assert told.returncode == 0, told.stdout + told.stderr
        assert "3/3 digest files valid" in told.stdout
        assert "log files valid" in told.stdout
        first = keys(house, bucket)[0]
        body = gzip.decompress(s3.get_object(Bucket=bucket, Key=first)["Body"].read())
        s3.put_object(Bucket=bucket, Key=first, Body=gzip.compress(body.replace(b"user-0", b"user-9")))
        told = validated(house, made["TrailARN"], NOW)
        assert told.returncode == 1
        assert f"s3://{bucket}/{first}\tINVALID: hash value doesn't match" in told.stdout + told.stderr


def test_outcrop_audit_finds_whatever_is_touched_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(tmp_path / "home") as house:
        bucket, cloudtrail, s3 = bucket_for_trails(house, "audited"), house.client("cloudtrail"), house.client("s3")
        cloudtrail.create_trail(Name="audited", S3BucketName=bucket, EnableLogFileValidation=True)
        cloudtrail.start_logging(Name="audited")
        deliverer = Deliverer(house)
        for number in range(3):
            house.client("iam").create_user(UserName=f"user-{number}")
            deliverer.turn()
            deliverer.turn(after=61 * MINUTE)
        house.client("iam").create_user(UserName="not-digested")
        deliverer.turn(after=6 * MINUTE)
        files, digests = keys(house, bucket), keys(house, bucket, "CloudTrail-Digest/")

        def found() -> list[str]:
            rooms = house.platform
            trails = rooms.trails.all()
            verifier = TrailVerifier(
                rooms.buckets, rooms.trails.progress, rooms.trail_keys.all(), trails, rooms.account
            )
            return verifier.verify(trails[0]).problems

        def put_back(key: str, content: dict[str, Any]) -> None:
            s3.put_object(Bucket=bucket, Key=key, Body=content["Body"], Metadata=content["Metadata"])

        def get(key: str) -> dict[str, Any]:
            answer = s3.get_object(Bucket=bucket, Key=key)
            return {"Body": answer["Body"].read(), "Metadata": answer["Metadata"]}

        assert found() == []
        for key in (files[0], files[-1]):
            before = get(key)
            lines = json.loads(gzip.decompress(before["Body"]))
            lines["Records"].reverse()
            lines["Records"].append(lines["Records"][0])
            s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(json.dumps(lines).encode()))
            assert found() == [f"s3://{bucket}/{key}: the log file was changed or exchanged"]
            s3.delete_object(Bucket=bucket, Key=key)
            assert found() == [f"s3://{bucket}/{key}: the log file was removed"]
            put_back(key, before)
        first, second = get(files[0]), get(files[1])
        put_back(files[0], second)
        put_back(files[1], first)
        assert len(found()) == 2
        put_back(files[0], first)
        put_back(files[1], second)
        added = files[0].replace(".json.gz", "X.json.gz")
        put_back(added, first)
        assert found() == [f"s3://{bucket}/{added}: was put in, for no digest names it"]
        s3.delete_object(Bucket=bucket, Key=added)
        for number, key in enumerate(digests):
            before = get(key)
            s3.delete_object(Bucket=bucket, Key=key)
            assert f"s3://{bucket}/{key}: the digest was removed" in found(), number
            s3.put_object(Bucket=bucket, Key=key, Body=before["Body"], Metadata={"signature": "00"})
            assert f"s3://{bucket}/{key}: is not as it was signed" in found()
            put_back(key, before)
        one = get(digests[0])
        other = get(digests[1])
        put_back(digests[0], other)
        assert f"s3://{bucket}/{digests[0]}: was moved or exchanged" in " ".join(found())
        put_back(digests[0], one)
        assert found() == []
        home = house.settings.home
        assert audit.verify(home=home) == 0
        told = capsys.readouterr().out
        assert "The record is as it was written" in told
        end = told.split("another time:\n")[1].split()[0]
        assert audit.verify(known=end, home=home) == 0
        monkeypatch.setenv("COLUMNS", "80")
        capsys.readouterr()
        assert audit.search(what="CreateUser", on="user-1", since="1h", home=home) == 0
        listed = capsys.readouterr().out
        assert "CreateUser" in listed
        assert max(map(len, listed.splitlines())) <= 80
        audit.search(on="user-1", who="admin", as_json=True, home=home)
        (event,) = json.loads(capsys.readouterr().out)
        assert (event["eventName"], event["requestParameters"]) == ("CreateUser", {"userName": "user-1"})
        audit.search(who="nobody", home=home)
        assert "Nothing in the record fits" in capsys.readouterr().out
        with pytest.raises(Invalid, match="is no time"):
            audit.search(since="yesterday", home=home)
        with writing(house.platform.store.engine) as connection:
            connection.exec_driver_sql("DELETE FROM audit_entries WHERE number IN (3, 4)")
        broken = outcrop("audit", "verify", "--home", str(home))
        assert broken.returncode == 1
        assert "entries 3 to 4 are missing" in broken.stdout


def test_a_delivery_that_was_killed_is_made_again_and_each_event_is_there_once(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, cloudtrail = bucket_for_trails(house, "killed"), house.client("cloudtrail")
    cloudtrail.create_trail(Name="killed", S3BucketName=bucket, EnableLogFileValidation=True)
    cloudtrail.start_logging(Name="killed")
    house.client("kms").create_key()
    change, deliverer = ProgressRecords.change, Deliverer(house)

    def killed(self: ProgressRecords, arn: str, **members: Any) -> Any:
        if "delivered" in members or "digested" in members:
            raise SystemExit  # the files are in the bucket, and nobody wrote down that they are
        return change(self, arn, **members)

    for after in (timedelta(), 61 * MINUTE):
        with monkeypatch.context() as patched:
            patched.setattr(ProgressRecords, "change", killed)
            with pytest.raises(SystemExit):
                deliverer.turn(after=after)
        house.client("kms").create_key()
        deliverer.turn(after=MINUTE)
    ids = [each["eventID"] for each in records(house, bucket)]
    assert len(ids) == len(set(ids)) >= 3
    assert len(keys(house, bucket, "CloudTrail-Digest/")) == 1
    rooms = house.platform
    trail = rooms.trails.find("killed", region="us-east-1")
    verifier = TrailVerifier(rooms.buckets, rooms.trails.progress, rooms.trail_keys.all(), [trail], rooms.account)
    assert verifier.verify(trail).problems == []
    cloudtrail.delete_trail(Name="killed")


def test_a_bucket_with_a_key_of_kms_takes_deliveries_once_the_key_lets_the_trail(house: Running) -> None:
    cloudtrail, s3, kms = house.client("cloudtrail"), house.client("s3"), house.client("kms")
    bucket = bucket_for_trails(house, "sealed-trails")
    key = kms.create_key()["KeyMetadata"]
    by_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["Arn"]}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": by_key}]},
    )
    trail = cloudtrail.create_trail(Name="sealed", S3BucketName=bucket)["TrailARN"]
    cloudtrail.start_logging(Name="sealed")
    deliverer = Deliverer(house)
    deliverer.turn()
    assert cloudtrail.get_trail_status(Name="sealed")["LatestDeliveryError"] == "AccessDenied"
    before = json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])
    lets_in = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "kms:GenerateDataKey",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceArn": trail, "aws:SourceAccount": house.platform.account}},
    }
    document = before | {"Statement": [*before["Statement"], lets_in]}
    kms.put_key_policy(KeyId=key["KeyId"], Policy=json.dumps(document))
    deliverer.turn(after=5 * MINUTE)
    assert "LatestDeliveryError" not in cloudtrail.get_trail_status(Name="sealed")
    (file,) = keys(house, bucket)
    assert s3.head_object(Bucket=bucket, Key=file)["SSEKMSKeyId"] == key["Arn"]
    cloudtrail.delete_trail(Name="sealed")
