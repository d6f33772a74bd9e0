"""Model checkpoints of a job, as its output bucket lists them."""

import json
from collections.abc import Iterator
from typing import Any

from outcrop.buckets.names import parse_s3_uri
from outcrop.cli.tables import print_rows

_MANIFEST = "/checkpoint.json"


def print_checkpoints(bedrock: Any, s3: Any, job: str, *, as_json: bool) -> int:
    """`job` is a name or an ARN. The lowest validation loss is marked: the weights a completed job keeps."""
    found = sorted(_checkpoints(bedrock, s3, job), key=lambda checkpoint: checkpoint[0]["step"])
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


def _checkpoints(bedrock: Any, s3: Any, job: str) -> Iterator[tuple[dict[str, Any], str]]:
    described = bedrock.get_model_customization_job(jobIdentifier=job)
    bucket, prefix = parse_s3_uri(described["outputDataConfig"]["s3Uri"])
    folder = f"model-customization-job-{described['jobArn'].rsplit('/', 1)[-1]}/checkpoints/"
    under = "/".join(part for part in (prefix.strip("/"), folder) if part)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=under):
        for item in page.get("Contents", []):
            if item["Key"].endswith(_MANIFEST):
                told = json.loads(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
                yield told, f"s3://{bucket}/{item['Key'].removesuffix(_MANIFEST)}"
