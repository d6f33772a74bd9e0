"""The places that records of invocations are written to: a bucket, and a log group.

    bucket      PREFIX/AWSLogs/ACCOUNT/BedrockModelInvocationLogs/REGION/YYYY/MM/DD/HH/TIME_RANDOM.json.gz, JSON lines;
                bodies of more than 100 KB beside it in data/REQUEST_input.json.gz and data/REQUEST_output.json.gz
    log group   an event for each record in the stream aws/bedrock/modelinvocations; large bodies in a bucket, where the
                configuration names one, else they are left out

Each keeps what is not written yet. What fails is tried again, and nothing is written twice: what was written is gone
from the list.
"""

import gzip
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from typing import Any, Protocol

from outcrop import arn as arns
from outcrop.access.access import Access
from outcrop.access.policies.evaluation import Decision
from outcrop.buckets.buckets import Buckets
from outcrop.data.delivery import ServiceDelivery
from outcrop.errors import Denied
from outcrop.invocation_logs.configuration import BucketPlace, GroupPlace
from outcrop.invocation_logs.invocation import (
    LARGEST_BODY_BYTES,
    Bodies,
    DataKind,
    Invocation,
    bodies_of,
    record_of,
)
from outcrop.log_groups.events import LogEvent
from outcrop.log_groups.log_groups import LogGroups
from outcrop.protocol.values import json_values

STREAM = "aws/bedrock/modelinvocations"
_MOST_RECORDS = 500
"Of one object, or one transaction."
_GROUP_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")
_GZIP = "application/gzip"

Counted = Callable[[str, int], None]
"Told the name of a metric, and by how much it grew."


class SinkRooms(Protocol):
    """The components (rooms) that the places are written with."""

    @property
    def access(self) -> Access: ...
    @property
    def account(self) -> str: ...
    @property
    def buckets(self) -> Buckets: ...
    @property
    def log_groups(self) -> LogGroups: ...


@dataclass(frozen=True, kw_only=True)
class BucketSink:
    """Records in a bucket of one region."""

    rooms: SinkRooms
    region: str
    place: BucketPlace
    metric = "ModelInvocationLogsS3Delivery"

    @property
    def title(self) -> str:
        return f"s3://{self.place.bucket}"

    def write(self, invocations: Iterable[Invocation], kinds: frozenset[DataKind], counted: Counted) -> int:
        """Write the first of them that go into one object; returns how many.

        Raises what keeps them from being written.
        """
        _, same_hour = next(groupby(invocations, key=lambda each: each.at.replace(minute=0, second=0, microsecond=0)))
        batch = list(islice(same_hour, _MOST_RECORDS))
        lines = [json_values.dumps(self._record(each, bodies_of(each, kinds), counted)) for each in batch]
        name = f"{_moment(batch[0].at)}_{secrets.token_hex(8)}.json.gz"
        self._put(f"{_folder(self.rooms.account, self.region, batch[0].at)}/{name}", b"\n".join(lines) + b"\n")
        return len(batch)

    def check(self) -> None:
        """Put the empty object by which Bedrock finds out whether it may write. Raises Denied, and S3's refusals."""
        key = self.place.key(f"{_top(self.rooms.account)}/amazon-bedrock-logs-permission-check")
        self._delivery().put(self.place.bucket, key, b"", content_type="binary/octet-stream")

    def may_write(self) -> bool:
        """Whether the bucket's policy lets Bedrock write. Raises NoSuchBucket."""
        return self._delivery().may_put(self.place.bucket, self.place.key(f"{_top(self.rooms.account)}/check"))

    def let_in(self) -> None:
        """Add to the bucket's policy that Bedrock may write its logs, as Bedrock does for who may change the policy."""
        prefix = self.place.key(f"{_top(self.rooms.account)}/")
        self._delivery().let_in(self.place.bucket, prefix, sid="AmazonBedrockLogsWrite")

    def put_body(self, invocation: Invocation, side: str, body: bytes, counted: Counted) -> str:
        """Put a large body into an object of its own; returns its URI."""
        folder = _folder(self.rooms.account, self.region, invocation.at)
        uri = self._put(f"{folder}/data/{invocation.request_id}_{side}.json.gz", body)
        counted("ModelInvocationLargeDataS3DeliverySuccess", 1)
        return uri

    def _record(self, invocation: Invocation, bodies: Bodies, counted: Counted) -> dict[str, Any]:
        return record_of(
            invocation,
            _told(invocation, "input", bodies.input, self, counted),
            _told(invocation, "output", bodies.output, self, counted),
        )

    def _put(self, rest: str, content: bytes) -> str:
        key = self.place.key(rest)
        # No time in the file: the same body is the same bytes, however often it is tried.
        self._delivery().put(self.place.bucket, key, gzip.compress(content, mtime=0), content_type=_GZIP)
        return f"s3://{self.place.bucket}/{key}"

    def _delivery(self) -> ServiceDelivery:
        source = _source(self.region, self.rooms.account)

        return ServiceDelivery(
            access=self.rooms.access, buckets=self.rooms.buckets, account=self.rooms.account, source_arn=source
        )


