"""Requests that are right, about things that are there: what small changes are made to, so that they reach the handlers.

A request drawn from the shapes alone names nothing that exists and is turned away at the first look. These name a few
users, keys and objects again and again, so each is made, changed, read and deleted many times in a campaign.
"""

import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

BUCKET, KEY, USER = "fuzzed", "an/object", "fuzzed"
BASE = "outcrop.starter-v1"
_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
_TEXTS = [
    "",
    "a",
    "A" * 70,
    "x" * 300,
    "*",
    "日本",
    "a b",
    "a/../b",
    "%2F",
    "\t",
    "null",
    "-1",
    "aws:x",
    BUCKET,
    USER,
    KEY,
]
_INTEGERS = [-1, 0, 1, 2, 1000, 1001, 2**31, 2**63]


@dataclass(frozen=True, kw_only=True)
class Furniture:
    """The resources that `furnish` made, by the names that a request needs."""

    role: str
    policy: str
    job: str
    upload: str


def furnish(client_of: Callable[[str], Any]) -> Furniture:
    """Something to break: a bucket with an object and an unfinished upload, a user, a role, a policy, a job."""
    s3, iam, bedrock = client_of("s3"), client_of("iam"), client_of("bedrock")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"whole", Tagging="a=b")
    line = json.dumps({"prompt": "a", "completion": "b"}) + "\n"
    s3.put_object(Bucket=BUCKET, Key="train.jsonl", Body=line.encode() * 8)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    iam.create_user(UserName=USER)
    policy = iam.create_policy(PolicyName=USER, PolicyDocument=json.dumps(_POLICY))["Policy"]["Arn"]
    service_role = next(role["Arn"] for role in iam.list_roles()["Roles"] if role["RoleName"] == "OutcropServiceRole")
    account = client_of("sts").get_caller_identity()["Account"]
    trust = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=USER, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    job = bedrock.create_model_customization_job(**_job("fuzzed", service_role))["jobArn"]
    return Furniture(role=role, policy=policy, job=job, upload=upload)


def _job(name: str, role: str) -> dict[str, Any]:
    return {
        "jobName": name,
        "customModelName": name,
        "roleArn": role,
        "baseModelIdentifier": BASE,
        "trainingDataConfig": {"s3Uri": f"s3://{BUCKET}/train.jsonl"},
        "outputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"},
        "hyperParameters": {"epochCount": "1"},
    }


def right(there: Furniture, numbers: random.Random) -> tuple[str, str, dict[str, Any]]:
    """Service, operation and parameters of a request that is answered, unless an earlier one took its object away."""
    service = numbers.choice(["s3", "s3", "s3", "iam", "iam", "bedrock", "sts"])
    some = str(numbers.randrange(3))
    table = {"s3": _s3, "iam": _iam, "bedrock": _bedrock, "sts": _sts}[service](there, some)
    name = numbers.choice(list(table))
    return service, name, deepcopy(table[name])


def _s3(there: Furniture, some: str) -> dict[str, dict[str, Any]]:
    bucket, place, mine = {"Bucket": BUCKET}, {"Bucket": BUCKET, "Key": KEY}, {"Bucket": BUCKET, "Key": f"k/{some}"}
    tagging = {"Tagging": {"TagSet": [{"Key": "a", "Value": some}]}}
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 3}
    return {
        "GetObject": {**place, "Range": "bytes=1-3"},
        "HeadObject": {**place, "ChecksumMode": "ENABLED"},
        "GetObjectAttributes": {**place, "ObjectAttributes": ["ETag", "ObjectSize"]},
        "GetObjectTagging": place,
        "PutObjectTagging": {**place, **tagging},
        "PutObject": {**mine, "ContentType": "text/plain", "Metadata": {"a": "b"}, "Tagging": "a=b"},
        "CopyObject": {**mine, "CopySource": f"{BUCKET}/{KEY}", "MetadataDirective": "COPY"},
        "DeleteObject": mine,
        "DeleteObjects": {**bucket, "Delete": {"Objects": [{"Key": f"k/{some}"}], "Quiet": True}},
        "ListObjectsV2": {**bucket, "Prefix": "", "Delimiter": "/", "MaxKeys": 2, "EncodingType": "url"},
        "ListObjects": {**bucket, "Prefix": "k", "MaxKeys": 1},
        "ListObjectVersions": {**bucket, "MaxKeys": 2},
        "ListMultipartUploads": {**bucket, "MaxUploads": 2},
        "ListParts": {"Bucket": BUCKET, "Key": "parts", "UploadId": there.upload, "MaxParts": 3},
        "UploadPart": {"Bucket": BUCKET, "Key": "parts", "UploadId": there.upload, "PartNumber": 1},
        "CreateMultipartUpload": {**mine, "ContentType": "a/b"},
        "HeadBucket": bucket,
        "GetBucketLocation": bucket,
        "ListBuckets": {"MaxBuckets": 5, "Prefix": "f"},
        "PutBucketTagging": {**bucket, **tagging},
        "GetBucketTagging": bucket,
        "PutBucketCors": {**bucket, "CORSConfiguration": {"CORSRules": [rule]}},
        "GetBucketCors": bucket,
        "CreateBucket": {"Bucket": f"fuzzed-{some}"},
        "DeleteBucket": {"Bucket": f"fuzzed-{some}"},
    }


