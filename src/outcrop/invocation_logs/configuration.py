"""The logging configuration of each region: where records of invocations go, and what is in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop import arn
from outcrop.clock import Clock
from outcrop.invocation_logs.invocation import DataKind
from outcrop.store.damage import understood
from outcrop.store.resources import Resource
from outcrop.store.store import Store

KIND = "model-invocation-logging"
SWITCHES = (
    "textDataDeliveryEnabled",
    "imageDataDeliveryEnabled",
    "embeddingDataDeliveryEnabled",
    "videoDataDeliveryEnabled",
    "audioDataDeliveryEnabled",
)
"Pictures, films and sounds are in no body that a model here takes."


@dataclass(frozen=True, kw_only=True)
class BucketPlace:
    """A bucket, and what the keys in it begin with."""

    bucket: str
    prefix: str = ""

    def key(self, rest: str) -> str:
        """The key of an object under the prefix, which may end in a slash or not."""
        return "/".join(part for part in (self.prefix.strip("/"), rest) if part)


@dataclass(frozen=True, kw_only=True)
class GroupPlace:
    """A log group, the role that may write to it, and where bodies go that are too large for it."""

    group: str
    role_arn: str
    large: BucketPlace | None = None


@dataclass(frozen=True, kw_only=True)
class Destinations:
    """The configuration of a region, understood."""

    bucket: BucketPlace | None
    group: GroupPlace | None
    kinds: frozenset[DataKind]
    "The kinds of data whose bodies are in the records."


class Configurations:
    """The configurations on record: one a region at most."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._resources = store.resources
        self._clock = clock

    def put(self, region: str, account: str, members: Mapping[str, Any]) -> None:
        """Set the configuration of a region, in place of an earlier one."""
        now, name = self._clock.now(), _arn(region, account)
        row = Resource(
            arn=name,
            kind=KIND,
            region=region,
            name=KIND,
            status="Active",
            created=now,
            updated=now,
            document={**members},
        )
        with self._store.transaction():
            self._resources.remove(name)
            self._resources.add(row)

    def get(self, region: str, account: str) -> dict[str, Any] | None:
        """The members of LoggingConfig as they were put; None where nothing is logged. Raises Damaged."""
        row = self._resources.get(_arn(region, account))
        return None if row is None else row.document

    def destinations(self, region: str, account: str) -> Destinations | None:
        """Where to write, or None. Raises Damaged."""
        members = self.get(region, account)
        if members is None:
            return None
        with understood(_arn(region, account)):
            return destinations_of(members)

    def delete(self, region: str, account: str) -> None:
        """Let nothing be logged any more; nothing happens where nothing was."""
        self._resources.remove(_arn(region, account))


def destinations_of(members: Mapping[str, Any]) -> Destinations:
    """The destinations that a LoggingConfig names."""
    s3, logs = members.get("s3Config"), members.get("cloudWatchConfig")
    return Destinations(
        bucket=None if s3 is None else _bucket(s3),
        group=None if logs is None else _group(logs),
        kinds=frozenset(kind for kind in DataKind if members.get(kind.value, True)),
    )


def _bucket(members: Mapping[str, Any]) -> BucketPlace:
    return BucketPlace(bucket=str(members["bucketName"]), prefix=str(members.get("keyPrefix") or ""))


def _group(members: Mapping[str, Any]) -> GroupPlace:
    large = members.get("largeDataDeliveryS3Config")
    return GroupPlace(
        group=str(members["logGroupName"]),
        role_arn=str(members["roleArn"]),
        large=None if large is None else _bucket(large),
    )


def _arn(region: str, account: str) -> str:
    return arn.bedrock(region, account, f"{KIND}/{KIND}")
