"""`outcrop deployments NAME`: one deployment, and how far its engine is from the trainer."""

import json
from typing import Any

from outcrop.clock import SystemClock
from outcrop.deployments import parity_reports
from outcrop.deployments.precision import precision_of
from outcrop.deployments.records import model_arns
from outcrop.errors import NotFound
from outcrop.house import House
from outcrop.settings import Settings
from outcrop.store.resources import Resource


def print_deployment(settings: Settings, name: str, *, as_json: bool) -> int:
    """Print it, with the report of its parity gate; 1 where the gate did not let it in. Raises NotFound."""
    with House(settings, SystemClock()) as house:
        found = house.deployments.named(name)
    if not found:
        raise NotFound(f"{name}: there is no deployment of this name or ARN. `outcrop deployments` lists them.")
    told = [_told(row) for row in found]
    print(json.dumps(told if len(told) > 1 else told[0], indent=2) if as_json else "\n\n".join(map(_lines, found)))
    return int(any(each["parity"] is not None and each["parity"]["failure"] is not None for each in told))


def _told(row: Resource) -> dict[str, Any]:
    report = parity_reports.report_of(row)
    return {
        "name": row.name,
        "arn": row.arn,
        "status": row.status,
        "modelArn": model_arns(row)[0],
        "weights": precision_of(row).value,
        "failureMessage": row.document.get("failureMessage"),
        "parity": None if report is None else {key: report[key] for key in parity_reports.MEASURED},
    }


def _lines(row: Resource) -> str:
    lines = [
        f"{row.name} ({row.status})",
        f"  arn      {row.arn}",
        f"  model    {model_arns(row)[0]}",
        f"  weights  {precision_of(row).value}",
        f"  parity   {_sentence(row)}",
    ]
    failure = row.document.get("failureMessage")
    return "\n".join([*lines, *([f"  failure  {failure}"] if failure else [])])


def _sentence(row: Resource) -> str:
    report = parity_reports.report_of(row)
    if report is None:
        return parity_reports.why_none(row)
    return (
        f"{report['tokens']} tokens, log probabilities at most {report['largestDifference']:.2g} nats from the "
        f"trainer's\n           (allowed {report['tolerance']:.2g}), "
        f"{report['largestMeanDifference']:.2g} in the mean of an answer"
    )
