"""Listings for people, and the same as JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.settings import Settings


def print_models(settings: Settings, *, everything: bool, as_json: bool) -> int:
    catalog = Catalog(settings.home)
    entries = catalog.entries() if everything else catalog.ready()
    rows = [
        [entry.id, entry.provider, f"{entry.context_length:,}", entry.dialect, _state(entry), entry.licence]
        for entry in entries
    ]
    return print_rows(["id", "provider", "context", "dialect", "weights", "licence"], rows, as_json=as_json)


def print_jobs(bedrock: Any, *, as_json: bool) -> int:
    pages = bedrock.get_paginator("list_model_customization_jobs").paginate()
    rows = [
        [
            job["jobName"],
            job["status"],
            job["baseModelArn"].split("/", 1)[1],
            job["customModelName"],
            f"{job['creationTime']:%Y-%m-%d %H:%M}",
        ]
        for page in pages
        for job in page["modelCustomizationJobSummaries"]
    ]
    return print_rows(["job", "status", "base model", "custom model", "created (UTC)"], rows, as_json=as_json)


def print_deployments(bedrock: Any, *, as_json: bool) -> int:
    on_demand = bedrock.get_paginator("list_custom_model_deployments").paginate()
    rows = [
        [d["customModelDeploymentName"], "on demand", d["status"], d["modelArn"], d["customModelDeploymentArn"]]
        for page in on_demand
        for d in page["modelDeploymentSummaries"]
    ]
    provisioned = bedrock.get_paginator("list_provisioned_model_throughputs").paginate()
    rows += [
        [p["provisionedModelName"], f"{p['modelUnits']} units", p["status"], p["modelArn"], p["provisionedModelArn"]]
        for page in provisioned
        for p in page["provisionedModelSummaries"]
    ]
    return print_rows(["deployment", "kind", "status", "model", "modelId to invoke"], rows, as_json=as_json)


def _state(entry: BaseModel) -> str:
    if entry.folder is not None:
        return "ready" if entry.engine == entry.id else f"alias of {entry.engine}"
    return f"outcrop pull {entry.id}" if entry.weights.hub else "waits for an alias"


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2, ensure_ascii=False))
        return 0
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table if rows else "Nothing yet.")
    return 0
