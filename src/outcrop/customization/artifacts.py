"""What a job leaves in its output bucket, under the paths where Bedrock puts it, written while the job runs.

<output>/model-customization-job-<id>/
    preflight/report.json, report.txt                        every record and token of the data, accounted for
    training_artifacts/step_wise_training_metrics.csv
    training_artifacts/progress.json                         steps done and to do, loss, seconds left
    validation_artifacts/post_fine_tuning_validation/validation_metrics.csv
    validation_artifacts/held_out.json                       base and custom model on every validator
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from outcrop.buckets.names import parse_s3_uri
from outcrop.customization.data_access import DataAccess

_TRAINING_HEADER = "step_number,epoch_number,training_loss,perplexity"
_VALIDATION_HEADER = "step_number,epoch_number,validation_loss,perplexity"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of either CSV: loss in nats per token, perplexity exp(loss)."""

    step: int
    epoch: int
    loss: float
    perplexity: float

    def __str__(self) -> str:
        return f"{self.step},{self.epoch},{self.loss:.8f},{self.perplexity:.8f}"


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Writes into the folder of one job. Every method raises Refusal when the role may not."""

    data: DataAccess
    output_uri: str
    job_arn: str

    def write_preflight(self, report: dict[str, Any], text: str) -> None:
        self._put_json("preflight/report.json", report)
        self._put("preflight/report.txt", text, "text/plain; charset=utf-8")

    def write_training(self, rows: Iterable[Row]) -> None:
        self._put_csv("training_artifacts/step_wise_training_metrics.csv", _TRAINING_HEADER, rows)

    def write_validation(self, rows: Iterable[Row]) -> None:
        path = "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv"
        self._put_csv(path, _VALIDATION_HEADER, rows)

    def write_progress(self, progress: dict[str, Any]) -> None:
        self._put_json("training_artifacts/progress.json", progress)

    def write_held_out(self, results: list[dict[str, Any]]) -> None:
        self._put_json("validation_artifacts/held_out.json", results)

    def _put_csv(self, path: str, header: str, rows: Iterable[Row]) -> None:
        self._put(path, "\n".join([header, *map(str, rows)]) + "\n", "text/csv")

    def _put_json(self, path: str, value: Any) -> None:
        self._put(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", "application/json")

    def _put(self, path: str, text: str, content_type: str) -> None:
        bucket, prefix = parse_s3_uri(self.output_uri)
        folder = f"model-customization-job-{self.job_arn.rsplit('/', 1)[-1]}"
        key = "/".join(part for part in (prefix.strip("/"), folder, path) if part)
        self.data.put(bucket, key, text.encode(), content_type=content_type)