@dataclass(frozen=True, kw_only=True)
class GroupSink:
    """Records in a log group of one region."""

    rooms: SinkRooms
    region: str
    place: GroupPlace
    metric = "ModelInvocationLogsCloudWatchDelivery"

    @property
    def title(self) -> str:
        return f"log group {self.place.group}"

    @property
    def large(self) -> BucketSink | None:
        """The bucket for large bodies, where there is one."""
        return (
            None
            if self.place.large is None
            else BucketSink(rooms=self.rooms, region=self.region, place=self.place.large)
        )

    def write(self, invocations: Iterable[Invocation], kinds: frozenset[DataKind], counted: Counted) -> int:
        """Write the first of them in one transaction; returns how many. Raises as `BucketSink.write`."""
        self.check()
        batch = list(islice(invocations, _MOST_RECORDS))
        events = [LogEvent(at=each.at, message=self._message(each, kinds, counted)) for each in batch]
        self.rooms.log_groups.put(self.place.group, STREAM, events, region=self.region)
        return len(batch)

    def check(self) -> None:
        """Raises Invalid where Bedrock may not take the role on, Denied where the role may not write to the group."""
        access, account = self.rooms.access, self.rooms.account
        access.assert_passable(self.place.role_arn, source_arn=_source(self.region, account))
        stream = f"log-group:{self.place.group}:log-stream:{STREAM}"
        resource = str(arns.Arn(service="logs", region=self.region, account=account, resource=stream))
        for action in _GROUP_ACTIONS:
            if access.role_may(self.place.role_arn, action, resource) is not Decision.ALLOWED:
                raise Denied(f"the role {self.place.role_arn} does not allow {action} on {resource}")

    def _message(self, invocation: Invocation, kinds: frozenset[DataKind], counted: Counted) -> str:
        bodies = bodies_of(invocation, kinds)
        asked = _told(invocation, "input", bodies.input, self.large, counted)
        answered = _told(invocation, "output", bodies.output, self.large, counted)
        return json_values.dumps(record_of(invocation, asked, answered)).decode()


Sink = BucketSink | GroupSink


def _told(
    invocation: Invocation, side: str, body: bytes | None, large: BucketSink | None, counted: Counted
) -> Mapping[str, Any]:
    """The member of a record that tells of a body; none for one that finds no place."""
    if body is None:
        return {}
    if len(body) <= LARGEST_BODY_BYTES:
        return {f"{side}BodyJson": json_values.parse(body)}
    return {} if large is None else {f"{side}BodyS3Path": large.put_body(invocation, side, body, counted)}


def _source(region: str, account: str) -> str:
    """The ARN that a trust or bucket policy may ask for as aws:SourceArn."""
    return arns.bedrock(region, account, "model-invocation-logging")


def _top(account: str) -> str:
    return f"AWSLogs/{account}/BedrockModelInvocationLogs"


def _folder(account: str, region: str, at: datetime) -> str:
    return f"{_top(account)}/{region}/{at:%Y/%m/%d/%H}"


def _moment(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03}Z"
