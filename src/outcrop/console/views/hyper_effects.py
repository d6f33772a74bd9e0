"""The effect of the wizard's present values, a sentence for each field: what follows of steps, time, memory, price."""

from collections.abc import Mapping, Sequence
from typing import Any

from outcrop.console.language import said
from outcrop.console.views.amounts import duration
from outcrop.console.views.catalogue_view import gib
from outcrop.console.views.job_request import CustomizationForm, HyperField

_BY_VALUE = frozenset(("batchSize", "learningRate", "learningRateWarmupSteps", "outcrop_earlyStoppingPatience"))
"Fields whose sentence is nothing without their value."
_WITH_RANK = ("lora", "dora")


def effects_of(
    fields: Sequence[HyperField], form: CustomizationForm, report: Mapping[str, Any], language: str
) -> dict[str, str]:
    """Sentences by the fields' ids, from the preflight's report; nothing where it could foresee no run."""
    forecast = report.get("forecast")
    if forecast is None or not forecast["steps"]:
        return {}
    found = {}
    for field in fields:
        value = form.hyper.get(field.name) or field.recommended
        if field.id == "outcrop_rank" and form.hyper.get("outcrop.method", "lora") not in _WITH_RANK:
            continue
        if value or field.id not in _BY_VALUE:
            found[field.id] = _effect(field, value, forecast, report, language)
    return found


def _effect(
    field: HyperField, value: str, forecast: Mapping[str, Any], report: Mapping[str, Any], language: str
) -> str:
    epochs, steps = max(1, forecast["epochs"]), forecast["steps"]
    per_epoch = -(-steps // epochs)
    records = report["files"][0]["num_records"] if report.get("files") else 0
    values = {
        "value": value,
        "epochs": f"{epochs:,}",
        "steps": f"{steps:,}",
        "per_epoch": f"{per_epoch:,}",
        "records": f"{records:,}",
        "time": duration(forecast["seconds"], language),
        "epoch_time": duration(forecast["seconds"] / epochs, language),
        "memory": gib(forecast["memory_bytes"]),
        "price": _price(forecast, language),
        "method": value or forecast["method"],
    }
    key = f"effect.{field.id}"
    if field.id == "outcrop_evalPercentage":
        share = _number(value)
        key = f"{key}_some" if share else f"{key}_none"
        values["held_out"] = f"{round(records * share / 100):,}"
    elif field.id == "learningRateWarmupSteps":
        values["share"] = f"{min(100.0, 100 * _number(value) / steps):.0f}"
    return said(language, key, **values)


def _price(forecast: Mapping[str, Any], language: str) -> str:
    price = forecast.get("price")
    if not price:
        return ""
    return said(language, "effect.price", price=f"{price['amount']:.2f} {price['currency']}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
