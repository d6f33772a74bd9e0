"""Lines of the workers' logs about one job: what a defect or a lost device said beside its events."""

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

_FROM_THE_END = 64 << 20
"Of each log this much is looked through; a log of months is not."


def about(folder: Path, job_arn: str, *, before: str, most: int) -> list[dict[str, Any]]:
    """The newest lines that name the job, in time's order; only those before a time, where one is given."""
    files = [path for path in folder.glob("*worker*.log") if path.is_file()]
    lines = (line for path in files for line in _naming(path, job_arn.encode()))
    wanted = (line for line in lines if not before or str(line.get("time", "")) < before)
    return heapq.nlargest(most, wanted, key=lambda line: str(line.get("time", "")))[::-1]


def _naming(path: Path, job_arn: bytes) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - _FROM_THE_END)
        file.seek(start)
        if start:
            file.readline()  # half of one
        for line in file:
            if job_arn in line:
                told = _line(line)
                if told is not None:
                    yield told


def _line(line: bytes) -> dict[str, Any] | None:
    """A line of ours; None for what a library printed beside them."""
    try:
        told = orjson.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
