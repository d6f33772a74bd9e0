"""A job of any kind as plain values, from what its service says: figures, members, failure."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.views.amounts import age
from outcrop.console.views.job_kinds import RUNNING, ListedJobKind, ListedJobRow, listed_row

_FAILURES = ("failureMessage", "FailureReason", "message", "failureMessages", "failureReasons")
_LEFT_OUT = frozenset({"ResponseMetadata", *_FAILURES})
_MOST_LETTERS = 2000


class DescribedJob(NamedTuple):
    """Everything that the page of such a job shows."""

    row: ListedJobRow
    is_running: bool
    figures: list[tuple[str, str]]
    "Counts, by the service's own words."
    members: list[tuple[str, str]]
    failure: str


def described_job(kind: ListedJobKind, told: Mapping[str, Any], now: datetime, language: str) -> DescribedJob:
    """The page of a job from the answer that describes it."""
    row = listed_row(kind.name, told, now, language)
    figures, members = [], []
    for name, value in told.items():
        if name in _LEFT_OUT or value in (None, "", [], {}):
            continue
        counts = value if isinstance(value, dict) else {name: value}
        if all(isinstance(each, int) and not isinstance(each, bool) for each in counts.values()):
            figures += [(member, f"{each:,}") for member, each in counts.items()]
        else:
            members.append((name, _text(value, now, language)))
    failures = [told[name] for name in _FAILURES if told.get(name)]
    failure = "; ".join(each if isinstance(each, str) else "; ".join(map(str, each)) for each in failures)
    return DescribedJob(row, told[kind.status] in RUNNING, figures, members, failure)


def _text(value: Any, now: datetime, language: str) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC · {age(value, now, language)}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"
