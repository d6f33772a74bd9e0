"""The benchmarks of serving run, on a tiny network: what nobody runs on a day without a quiet machine still works.

Run by `make soak`: each starts two installations.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.measuring import ROOT
from tests.support.vllm_environment import vllm_environment

pytestmark = pytest.mark.soak


def measured(results: Path, module: str, *arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "OUTCROP_BENCH_RESULTS": str(results)}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    (told,) = (json.loads(path.read_text()) for path in results.iterdir())
    rows: list[dict[str, Any]] = told["rows"]
    return rows


def test_vllm_behind_the_door_is_held_against_vllm_alone(tmp_path: Path) -> None:
    python = vllm_environment(tmp_path / "env")
    rows = measured(tmp_path / "results", "bench.serve_gpu", "--quick", "--python", str(python), "--dtype", "float32")
    assert [row["unit"] for row in rows] == ["ms, at most", "tokens/s", "tokens/s"]
    assert all(row["ours"] > 0 and row["peer"] > 0 for row in rows)


def test_the_door_is_held_against_the_engine_and_adapters_and_engines_come(tmp_path: Path) -> None:
    arguments = ("--shape", "tiny", "--turns", "1", "--streams", "2", "--tokens", "8")
    rows = measured(tmp_path / "results", "bench.serve_house", *arguments)
    assert [row["unit"] for row in rows] == ["ms, at most", "tokens/s", "ms, at most", "s, at most"]
    assert all(row["ours"] > 0 for row in rows)
