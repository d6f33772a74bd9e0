"""A platform with one thing of every kind in it, and a request about it for every operation that works here."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outcrop.access.caller import Caller
from outcrop.access.names import Kind
from outcrop.api.bedrock import unreal
from outcrop.api.door.call import Call
from outcrop.api.operations import OPERATIONS
from outcrop.buckets.checksums import Algorithm, ChecksumType
from outcrop.buckets.conditions import Stretch
from outcrop.buckets.names import Place
from outcrop.buckets.records import Details
from outcrop.buckets.uploads import ChosenPart
from outcrop.clock import SystemClock
from outcrop.deployments.states import ON_DEMAND, THROUGHPUT
from outcrop.errors import Refusal
from outcrop.house import House
from outcrop.metrics.series import point, series
from outcrop.protocol import service_model
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape
from outcrop.settings import Settings
from outcrop.vectors.records import DistanceMetric
from tests.support import kms_members
from tests.support.databases import wait_for_no_disk
from tests.support.policies import policy, trusting
from tests.support.recorded_members import Recorded

REGION, BUCKET, KEY, NAME = "us-east-1", "members", "an/object", "jane"
BASE = "outcrop.starter-v1"
PLACE, PARTS, UPLOAD = Place(BUCKET, KEY), Place(BUCKET, "parts"), Place(BUCKET, "upload")
ALARM = {
    "Namespace": "n",
    "MetricName": "m",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "LessThanThreshold",
}
LIFECYCLE_RULE = {
    "ID": "r",
    "Status": "Enabled",
    "Filter": {"Prefix": "a"},
    "Expiration": {"Days": 1},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}
DATA_QUERY = {
    "Id": "m",
    "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"},
}
_DOCUMENT = policy("Allow", "s3:*")
_STREAMED = ("PutObject", "UploadPart")


@dataclass(frozen=True, kw_only=True)
class Furnished:
    platform: House
    caller: Caller
    values: dict[str, Any] = field(default_factory=dict)
    "By the name of a member, or by `service:Operation` those that one operation needs."
    changed: set[str] = field(default_factory=lambda: {"everything"})
    "The operations since the last look around that may have taken something away."

    def base(self, service: str, operation: str) -> dict[str, Any]:
        """A request with what the operation needs."""
        shape = service_model.operation(service, operation).input_shape
        required = {} if shape is None else self._required(shape)
        return {**required, **self.values.get(f"{service}:{operation}", {})}

    def sample(self, shape: Shape, name: str) -> Any:
        known = self.values.get(name)
        if known is not None and not (isinstance(known, str) and isinstance(shape, StructureShape)):
            return known
        if isinstance(shape, StructureShape):
            return self._required(shape)
        if isinstance(shape, ListShape):
            return [self.sample(shape.member, "")]
        if isinstance(shape, MapShape):
            return {"key": self.sample(shape.value, "")}
        plain = {"boolean": True, "integer": 1, "long": 1, "float": 1.0, "double": 1.0, "blob": b"{}"}
        plain |= {"timestamp": datetime(2020, 1, 1, tzinfo=UTC)}
        return plain.get(shape.type_name, shape.enum[0] if shape.enum else "value")

    def _required(self, shape: StructureShape) -> dict[str, Any]:
        return {name: self.sample(shape.members[name], name) for name in shape.required_members}

    def looked_at(self, service: str, operation: str, params: dict[str, Any]) -> tuple[set[str], str]:
        """The members of the request that its handler looked at, and the words of its refusal."""
        seen: set[str] = set()
        if not operation.startswith(("Get", "List", "Head", "Simulate")):
            self.changed.add(operation)
        call = Call(
            service=service,
            operation=operation,
            params=Recorded(params, seen),
            caller=self.caller,
            region=REGION,
            request_id="",
            headers={"host": "localhost"},
            body=_nothing() if operation in _STREAMED else None,
        )
        try:
            if service == "bedrock":  # as the door does before it calls the handler
                unreal.check(params)
            answered = OPERATIONS[service][operation](self.platform, call)
            if isinstance(answered, Coroutine):
                asyncio.run(answered)
        except Refusal as refusal:
            return seen, f"{refusal} {getattr(refusal, 'members', '')}"
        return seen, ""

    def furnish(self) -> None:
        """Put back whatever the operation before may have taken away."""
        if not self.changed:
            return
        self.changed.clear()
        self._people()
        buckets = self.platform.buckets
        with suppress(Refusal):
            buckets.create(BUCKET, REGION)
        buckets.put_bytes(BUCKET, KEY, b"whole")
        line = json.dumps({"prompt": "a", "completion": "b"}) + "\n"
        buckets.put_bytes(BUCKET, "train.jsonl", line.encode() * 8)
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            buckets.put_bytes(BUCKET, f"model/{name}", b"{}")
        self._in_parts()
        self.values["UploadId"] = buckets.uploads.begin(UPLOAD, details=Details()).id
        self._models()
        self._monitored()
        self._vectors()
        self._guardrails()
        self.values.update(kms_members.requests(self.platform, list(OPERATIONS["kms"])))

    def _guardrails(self) -> None:
        """A guardrail with a version."""
        made = self.values.get("guardrailIdentifier")
        with suppress(Refusal):
            self.platform.guardrails.get(made or "")
            self.platform.guardrails.delete(made or "", None)
        words = {
            "name": "members",
            "policies": {"wordPolicy": {"words": [{"text": "a"}]}},
            "judge": None,
            "encoder": None,
        }
        messages = {"blockedInputMessaging": "in", "blockedOutputsMessaging": "out"}
        arn = self.platform.guardrails.create(words | messages, region=REGION, tags={}).arn
        self.platform.guardrails.number(arn, None)
        self.values["guardrailIdentifier"] = arn

    def _vectors(self) -> None:
        """A vector bucket with an index."""
        with suppress(Refusal):
            self.platform.vector_buckets.create("members", region=REGION, tags={})
        with suppress(Refusal):
            self.platform.vector_indexes.create(
                vector_bucket(self.platform), "members", dimension=1, metric=DistanceMetric.COSINE
            )

    def _monitored(self) -> None:
        """A log group with a stream, and an alarm."""
        self.platform.log_groups.create("members", region=REGION)
        self.platform.log_groups.create_stream("members", "members", region=REGION)
        of = series("n", "m", {"value": "value"})
        self.platform.points.put([point(of, 1.0, datetime.now(UTC))])
        rule = {key: self.values[key] for key in ALARM}
        self.platform.alarms.put("members", rule, region=REGION, tags={})

    def _people(self) -> None:
        access = self.platform.access
        with suppress(Refusal):
            access.identities.create_user(NAME)
        with suppress(Refusal):
            access.identities.create_group(NAME)
        trust = trusting({"AWS": self.platform.account}, ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
        with suppress(Refusal):
            access.identities.create_role(NAME, trust=trust)
        with suppress(Refusal):
            access.attachments.create(NAME, document=_DOCUMENT)
        own = f"arn:aws:iam::{self.platform.account}:policy/{NAME}"
        access.attachments.attach(Kind.USER, NAME, own)
        role = access.identities.get(Kind.ROLE, NAME).arn
        self.values.update(
            {
                "AssumeRolePolicyDocument": trust,
                "PolicyArn": own,
                "PermissionsBoundary": own,
                "PolicySourceArn": role,
                "RoleArn": role,
                "roleArn": access.installation.service_role_arn,
            }
        )

    def _in_parts(self) -> None:
        """An object of two parts with checksums."""
        uploads, source = self.platform.buckets.uploads, self.platform.buckets.find(*PLACE)
        upload = uploads.begin(
            PARTS, details=Details(), algorithm=Algorithm.CRC32, checksum_type=ChecksumType.COMPOSITE
        )
        part = uploads.copy_part(PARTS, upload.id, 1, source, Stretch(0, source.size))
        uploads.complete(PARTS, upload.id, [ChosenPart(number=1, etag=part.etag)])

    def _models(self) -> None:
        """A custom model, and both kinds of deployments of it."""
        foundation = f"arn:aws:bedrock:{REGION}::foundation-model/{BASE}:0:2k"
        document = {
            "baseId": BASE,
            "foundationModelArn": foundation,
            "baseModelArn": foundation,
            "customizationType": "FINE_TUNING",
        }
        model, account = self.values["modelArn"], self.platform.account
        with suppress(Refusal):
            self.platform.models.add(
                model_arn=model, name="members", region=REGION, created=datetime.now(UTC), document=document
            )
        details = {"foundationModelArn": foundation, "modelUnits": 1, "commitmentDuration": None}
        details["commitmentExpirationTime"] = None
        for kind, member in ((ON_DEMAND, "customModelDeploymentIdentifier"), (THROUGHPUT, "provisionedModelId")):
            with suppress(Refusal):
                made = self.platform.deployments.create(
                    kind, name="members", region=REGION, account=account, model_arn=model, details=details
                )
                self.values[member] = made.arn


def vector_bucket(platform: House) -> str:
    return platform.vector_buckets.arn_of("members", region=REGION)


def _named_in_vectors(platform: House, operation: str) -> dict[str, str]:
    """The members that name what an operation of S3 Vectors is about."""
    shape = service_model.operation("s3vectors", operation).input_shape
    assert shape is not None, "each takes members"
    named = {"vectorBucketName": "members", "indexName": "members", "resourceArn": vector_bucket(platform)}
    return {name: value for name, value in named.items() if name in shape.members}


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def furnished(home: Path) -> Furnished:
    platform = House.open(Settings(home=home), SystemClock())
    wait_for_no_disk(platform.store.engine)
    identity = platform.access.identities.get(Kind.USER, "admin")
    caller = Caller(arn=identity.arn, account=platform.account, user_id=identity.id, key_id="AKIAMEMBERS")
    model = f"arn:aws:bedrock:{REGION}:{platform.account}:custom-model/{BASE}:0:2k/membersmembe"
    data = {"s3Uri": f"s3://{BUCKET}/train.jsonl"}
    place = {"Bucket": BUCKET, "Key": UPLOAD.key}
    values: dict[str, Any] = {
        "Bucket": BUCKET,
        "Key": KEY,
        "CopySource": f"{BUCKET}/{KEY}",
        "PartNumber": 1,
        "ObjectAttributes": ["ETag"],
        "Parts": [{"PartNumber": 1, "ETag": "0"}],
        "AllowedMethods": ["GET"],
        "AllowedOrigins": ["*"],
        "UserName": NAME,
        "GroupName": NAME,
        "RoleName": NAME,
        "PolicyName": NAME,
        "PolicyDocument": _DOCUMENT,
        "PolicyInputList": [_DOCUMENT],
        "RoleSessionName": "session",
        "modelIdentifier": model,
        "baseModelIdentifier": BASE,
        "modelArn": model,
        "modelId": model,
        "resourceARN": model,
        "trainingDataConfig": data,
        "outputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"},
        "bedrock:CreateModelInvocationJob": {
            "jobName": "batch",
            "modelId": BASE,
            "inputDataConfig": {"s3InputDataConfig": data},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"}},
        },
        "bedrock:CreateEvaluationJob": {
            "jobName": "evaluation",
            "evaluationConfig": {
                "automated": {
                    "datasetMetricConfigs": [
                        {
                            "taskType": "QuestionAndAnswer",
                            "dataset": {"name": "d", "datasetLocation": data},
                            "metricNames": ["Builtin.Accuracy"],
                        }
                    ]
                }
            },
            "inferenceConfig": {"models": [{"bedrockModel": {"modelIdentifier": BASE}}]},
            "outputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"},
        },
        "jobIdentifiers": [f"arn:aws:bedrock:{REGION}:{platform.account}:evaluation-job/membersmembe"],
        "bedrock:CreateGuardrail": {"wordPolicyConfig": {"wordsConfig": [{"text": "a"}]}},
        "bedrock:UpdateGuardrail": {"wordPolicyConfig": {"wordsConfig": [{"text": "a"}]}},
        "guardrailVersion": "1",
        "bucketName": BUCKET,
        **ALARM,
        "logGroupName": "members",
        "logStreamName": "members",
        "resourceArn": f"arn:aws:logs:{REGION}:{platform.account}:log-group:members",
        "logs:CreateLogGroup": {"logGroupName": "another"},
        "logs:CreateLogStream": {"logStreamName": "another"},
        "logs:DescribeLogStreams": {"logGroupName": "members"},
        "logs:FilterLogEvents": {"logGroupName": "members"},
        "logs:GetLogEvents": {"logGroupName": "members"},
        "logs:PutRetentionPolicy": {"retentionInDays": 1},
        "ResourceARN": f"arn:aws:cloudwatch:{REGION}:{platform.account}:alarm:members",
        "AlarmName": "members",
        "AlarmNames": ["members"],
        "cloudwatch:PutMetricAlarm": ALARM,
        "cloudwatch:PutMetricData": {"MetricData": [{"MetricName": "m", "Value": 1.0}]},
        "cloudwatch:GetMetricStatistics": {"EndTime": datetime(2020, 1, 1, 1, tzinfo=UTC), "Statistics": ["Sum"]},
        "cloudwatch:GetMetricData": {"EndTime": datetime(2020, 1, 1, 1, tzinfo=UTC), "MetricDataQueries": [DATA_QUERY]},
        "s3:CreateBucket": {"Bucket": "another"},
        "s3:CopyObject": {"Key": "copied"},
        "s3:PutBucketLifecycleConfiguration": {"LifecycleConfiguration": {"Rules": [LIFECYCLE_RULE]}},
        "s3:GetObjectAttributes": {"Key": PARTS.key, "ObjectAttributes": ["ObjectParts"]},
        **{
            f"s3:{operation}": place
            for operation in (
                "UploadPart",
                "UploadPartCopy",
                "ListParts",
                "CompleteMultipartUpload",
                "AbortMultipartUpload",
            )
        },
        **{f"s3vectors:{operation}": _named_in_vectors(platform, operation) for operation in OPERATIONS["s3vectors"]},
        "s3vectors:PutVectors": {
            **_named_in_vectors(platform, "PutVectors"),
            "vectors": [{"key": "value", "data": {"float32": [1.0]}}],
        },
        "queryVector": {"float32": [1.0]},
        "s3vectors:CreateVectorBucket": {"vectorBucketName": "another"},
        "s3vectors:CreateIndex": {"vectorBucketName": "members", "indexName": "another"},
        "modelDataSource": {"s3DataSource": {"s3Uri": f"s3://{BUCKET}/model/"}},
        "bedrock:CreateModelImportJob": {"importedModelName": "members"},
        "iam:CreateUser": {"UserName": "other"},
        "iam:CreateRole": {"RoleName": "other"},
        "iam:CreateGroup": {"GroupName": "other"},
        "iam:CreatePolicy": {"PolicyName": "other"},
    }
    house = Furnished(platform=platform, caller=caller, values=values)
    house.furnish()
    return house
