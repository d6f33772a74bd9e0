"""Trained on the same records in the same order, our losses are TRL's, step by step; and the benchmark runs.

TRL lives in an environment of its own that `make bench-train` makes; without it these tests are skipped.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import train_data
from bench.measuring import PEERS, ROOT
from bench.train import Contestant, ended, is_installed, write_data

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not is_installed(), reason="no environment with TRL; `make bench-train` makes it"),
]

STEPS, BATCH, LONGEST = 50, 4, 96


def losses(contestant: Contestant) -> list[float]:
    with ended(contestant):
        return [contestant.step().loss for _ in range(STEPS)]


@pytest.mark.parametrize("way", ["padded", "single"])
def test_losses_are_those_of_trl(way: str, tmp_path: Path) -> None:
    model = train_data.write_model(tmp_path / "model", "tiny")
    few_words = 20  # so that there is something to learn
    records = train_data.completions(STEPS * BATCH, vocabulary=few_words, longest=LONGEST)
    spec: dict[str, Any] = {
        "model": str(model), "adapter": str(tmp_path / "adapter"), "method": "lora", "device": "cpu", "batch": BATCH,
        "learning_rate": 1e-2, "schedule": "linear", "steps": STEPS, "longest": LONGEST, "threads": 1,
        **write_data(records, BATCH, tmp_path),
    }  # fmt: skip
    ours = losses(Contestant(Path(sys.executable), "bench.train_ours", spec, tuned=False))
    rows = 1 if way == "single" else 2
    spec |= {"library": "trl", "way": way, "micro_batch": rows, "accumulate": BATCH // rows}
    theirs = losses(Contestant(PEERS / "train" / "bin" / "python", "bench.train_peer", spec, tuned=False))
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert ours[-1] < ours[0] - 1, "little was learned, so that little was compared"


def test_the_benchmark_runs() -> None:
    command = [sys.executable, "-m", "bench.train", "--quick", "--steps", "1"]
    rows = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert [row["name"] for row in rows] == [
        "tiny-lora; TRL at its best",
        "tiny-lora; transformers' Trainer at its best",
    ]
    assert all(row["ours"] > 0 and row["peer"] > 0 for row in rows)
