"""TensorBoard itself reads the event files of a job, in the environment that `make clients` makes."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from outcrop.customization.output.tensorboard import EventFile
from tests.clients.test_programs import PROGRAMS, PYTHON
from tests.support.patience import PATIENCE_S

TIME = "2026-11-21T08:00:00.500+00:00"
MEMBERS = ("learning_rate", "grad_norm", "tokens_per_s", "supervised_tokens_per_s", "mfu", "resident_bytes")


@pytest.mark.skipif(
    not PYTHON.with_name("tensorboard").exists(), reason="TensorBoard is not there: `make clients` brings it"
)
def test_tensorboard_reads_steps_and_evaluations(tmp_path: Path) -> None:
    file = EventFile()
    losses = [3.0, 2.0, 1.5, 1.25]
    for step, loss in enumerate(losses):
        file.add({"time": TIME, "event": "step", "step": step, "loss": loss, **dict.fromkeys(MEMBERS, 0.5)})
    file.add({"time": TIME, "event": "evaluation", "step": 4, "loss": 1.125})
    (tmp_path / file.name).write_bytes(file.content())
    command = [str(PYTHON), str(PROGRAMS / "tensorboard_reads.py"), str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout
    read: dict[str, Any] = json.loads(said)
    assert read["train/loss"] == [[step, loss] for step, loss in enumerate(losses)]
    assert read["validation/loss"] == [[4, 1.125]]
    assert len(read) == 8
