"""Deployments in `outcrop doctor`, as people read them: rows of a table, and a sentence about each model unit."""

from collections.abc import Iterator
from typing import Any


def table(deployments: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """Rows for people: name, kind, status, whether it is in memory, when it was last used."""
    for each in deployments:
        units = each["modelUnits"]
        kind = each["kind"] if units is None else f"{units} unit{'s' * (units != 1)}"
        yield [each["name"] or each["arn"], kind, each["status"], "yes" if each["inMemory"] else "no", each["lastUsed"]]


def sentences(model_units: list[dict[str, Any]]) -> Iterator[str]:
    """A sentence for people about each network that was measured."""
    for each in model_units:
        rate = f"{each['tokensPerMinuteOfOneUnit']:,} tokens a minute"
        yield f"A model unit of {each['network']} is {rate}, as measured on {each['measured'][:10]}."
