"""A platform with one thing of every kind in it, and a request about it for every operation that works here."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outcrop.access.caller import Caller
from outcrop.api.call import Call
from outcrop.api.operations import OPERATIONS
from outcrop.api.platform import Platform
from outcrop.buckets.records import Details
from outcrop.clock import SystemClock
from outcrop.protocol import service_model
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape
from outcrop.server.serve import open_platform
from outcrop.settings import Settings
from tests.members.recorded import Recorded
from tests.policies import policy, trusting

REGION, BUCKET, KEY, NAME = "us-east-1", "members", "an/object", "jane"
BASE = "outcrop.starter-v1"
MODEL = f"arn:aws:bedrock:{REGION}:123456789012:custom-model/{BASE}:0:2k/membersmembe"
STREAMED = ("PutObject", "UploadPart")


@dataclass(frozen=True, kw_only=True)
class House:
    platform: Platform
    caller: Caller
    values: dict[str, Any]
    "By the name of a member, whatever operation takes it."

    def base(self, service: str, operation: str) -> dict[str, Any]:
        """A request with what the operation needs."""
        shape = service_model.operation(service, operation).input_shape
        required = {} if shape is None else self._required(shape)
        return {**required, **self.values.get(f"{service}:{operation}", {})}

    def sample(self, shape: Shape, name: str, path: str = "") -> Any:
        if path in self.values or name in self.values:
            return self.values.get(path, self.values.get(name))
        if isinstance(shape, StructureShape):
            return self._required(shape, path)
        if isinstance(shape, ListShape):
            return [self.sample(shape.member, "", path)]
        if isinstance(shape, MapShape):
            return {"key": self.sample(shape.value, "", path)}
        match shape.type_name:
            case "boolean":
                return True
            case "integer" | "long":
                return 1
            case "float" | "double":
                return 1.0
            case "timestamp":
                return datetime(2020, 1, 1, tzinfo=UTC)
            case "blob":
                return b"{}"
            case _:
                return shape.enum[0] if shape.enum else "value"

    def _required(self, shape: StructureShape, path: str = "") -> dict[str, Any]:
        return {name: self.sample(shape.members[name], name, f"{path}.{name}") for name in shape.required_members}

    def looked_at(self, service: str, operation: str, params: dict[str, Any]) -> tuple[set[str], str]:
        """The members of the request that its handler looked at, and the words of its refusal."""
        self.refurnish()
        seen: set[str] = set()
        call = Call(
            service=service,
            operation=operation,
            params=Recorded(params, seen),
            caller=self.caller,
            region=REGION,
            request_id="",
            headers={"host": "localhost"},
            body=_nothing() if operation in STREAMED else None,
        )
        try:
            answered = OPERATIONS[service][operation](self.platform, call)
            if isinstance(answered, Coroutine):
                asyncio.run(answered)
        except Exception as error:
            return seen, f"{error} {getattr(error, 'members', '')}"
        return seen, ""

    def refurnish(self) -> None:
        """What an operation may have taken away."""
        buckets = self.platform.buckets
        buckets.put_bytes(BUCKET, KEY, b"whole")


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def furnished(home: Path) -> House:
    platform = open_platform(Settings(home=home), SystemClock())
    access, buckets, account = platform.access, platform.buckets, platform.account
    trust = trusting({"AWS": account}, ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
    document = policy("Allow", "s3:*")
    access.identities.create_user(NAME)
    access.identities.create_group(NAME)
    role = access.identities.create_role(NAME, trust=trust)
    own = access.attachments.create(NAME, document=document)
    buckets.create(BUCKET, REGION)
    line = json.dumps({"prompt": "a", "completion": "b"}) + "\n"
    buckets.put_bytes(BUCKET, "train.jsonl", line.encode() * 8)
    upload = buckets.uploads.begin(_place(), details=Details())
    foundation = f"arn:aws:bedrock:{REGION}::foundation-model/{BASE}:0:2k"
    platform.models.add(
        model_arn=MODEL,
        name="members",
        region=REGION,
        created=datetime.now(UTC),
        document={"baseId": BASE, "foundationModelArn": foundation, "baseModelArn": foundation},
    )
    identity = access.identities.get(_user(), "admin")
    caller = Caller(arn=identity.arn, account=account, user_id=identity.id, key_id="AKIAMEMBERS")
    service_role = access.installation.service_role_arn
    values: dict[str, Any] = {
        "Bucket": BUCKET,
        "Key": KEY,
        "CopySource": f"{BUCKET}/{KEY}",
        "UploadId": upload.id,
        "PartNumber": 1,
        "ObjectAttributes": ["ETag"],
        "UserName": NAME,
        "GroupName": NAME,
        "RoleName": NAME,
        "PolicyName": NAME,
        "PolicyArn": own.arn,
        "PolicyDocument": document,
        "AssumeRolePolicyDocument": trust,
        "PolicySourceArn": role.arn,
        "PolicyInputList": [document],
        "RoleArn": role.arn,
        "RoleSessionName": "session",
        "modelIdentifier": MODEL,
        "modelArn": MODEL,
        "modelId": MODEL,
        "resourceARN": MODEL,
        "roleArn": service_role,
        "s3:CreateBucket": {"Bucket": "another"},
        "iam:CreateUser": {"UserName": "other"},
        "iam:CreateRole": {"RoleName": "other"},
        "iam:CreateGroup": {"GroupName": "other"},
        "iam:CreatePolicy": {"PolicyName": "other"},
    }
    return House(platform=platform, caller=caller, values=values)


def _place() -> Any:
    from outcrop.buckets.names import Place

    return Place(BUCKET, KEY)


def _user() -> Any:
    from outcrop.access.names import Kind

    return Kind.USER


__all__ = ["House", "furnished", "replace"]