def _iam(there: Furniture, some: str) -> dict[str, dict[str, Any]]:
    user, other, group = {"UserName": USER}, {"UserName": f"user{some}"}, {"GroupName": f"group{some}"}
    tags, document = {"Tags": [{"Key": "a", "Value": some}]}, json.dumps(_POLICY)
    return {
        "GetUser": user,
        "ListUsers": {"MaxItems": 2, "PathPrefix": "/"},
        "CreateUser": {**other, **tags},
        "DeleteUser": other,
        "UpdateUser": {**other, "NewPath": "/a/"},
        "TagUser": {**user, **tags},
        "UntagUser": {**user, "TagKeys": ["a"]},
        "ListUserTags": user,
        "CreateGroup": group,
        "AddUserToGroup": {**group, **user},
        "RemoveUserFromGroup": {**group, **user},
        "DeleteGroup": group,
        "ListGroupsForUser": user,
        "PutUserPolicy": {**user, "PolicyName": f"p{some}", "PolicyDocument": document},
        "GetUserPolicy": {**user, "PolicyName": f"p{some}"},
        "DeleteUserPolicy": {**user, "PolicyName": f"p{some}"},
        "AttachUserPolicy": {**user, "PolicyArn": there.policy},
        "DetachUserPolicy": {**user, "PolicyArn": there.policy},
        "GetPolicy": {"PolicyArn": there.policy},
        "CreatePolicyVersion": {"PolicyArn": there.policy, "PolicyDocument": document, "SetAsDefault": True},
        "GetRole": {"RoleName": USER},
        "UpdateRole": {"RoleName": USER, "Description": "d", "MaxSessionDuration": 3600},
        "ListRoles": {"MaxItems": 3},
        "SimulateCustomPolicy": {"PolicyInputList": [document], "ActionNames": ["s3:GetObject"], "ResourceArns": ["*"]},
        "CreateServiceSpecificCredential": {**user, "ServiceName": "bedrock.amazonaws.com"},
        "ListServiceSpecificCredentials": user,
        "GetAccountSummary": {},
    }


def _bedrock(there: Furniture, some: str) -> dict[str, dict[str, Any]]:
    job = {"jobIdentifier": there.job}
    return {
        "ListFoundationModels": {"byProvider": "outcrop", "byOutputModality": "TEXT"},
        "GetFoundationModel": {"modelIdentifier": BASE},
        "GetModelCustomizationJob": job,
        "ListModelCustomizationJobs": {"maxResults": 2, "sortOrder": "Ascending", "statusEquals": "InProgress"},
        "ListCustomModels": {"maxResults": 2, "nameContains": "f"},
        "ListCustomModelDeployments": {"maxResults": 2},
        "ListProvisionedModelThroughputs": {"maxResults": 1},
        "TagResource": {"resourceARN": there.job, "tags": [{"key": "a", "value": some}]},
        "UntagResource": {"resourceARN": there.job, "tagKeys": ["a"]},
        "ListTagsForResource": {"resourceARN": there.job},
    }


def _sts(there: Furniture, some: str) -> dict[str, dict[str, Any]]:
    tags = {"Tags": [{"Key": "a", "Value": some}], "TransitiveTagKeys": ["a"]}
    return {
        "GetCallerIdentity": {},
        "AssumeRole": {"RoleArn": there.role, "RoleSessionName": "fuzzed", "DurationSeconds": 900, **tags},
        "GetSessionToken": {"DurationSeconds": 900},
    }


def nudged(params: dict[str, Any], numbers: random.Random) -> dict[str, Any]:
    """The parameters with one value changed a little, or left out."""
    places = list(_places(params))
    if not places:
        return params
    holder, place = numbers.choice(places)
    if numbers.random() < 0.2:
        del holder[place]
    else:
        holder[place] = _near(holder[place], numbers)
    return params


def _near(value: Any, numbers: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return numbers.choice([value + 1, value - 1, *_INTEGERS])
    if isinstance(value, str):
        place = numbers.randrange(len(value) + 1)
        changed = [value[:place] + value[place + 1 :], value[:place] + "é" + value[place:], value.swapcase(), value * 2]
        return numbers.choice([*changed, *_TEXTS])
    if isinstance(value, list):
        return numbers.choice([[], value * 2, value * 60])
    return numbers.choice([{}, value])


def _places(value: Any) -> list[tuple[Any, Any]]:
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [found for place, each in inner for found in [(value, place), *_places(each)]]
