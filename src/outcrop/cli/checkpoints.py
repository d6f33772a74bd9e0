"""Model checkpoints of a job, as its output bucket lists them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from outcrop import arn
from outcrop.cli.tables import print_rows
from outcrop.errors import Invalid, NotFound

_MANIFEST = "/checkpoint.json"


def find_job(bedrocks: Mapping[str, Any], job: str) -> tuple[dict[str, Any], str]:
    """The API's description of a job, by name or ARN, and the job's region, among those of the clients.

    Raises Invalid when jobs of several regions have the name, NotFound when none does.
    """
    found = [(described, region) for region, bedrock in bedrocks.items() if (described := _described(bedrock, job))]
    if len(found) > 1:
        regions = ", ".join(region for _, region in found)
        raise Invalid(f"{job}: there is such a job in {regions}. Choose one with --region.")
    if not found:
        raise NotFound(f"{job}: there is no such job. `outcrop jobs` lists them.")
    return found[0]


def print_checkpoints(s3: Any, job: dict[str, Any], *, as_json: bool) -> int:
    """The lowest validation loss is marked: the weights a completed job keeps."""
    found = sorted(_checkpoints(s3, job), key=lambda checkpoint: checkpoint[0]["step"])
    losses = [told["validation_loss"] for told, _ in found if told["validation_loss"] is not None]
    rows = [
        [
            str(told["step"]),
            str(told["epoch"]),
            "" if told["validation_loss"] is None else f"{told['validation_loss']:.4f}",
            "best" if losses and told["validation_loss"] == min(losses) else "",
            uri,
        ]
        for told, uri in found
    ]
    return print_rows(
        ["step", "epoch", "validation loss", "of all", "s3Uri for CreateCustomModel"], rows, as_json=as_json
    )


def _described(bedrock: Any, job: str) -> dict[str, Any] | None:
    asked = arn.parse(job)
    if asked is not None and asked.region != bedrock.meta.region_name:
        return None
    try:
        described: dict[str, Any] = bedrock.get_model_customization_job(jobIdentifier=job)
    except bedrock.exceptions.ResourceNotFoundException:
        return None
    return described


def _checkpoints(s3: Any, described: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    from outcrop.buckets.names import parse_s3_uri  # and the database with it

    bucket, prefix = parse_s3_uri(described["outputDataConfig"]["s3Uri"])
    folder = f"model-customization-job-{described['jobArn'].rsplit('/', 1)[-1]}/checkpoints/"
    under = "/".join(part for part in (prefix.strip("/"), folder) if part)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=under):
        for item in page.get("Contents", []):
            if item["Key"].endswith(_MANIFEST):
                told = json.loads(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
                yield told, f"s3://{bucket}/{item['Key'].removesuffix(_MANIFEST)}"
