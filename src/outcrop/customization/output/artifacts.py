"""The artifacts of a job in its output bucket, under the paths where Bedrock puts them.

They are written while the job runs.

<output>/model-customization-job-<id>/
    preflight/report.html, report.json, report.txt           every record and token of the data, accounted for
    training_artifacts/step_wise_training_metrics.csv
    training_artifacts/progress.json                         steps done and to do, loss, seconds left
    training_artifacts/events.jsonl                          everything that happened, one JSON object a line
    training_artifacts/study.json                            of a job that searches: every trial, and the best
    training_artifacts/tensorboard/events.out.tfevents.*     the same for TensorBoard, where it was asked for
    checkpoints/step-<steps>/                                the model on the way; see `checkpoints.py`
    validation_artifacts/post_fine_tuning_validation/validation_metrics.csv, and the same file at two other places
    validation_artifacts/held_out.json                       base and custom model on every validator
    lineage/lineage.json, records.lineage                    where the model comes from, to the digest of each record
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.buckets.names import parse_s3_uri
from outcrop.data.data import RoleData

_TRAINING_HEADER = "step_number,epoch_number,training_loss,perplexity"
_VALIDATION_HEADER = "step_number,epoch_number,validation_loss,perplexity"
_VALIDATION_PATHS = (
    "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv",
    # Where Bedrock has put it at other times, and programs look for it still.
    "validation_artifacts/validation_metrics.csv",
    "validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv",
)


METRICS, EVENTS, PROGRESS, STUDY = (
    f"training_artifacts/{name}"
    for name in ("step_wise_training_metrics.csv", "events.jsonl", "progress.json", "study.json")
)


def uri_of(path: str, *, output_uri: str, job_arn: str) -> str:
    """S3 URI of a path in a job's folder."""
    bucket, prefix = parse_s3_uri(output_uri)
    folder = f"model-customization-job-{job_arn.rsplit('/', 1)[-1]}"
    return f"s3://{bucket}/{'/'.join(part for part in (prefix.strip('/'), folder, path) if part)}"


@dataclass(frozen=True, kw_only=True)
class MetricsRow:
    """A line of either metrics CSV: loss in nats per token, perplexity exp(loss)."""

    step: int
    epoch: int
    loss: float
    perplexity: float

    def __str__(self) -> str:
        return f"{self.step},{self.epoch},{self.loss:.8f},{self.perplexity:.8f}"


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Writes into the folder of one job. Every method raises Refusal when the role may not."""

    data: RoleData
    output_uri: str
    job_arn: str

    def write_preflight(self, report: dict[str, Any], text: str, page: str) -> str:
        """The preflight report with its three faces; returns the URI of the page."""
        self.write_json("preflight/report.json", report)
        self._put("preflight/report.html", page, "text/html; charset=utf-8")
        self._put("preflight/report.txt", text, "text/plain; charset=utf-8")
        return self.uri("preflight/report.html")

    def write_training(self, rows: Iterable[MetricsRow]) -> None:
        self._put_csv(METRICS, _TRAINING_HEADER, rows)

    def write_validation(self, rows: Iterable[MetricsRow]) -> None:
        kept = list(rows)
        for path in _VALIDATION_PATHS:
            self._put_csv(path, _VALIDATION_HEADER, kept)

    def write_progress(self, progress: dict[str, Any]) -> None:
        self.write_json(PROGRESS, progress)

    def write_study(self, study: Mapping[str, Any]) -> None:
        self.write_json(STUDY, study)

    def write_events(self, lines: bytes) -> None:
        self._put_bytes(EVENTS, lines, "application/jsonl")

    def write_tensorboard(self, name: str, content: bytes) -> None:
        self._put_bytes(f"training_artifacts/tensorboard/{name}", content, "application/octet-stream")

    def write_held_out(self, results: list[dict[str, Any]]) -> None:
        self.write_json("validation_artifacts/held_out.json", results)

    def write_file(self, path: str, file: Path) -> None:
        """A copy of a file at `path` in the job's folder."""
        self.data.put_file(self.uri(path), file, content_type="application/octet-stream")

    def write_json(self, path: str, value: Any) -> None:
        self._put(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", "application/json")

    def uri(self, path: str) -> str:
        """S3 URI of a path in the job's folder."""
        return uri_of(path, output_uri=self.output_uri, job_arn=self.job_arn)

    def _put_csv(self, path: str, header: str, rows: Iterable[MetricsRow]) -> None:
        self._put(path, "\n".join([header, *map(str, rows)]) + "\n", "text/csv")

    def _put(self, path: str, text: str, content_type: str) -> None:
        self._put_bytes(path, text.encode(), content_type)

    def _put_bytes(self, path: str, content: bytes, content_type: str) -> None:
        self.data.put(self.uri(path), content, content_type=content_type)
