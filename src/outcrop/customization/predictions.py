"""Predictions of runs on this machine beside what then happened: `predictions.jsonl` in the home, a line a run.

Only runs that went from their first step to their planned end in one go are kept, as the others say nothing about time.
"""

import json
import platform
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from outcrop.datasets.report.value import PastError

FILE = "predictions.jsonl"
_MOST_RUNS = 50
"The last ones of this machine, of which the error is told."
_MOST_BYTES = 64 * 1024
"Of the file's end, which holds more runs than that."


@dataclass(frozen=True, kw_only=True)
class PredictedRun:
    """A run that ended as planned: its prediction and its outcome."""

    time: str
    "When it ended, as ISO 8601 has it."
    machine: str
    job: str
    base: str
    predicted_s: float
    actual_s: float
    predicted_bytes: int
    peak_bytes: int
    "Of the process; 0 where its memory was not what was predicted, as on a GPU."


def machine() -> str:
    """The name of this machine; predictions of others say nothing of it."""
    return f"{platform.node()} {platform.machine()}"


def keep(home: Path, run: PredictedRun) -> None:
    """Append one run. Raises OSError when the disk does not take it."""
    with (home / FILE).open("ab", buffering=0) as file:
        # In one write, so that two workers' lines do not mix; it begins a new line, should one before be half written.
        file.write(b"\n" + json.dumps(asdict(run)).encode() + b"\n")


def past_error(home: Path) -> PastError | None:
    """The error of the last predictions on this machine. None where there was no run yet."""
    runs = [run for run in _read(home / FILE) if run.machine == machine()][-_MOST_RUNS:]
    if not runs:
        return None
    times = [run.actual_s / run.predicted_s for run in runs]
    memory = [run.peak_bytes / run.predicted_bytes for run in runs if run.peak_bytes]
    return PastError(
        num_runs=len(runs),
        time=statistics.median(times),
        worst_time=max(times, key=lambda ratio: max(ratio, 1 / ratio)),
        memory=statistics.median(memory) if memory else None,
    )


def _read(path: Path) -> Iterator[PredictedRun]:
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MOST_BYTES))
        lines = file.read().splitlines()
    for line in lines:
        try:
            run = PredictedRun(**json.loads(line))
            if run.actual_s > 0 and run.predicted_s > 0 and run.predicted_bytes > 0:
                yield run
        except (ValueError, TypeError):
            continue  # half a line: of the cut at the beginning, or of a worker that was killed while it wrote
