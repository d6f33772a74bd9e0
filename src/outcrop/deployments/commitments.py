"""Commitments of provisioned throughput: a term during which it cannot be deleted."""

from datetime import datetime, timedelta
from typing import Any

from outcrop.errors import Conflict
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource

_TERMS = {"OneMonth": timedelta(days=30), "SixMonths": timedelta(days=180)}


def commitment(duration: str | None, *, now: datetime) -> dict[str, Any]:
    """The members of a throughput's document that tell its term; None for one that may be deleted at any time."""
    until = None if duration is None else now + _TERMS[duration]
    return {"commitmentDuration": duration, "commitmentExpirationTime": until.isoformat() if until else None}


def check_term(row: Resource, *, now: datetime) -> None:
    """Raises Conflict while the term lasts; a damaged record, which cannot be read, keeps nobody from deleting it."""
    try:
        with understood(row.arn):
            text = row.document["commitmentExpirationTime"]
            until = None if text is None else datetime.fromisoformat(text)
    except Damaged:
        return
    if until is not None and until > now:
        raise Conflict(f"{row.name}: it is committed until {until:%Y-%m-%d} and can be deleted after that.")
