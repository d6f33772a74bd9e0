"""A house with a bucket for the log of its invocations, which are told to it as if they had been made."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from outcrop.access.names import Kind
from outcrop.buckets.listing import ListingRequest
from outcrop.clock import MovableClock
from outcrop.data.delivery import ServiceDelivery
from outcrop.house import House
from outcrop.invocation_logs.invocation import Invocation
from tests.support.policies import policy, trusting

REGION, BUCKET = "us-east-1", "logs"
AT = datetime(2026, 1, 1, 13, 5, 7, 250_000, tzinfo=UTC)


class LogHouse:
    """The log of one home, and what it has written."""

    def __init__(self, house: House, clock: MovableClock) -> None:
        self.house = house
        self.clock = clock
        house.buckets.create(BUCKET, REGION)

    @property
    def top(self) -> str:
        return f"AWSLogs/{self.house.account}/BedrockModelInvocationLogs"

    def let_in(self, prefix: str = "") -> None:
        """Let Bedrock write its logs to the bucket."""
        source = f"arn:aws:bedrock:{REGION}:{self.house.account}:x"
        delivery = ServiceDelivery(
            access=self.house.access, buckets=self.house.buckets, account=self.house.account, source_arn=source
        )
        delivery.let_in(BUCKET, f"{prefix}{self.top}/", sid="Log")

    def configure(self, **members: Any) -> None:
        self.house.invocation_logs.configure(REGION, members)

    def role(self, *actions: str) -> str:
        """A role that Bedrock may take on, to do these things."""
        identities, attachments = self.house.access.identities, self.house.access.attachments
        made = identities.create_role("logger", trust=trusting({"Service": "bedrock.amazonaws.com"})).arn
        attachments.put_inline(Kind.ROLE, "logger", "write", policy("Allow", list(actions)))
        return made

    def note(self, request_id: str = "r1", **more: Any) -> None:
        told: dict[str, Any] = {
            "at": AT,
            "region": REGION,
            "account": self.house.account,
            "identity_arn": "arn:aws:iam::123456789012:user/ada",
            "request_id": request_id,
            "operation": "InvokeModel",
            "model_id": "outcrop.starter-v1",
            "input_body": b'{ "prompt": "hi" }',
            "output_body": b'{"generation": "ho"}',
            "input_tokens": 2,
            "output_tokens": 3,
        }
        self.house.invocation_logs.note(Invocation(**(told | more)))

    def objects(self) -> list[str]:
        return [one.key for one in self.house.buckets.list_objects(BUCKET, ListingRequest()).objects]

    def records(self) -> list[dict[str, Any]]:
        """Every record in the bucket, in the order of their objects."""
        names = [key for key in self.objects() if key.endswith(".json.gz") and "/data/" not in key]
        lines = [line for name in names for line in self.read(name).splitlines()]
        return [json.loads(line) for line in lines]

    def read(self, key: str) -> bytes:
        return gzip.decompress(self.house.buckets.read_bytes(BUCKET, key))

    def delivered(self, metric: str) -> float:
        self.house.points.flush()
        found = self.house.points.statistics(
            ["Sum"], namespace="AWS/Bedrock", metric=metric, since=self.clock.now() - timedelta(days=1),
            until=self.clock.now() + timedelta(days=1), period_s=86400 * 4,
        )  # fmt: skip
        return sum(point.values["Sum"] for point in found)
