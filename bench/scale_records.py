"""Records as years of use leave them, put into a home at once: ended jobs, custom models and deployments."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sql

from outcrop.catalog.custom_models import CustomModels
from outcrop.clock import SystemClock
from outcrop.deployments.records import Deployments
from outcrop.settings import Settings
from outcrop.store.database import microseconds, writing
from outcrop.store.resource_table import RESOURCES
from outcrop.store.store import Store

REGION = "us-east-1"
START = datetime(2026, 1, 1, tzinfo=UTC)
COUNTS = {"job": 100_000, "custom model": 10_000, "deployment": 2_000}
_BASE = "outcrop.starter-v1"
_FOUNDATION = f"arn:aws:bedrock:{REGION}::foundation-model/{_BASE}:0:2k"
_ENDS = ("Completed", "Completed", "Completed", "Failed", "Stopped")
_PHASES = ("validationDetails", "dataProcessingDetails", "trainingDetails")
_HYPERPARAMETERS = {"epochCount": "2", "batchSize": "8", "learningRate": "0.0001", "learningRateWarmupSteps": "0"}
_AT_ONCE = 10_000


def fill(settings: Settings, account: str, *, share: float = 1.0) -> None:
    """Put `share` of the COUNTS on record, one resource a second from START on."""
    store = Store.open(settings)
    CustomModels(store, SystemClock(), settings.models)  # rooms bring the indexes of their own members
    Deployments(store, SystemClock())
    counts = {kind: round(count * share) for kind, count in COUNTS.items()}
    rows = _rows(account, counts)
    while batch := [row for row, _ in zip(rows, range(_AT_ONCE), strict=False)]:
        with writing(store.engine) as connection:
            connection.execute(sql.text(_INSERT), batch)
    store.close()


_INSERT = (
    f"INSERT INTO resources ({', '.join(column.name for column in RESOURCES.columns)}) "
    f"VALUES ({', '.join(f':{column.name}' for column in RESOURCES.columns)})"
)


def _rows(account: str, counts: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for number in range(counts["job"]):
        status = _ENDS[number % len(_ENDS)]
        yield _row(account, "model-customization-job", number, status, _job(account, number))
    for number in range(counts["custom model"]):
        yield _row(account, "custom-model", number, "Active", _custom_model())
    for number in range(counts["deployment"]):
        model = _arn(account, "custom-model", number)
        document = {"modelArn": model, "desiredModelArn": model, "generation": 1, "description": None}
        yield _row(account, "custom-model-deployment", number, "Active", document)


def _row(account: str, kind: str, number: int, status: str, document: Mapping[str, Any]) -> dict[str, Any]:
    at = microseconds(START + timedelta(seconds=number))
    return {
        "arn": _arn(account, kind, number),
        "kind": kind,
        "region": REGION,
        "name": f"scale-{number:06}",
        "status": status,
        "created": at,
        "updated": at,
        "version": 4,
        "document": json.dumps(document),
    }


def _arn(account: str, kind: str, number: int) -> str:
    middle = "" if kind == "custom-model-deployment" else f"/{_BASE}:0:2k"
    return f"arn:aws:bedrock:{REGION}:{account}:{kind}{middle}/{number:012}"


def _job(account: str, number: int) -> dict[str, Any]:
    at = (START + timedelta(seconds=number)).isoformat()
    phase = {"status": "Completed", "creationTime": at, "lastModifiedTime": at}
    return {
        "baseId": _BASE,
        "baseModelArn": _FOUNDATION,
        "foundationModelArn": _FOUNDATION,
        "parentArn": None,
        "customizationType": "FINE_TUNING",
        "roleArn": f"arn:aws:iam::{account}:role/service-role/OutcropServiceRole",
        "outputModelName": f"scale-{number:06}",
        "modelArn": _arn(account, "custom-model", number),
        "hyperParameters": {
            "epochCount": "2",
            "batchSize": "8",
            "learningRate": "0.0001",
            "learningRateWarmupSteps": "0",
        },
        "trainingDataConfig": {"s3Uri": f"s3://training-data/sets/{number}/train.jsonl"},
        "validationDataConfig": {"validators": [{"s3Uri": f"s3://training-data/sets/{number}/validation.jsonl"}]},
        "outputDataConfig": {"s3Uri": f"s3://training-data/outputs/{number}/"},
        "trainingMetrics": {"trainingLoss": 1.25},
        "validationMetrics": [{"validationLoss": 1.5}],
        "customModelTags": [],
        "statusDetails": dict.fromkeys(_PHASES, phase),
        "endTime": at,
    }


def _custom_model() -> dict[str, Any]:
    return {
        "baseId": _BASE,
        "baseModelArn": _FOUNDATION,
        "foundationModelArn": _FOUNDATION,
        "customizationType": "FINE_TUNING",
        "promptFormat": "text",
        "promptDay": None,
        "hyperParameters": {
            "epochCount": "2",
            "batchSize": "8",
            "learningRate": "0.0001",
            "learningRateWarmupSteps": "0",
        },
        "trainingMetrics": {"trainingLoss": 1.25},
        "validationMetrics": [{"validationLoss": 1.5}],
    }
