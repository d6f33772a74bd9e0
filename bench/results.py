"""`make results`: the quickstart's program on three public data sets, and a table of what it measured.

    python bench/results.py DATA_FOLDER     # the folder with waka-hachidaishu, mts-dialog and jsquad

Converts each set, runs `examples/quickstart.py` on it inside one installation, and prints Markdown rows with perplexity
and bits per byte of base and custom model on held-out records. Everything is written to build/results/.
"""

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "results"
TOKENIZER = ROOT / "src/outcrop/catalog/bundled/starter-v1/tokenizer.json"
CONTEXT = 2048


@dataclass(frozen=True, kw_only=True)
class Task:
    """One data set: how much of it, and how long it is trained on."""

    name: str
    folder: str
    train: int
    validation: int
    test: int
    epochs: int


TASKS = (
    Task(name="waka", folder="waka-hachidaishu", train=2000, validation=150, test=150, epochs=2),
    Task(name="mts-dialog", folder="mts-dialog", train=600, validation=60, test=100, epochs=1),
    Task(name="jsquad", folder="jsquad", train=800, validation=80, test=100, epochs=1),
)


def main() -> None:
    if "AWS_ENDPOINT_URL" not in os.environ:
        raise SystemExit("Run it inside an installation: outcrop run -- python bench/results.py DATA_FOLDER")
    data = Path(sys.argv[1])
    rows = [run(task, data) for task in TASKS]
    print(f"\n{time.strftime('%Y-%m-%d')}, {machine()}, seed 0\n")
    print("| data | records | epochs | test perplexity, base → custom | bits per byte, base → custom | minutes |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))


def run(task: Task, data: Path) -> str:
    records, report = WORK / task.name, WORK / f"{task.name}.json"
    sizes = [f"--{part}={getattr(task, part)}" for part in ("train", "validation", "test")]
    limits = ["--max-tokens", str(CONTEXT), "--tokenizer", str(TOKENIZER)]
    program(ROOT / "examples/convert.py", task.name, data / task.folder, records, *sizes, *limits)
    files = [f"--{part}={records / part}.jsonl" for part in ("train", "validation", "test")]
    asked = ["--name", task.name, "--epochs", str(task.epochs), "--questions", "20", "--report", report]
    program(ROOT / "examples/quickstart.py", *files, *asked)
    told: dict[str, Any] = json.loads(report.read_text())
    base, custom = told["base"], told["custom"]
    count = sum(1 for _ in (records / "train.jsonl").open())
    return (
        f"| {task.name} | {count:,} | {task.epochs} | {base['perplexity']:.2f} → {custom['perplexity']:.2f} "
        f"| {base['bits_per_byte']:.3f} → {custom['bits_per_byte']:.3f} | {told['seconds'] / 60:.1f} |"
    )


def program(*command: object) -> None:
    subprocess.run([sys.executable, *map(str, command)], check=True)


def machine() -> str:
    """Cores and processor, as the kernel names them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores of {model}"


if __name__ == "__main__":
    main()
