"""Changing a row that others may change at the same moment: read, decide, write, and again when somebody was faster."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.errors import NotFound
from outcrop.store.resources import Resource, Resources, Stale


class Change(NamedTuple):
    """The change of a row: its new status and document; None leaves a part as it is."""

    status: str | None = None
    document: dict[str, Any] | None = None


def change(resources: Resources, arn: str, *, at: datetime, decide: Callable[[Resource], Change | None]) -> Resource:
    """Apply `decide` to the row as it stands now. It may raise to refuse, or return None to leave all as it is.

    `decide` is called again whenever another process changed the row in between. Raises NotFound when the row is gone.
    """
    while True:
        row = resources.get(arn)
        if row is None:
            raise NotFound(f"{arn}: not found.")
        decided = decide(row)
        if decided is None:
            return row
        try:
            return resources.replace(row, at=at, status=decided.status, document=decided.document)
        except Stale:
            continue
