"""The services that the booth speaks to, and what all of its requests have in common."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

PATIENT = Config(retries={"mode": "standard", "max_attempts": 10}, read_timeout=300, max_pool_connections=16)
AT_ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=300)
"Without a second try: every failure is seen."
_LOOK_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Booth:
    """A run of the booth: clients, names, and where its models come from."""

    run: str
    "The beginning of every name."
    bucket: str
    role: str
    instance: str
    accelerators: int
    "GPUs for a copy of a model on the endpoint."
    base: str
    "The base model, by the name that the endpoint's image takes."
    training_image: str
    serving_image: str
    s3: Any
    sagemaker: Any
    runtime: Any
    scaling: Any
    bedrock: Any

    @property
    def region(self) -> str:
        return str(self.s3.meta.region_name)

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def clients() -> dict[str, Any]:
    """A client of each service, by its name in Booth."""
    names = {
        "s3": "s3",
        "sagemaker": "sagemaker",
        "runtime": "sagemaker-runtime",
        "scaling": "application-autoscaling",
        "bedrock": "bedrock-runtime",
    }
    return {name: boto3.client(service, config=PATIENT) for name, service in names.items()}


def wait_while(words: Sequence[str], member: str, look: Callable[[], Any]) -> Any:
    """Look again and again, until a member of the answer has none of these words."""
    while (seen := look())[member] in words:
        time.sleep(_LOOK_S)
    return seen
