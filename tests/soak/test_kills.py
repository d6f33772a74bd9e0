"""The quickstart under fire: each part killed at ten random moments, and the result is that of a quiet run.

Run by `make soak`; writes its figures to build/soak/kills.json.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.installed import Installed, installed

ROOT = Path(__file__).parent.parent.parent
KILLS = 10
ENGINE = "engine-outcrop.starter-v1"
PARTS = (ENGINE, "server", "worker")
# An engine lives through the end of a quickstart only: seconds between two of its kills.
ENGINE_PAUSES = (2.0, 6.0)

pytestmark = pytest.mark.soak


def quickstart(house: Installed, report: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(ROOT / "examples/quickstart.py"), "--report", str(report)]
    return subprocess.Popen(command, env={**os.environ, **house.environment()}, cwd=ROOT)


def moments(part: str, lasts_s: float) -> list[float]:
    """Ten random pauses: over the run for server and worker, one after the other for the engine."""
    chance = random.Random(sum(map(ord, part)))
    if part == ENGINE:
        return [chance.uniform(*ENGINE_PAUSES) for _ in range(KILLS)]
    times = sorted(chance.uniform(0, 0.7 * lasts_s) for _ in range(KILLS))
    return [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]


def kill_at_random(house: Installed, program: "subprocess.Popen[bytes]", part: str, pauses: list[float]) -> int:
    """Kill `part` after each pause, as soon as it is there; how often it was killed."""
    killed: list[int] = []
    for pause in pauses:
        time.sleep(pause)
        while (pid := house.pid_of(part)) in (None, *killed) and program.poll() is None:
            time.sleep(0.05)
        if pid is None or program.poll() is not None:
            break
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
    return len(killed)


def result(house: Installed, report: Path) -> dict[str, Any]:
    (folder,) = [path for path in house.settings.models.iterdir() if path.is_dir()]
    weights = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    told = json.loads(report.read_text())
    return {"weights": weights, "custom": told["custom"], "seconds": told["seconds"]}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("quiet")
    with installed(place / "home") as house:
        assert quickstart(house, place / "report.json").wait() == 0
        return result(house, place / "report.json")


@pytest.mark.parametrize("part", PARTS)
def test_a_quickstart_under_fire_ends_as_a_quiet_one(part: str, quiet: dict[str, Any], tmp_path: Path) -> None:
    with installed(tmp_path / "home") as house:
        program = quickstart(house, tmp_path / "report.json")
        kills = kill_at_random(house, program, part, moments(part, quiet["seconds"]))
        assert program.wait() == 0
        under_fire = result(house, tmp_path / "report.json")
    note(part, {"kills": kills, "seconds": under_fire["seconds"], "quiet_seconds": quiet["seconds"]})
    assert under_fire["weights"] == quiet["weights"]
    assert under_fire["custom"] == quiet["custom"]
    assert kills == KILLS


def note(part: str, figures: dict[str, Any]) -> None:
    path = ROOT / "build" / "soak" / "kills.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**before, part: figures}, indent=2) + "\n")
