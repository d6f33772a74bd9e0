"""What policies decide about objects: one by one where many are deleted, and by the tags that they have or get."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from outcrop.clock import SystemClock
from outcrop.house import House
from tests.iam.test_decisions import allow
from tests.iam.test_users_and_roles import code_of
from tests.support.policies import policy, trusting
from tests.support.servers import Running

ClientOf = Callable[..., Any]


@pytest.fixture
def s3(server: Running) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(s3: Any, user: str) -> str:
    name = f"objects-{user}"
    s3.create_bucket(Bucket=name)
    return name


def keys_in(s3: Any, bucket: str) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_of_many_objects_those_are_deleted_that_may_be(
    iam: Any, user: str, client_of: ClientOf, s3: Any, bucket: str
) -> None:
    for key in ("mine/a", "mine/b", "theirs/a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    allow(iam, user, "s3:DeleteObject", f"arn:aws:s3:::{bucket}/mine/*")
    asked = [{"Key": key} for key in ("mine/a", "theirs/a", "mine/none")]
    answer = client_of(user, "s3").delete_objects(Bucket=bucket, Delete={"Objects": asked})
    assert [each["Key"] for each in answer["Deleted"]] == ["mine/a", "mine/none"]
    (refused,) = answer["Errors"]
    assert (refused["Key"], refused["Code"]) == ("theirs/a", "AccessDenied")
    assert refused["Message"].endswith(
        f'is not authorized to perform: s3:DeleteObject on resource: "arn:aws:s3:::{bucket}/theirs/a" '
        "because no identity-based policy allows the s3:DeleteObject action"
    )
    assert keys_in(s3, bucket) == ["mine/b", "theirs/a"]


def test_a_quiet_deletion_still_tells_what_was_refused(
    iam: Any, user: str, client_of: ClientOf, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    allow(iam, user, "s3:DeleteObject", f"arn:aws:s3:::{bucket}/b")
    asked = {"Objects": [{"Key": "a"}, {"Key": "b"}], "Quiet": True}
    answer = client_of(user, "s3").delete_objects(Bucket=bucket, Delete=asked)
    assert "Deleted" not in answer
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("a", "AccessDenied")]
    assert keys_in(s3, bucket) == ["a"]


def test_who_may_delete_nothing_does_not_learn_whether_a_bucket_exists(
    client_of: ClientOf, user: str, bucket: str
) -> None:
    s3 = client_of(user, "s3")
    answers = [
        s3.delete_objects(Bucket=each, Delete={"Objects": [{"Key": "a"}]})["Errors"]
        for each in (bucket, "nothing-here")
    ]
    assert [each[0]["Code"] for each in answers] == ["AccessDenied", "AccessDenied"]
    assert answers[0][0]["Message"].replace(bucket, "nothing-here") == answers[1][0]["Message"]


def test_the_tags_an_object_has_decide_who_reads_it(
    iam: Any, user: str, client_of: ClientOf, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="blue", Body=b"b", Tagging="team=blue")
    s3.put_object(Bucket=bucket, Key="red", Body=b"r", Tagging="team=red")
    s3.put_object(Bucket=bucket, Key="plain", Body=b"p")
    allow(iam, user, "s3:GetObject*", StringEquals={"s3:ExistingObjectTag/team": "blue"})
    own = client_of(user, "s3")
    assert own.get_object(Bucket=bucket, Key="blue")["Body"].read() == b"b"
    assert own.get_object_tagging(Bucket=bucket, Key="blue")["TagSet"] == [{"Key": "team", "Value": "blue"}]
    for key in ("red", "plain", "none"):
        assert code_of(own.get_object, Bucket=bucket, Key=key) == "AccessDenied", key
    # And with its tags what may be done with it changes, at once.
    s3.put_object_tagging(Bucket=bucket, Key="red", Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]})
    assert own.get_object(Bucket=bucket, Key="red")["Body"].read() == b"r"
    s3.delete_object_tagging(Bucket=bucket, Key="blue")
    assert code_of(own.get_object, Bucket=bucket, Key="blue") == "AccessDenied"


def test_the_tags_an_object_has_do_not_speak_of_putting_and_deleting_it(
    iam: Any, user: str, client_of: ClientOf, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="team=blue")
    allow(iam, user, "s3:*", StringEquals={"s3:ExistingObjectTag/team": "blue"})
    own = client_of(user, "s3")
    assert code_of(own.put_object, Bucket=bucket, Key="k", Body=b"") == "AccessDenied"
    assert code_of(own.delete_object, Bucket=bucket, Key="k") == "AccessDenied"
    own.put_object_tagging(
        Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "team", "Value": "blue"}, {"Key": "more", "Value": ""}]}
    )


def test_the_keys_of_the_tags_a_request_brings_may_be_limited(
    iam: Any, user: str, client_of: ClientOf, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    limit = {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["team", "cost"]}}
    allow(iam, user, ["s3:PutObject", "s3:PutObjectTagging"], f"arn:aws:s3:::{bucket}/*", **limit)
    own = client_of(user, "s3")

    def tag(*keys: str) -> dict[str, Any]:
        return {"Bucket": bucket, "Key": "k", "Tagging": {"TagSet": [{"Key": key, "Value": "v"} for key in keys]}}

    own.put_object_tagging(**tag("team", "cost"))
    assert code_of(own.put_object_tagging, **tag("team", "secret")) == "AccessDenied"
    own.put_object(Bucket=bucket, Key="new", Body=b"", Tagging="cost=1")
    assert code_of(own.put_object, Bucket=bucket, Key="new", Body=b"", Tagging="cost=1&secret=1") == "AccessDenied"
    began = own.create_multipart_upload(Bucket=bucket, Key="parts", Tagging="team=1")
    assert began["UploadId"]
    assert code_of(own.create_multipart_upload, Bucket=bucket, Key="parts", Tagging="secret=1") == "AccessDenied"


def test_the_role_of_a_job_is_judged_by_the_tags_of_its_data(iam: Any, server: Running, s3: Any, bucket: str) -> None:
    role = iam.create_role(
        RoleName=f"job-{bucket}", AssumeRolePolicyDocument=trusting({"Service": "bedrock.amazonaws.com"})
    )["Role"]["Arn"]
    document = json.loads(policy("Allow", "s3:GetObject"))
    document["Statement"] += json.loads(
        policy("Deny", "s3:GetObject", StringEquals={"s3:ExistingObjectTag/pii": "yes"})
    )["Statement"]
    iam.put_role_policy(RoleName=f"job-{bucket}", PolicyName="p", PolicyDocument=json.dumps(document))
    s3.put_object(Bucket=bucket, Key="clean", Body=b"")
    s3.put_object(Bucket=bucket, Key="private", Body=b"", Tagging="pii=yes")
    worker = House.open(server.platform.settings, SystemClock())
    try:
        decisions = [
            worker.access.role_may(role, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}").value
            for key in ("clean", "private")
        ]
    finally:
        worker.store.close()
    assert decisions == ["allowed", "explicitDeny"]
