"""What every benchmark shares: the machine in words, rows with their goals, medians, and peers' environments."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = Path(os.environ.get("OUTCROP_BENCH_RESULTS", ROOT / "bench" / "results"))
PEERS = ROOT / "build" / "peers"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison. `ratio` is how many times better than the peer we are, whichever way the unit counts."""

    name: str
    ours: float
    peer: float
    unit: str
    ratio: float
    goal: float
    met: bool


def higher_is_better(name: str, *, ours: float, peer: float, unit: str, goal: float, ratio: float | None = None) -> Row:
    """`ratio` where it is not that of the two numbers, such as the median of the turns' own."""
    return _row(name, ours, peer, unit, ours / peer if ratio is None else ratio, goal)


def lower_is_better(name: str, *, ours: float, peer: float, unit: str, goal: float) -> Row:
    return _row(name, ours, peer, unit, peer / ours, goal)


def _row(name: str, ours: float, peer: float, unit: str, ratio: float, goal: float) -> Row:
    return Row(
        name=name, ours=round(ours, 3), peer=round(peer, 3), unit=unit, ratio=round(ratio, 3), goal=round(goal, 3),
        met=ratio >= goal,
    )  # fmt: skip


def interleaved(runs: dict[str, Callable[[], float]], *, times: int) -> dict[str, float]:
    """The median of each run, one after the other in turns, so that a machine that wanders slows all alike."""
    measured: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(times):
        for name, run in runs.items():
            measured[name].append(run())
            print(f"  {turn + 1}/{times} {name}: {measured[name][-1]:.4g}", file=sys.stderr)
    return {name: statistics.median(values) for name, values in measured.items()}


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def report(name: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    """Write bench/results/NAME.json and print the same as a table."""
    told = {
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "rows": [asdict(row) for row in rows],
        "notes": list(notes),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=2) + "\n")
    print(f"\n{told['date']}, {told['machine']}\n")
    print("| | ours | peer | unit | ratio | goal | met |\n|---|---|---|---|---|---|---|")
    for row in rows:
        met = "yes" if row.met else "no"
        print(f"| {row.name} | {row.ours:g} | {row.peer:g} | {row.unit} | {row.ratio:g} | {row.goal:g} | {met} |")
    for note in notes:
        print(f"\n{note}")


def machine() -> str:
    """e.g. `2 cores Intel(R) Xeon(R) @ 2.50GHz, Linux, Python 3.11.7`."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a processor without a name: its architecture says enough
    return f"{os.cpu_count()} cores {model}, {platform.system()}, Python {platform.python_version()}"


def environment(name: str, packages: Sequence[str]) -> Path:
    """The Python of a peer's own environment, made at the first run. A name behind a minus is taken out again."""
    place = PEERS / name
    python = place / "bin" / "python"
    done = place / "installed.json"
    if not done.exists() or json.loads(done.read_text()) != list(packages):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip, wanted = [str(python), "-m", "pip"], [name for name in packages if not name.startswith("-")]
        subprocess.run([*pip, "install", "--quiet", *wanted], check=True)
        if unwanted := [name.removeprefix("-") for name in packages if name not in wanted]:
            subprocess.run([*pip, "uninstall", "--quiet", "--yes", *unwanted], check=True)
        done.write_text(json.dumps(list(packages)))
    return python
