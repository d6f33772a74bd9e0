"""Two ranks train what one does, step by step; and what a kill, a stop or another number of ranks leaves behind.

Most of the runs are made at once by `tests/support/rank_runs.py`, whose ranks are forks that speak over gloo.
"""

import json
import pickle
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from outcrop.training import finetune
from outcrop.training.data_parallel.ranks import RankLostError
from outcrop.training.metrics import Hooks
from tests.support import forks, training_runs
from tests.support.rank_runs import DIVERGED, HYPER, LOST, METHODS, UNEVEN, WHOLE
from tests.support.tiny import VOCAB_SIZE, tiny_model

KILLED = -signal.SIGKILL
ATOL = 1e-5


class Runs:
    """The results that `tests/support/rank_runs.py` left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.codes: dict[str, list[int]] = json.loads((folder / "codes.json").read_text())

    def told(self, run: str, rank: int = 0) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / run / f"rank-{rank}.json").read_text())
        return told

    def steps(self, method: str, size: int, rank: int, how: str = "") -> dict[str, torch.Tensor]:
        steps: dict[str, torch.Tensor] = torch.load(self.folder / method / f"{size}-{rank}{how}.pt")
        return steps

    def adapter(self, run: str) -> bytes:
        return (self.folder / run / "out" / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def runs(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    forks.run("tests.support.rank_runs", str(base), str(folder), check=True)
    return Runs(folder)


@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_take_the_steps_of_one(runs: Runs, method: str) -> None:
    # Also those of the last batch of an epoch, a single record, of which the second rank has nothing
    alone, first, second = runs.steps(method, 1, 0), runs.steps(method, 2, 0), runs.steps(method, 2, 1)
    assert alone["measured"].shape == (12, 2)
    torch.testing.assert_close(first["measured"], alone["measured"], atol=ATOL, rtol=0)
    torch.testing.assert_close(first["weights"], alone["weights"], atol=ATOL, rtol=0)
    assert not torch.equal(alone["weights"][0], alone["weights"][-1])
    # And all ranks hold the very same
    assert torch.equal(first["weights"], second["weights"])
    assert torch.equal(first["measured"], second["measured"])


def test_a_network_split_between_two_ranks_takes_the_steps_of_a_whole_one(runs: Runs) -> None:
    alone, first, second = (
        runs.steps("full", 1, 0),
        runs.steps("full", 2, 0, "-sharded"),
        runs.steps("full", 2, 1, "-sharded"),
    )
    torch.testing.assert_close(first["measured"], alone["measured"], atol=ATOL, rtol=ATOL)
    torch.testing.assert_close(first["weights"], alone["weights"], atol=ATOL, rtol=0)
    assert torch.equal(first["measured"], second["measured"])
    assert second["weights"].numel() == 0, "the first rank alone gets what all of them have"
    # Of every layer each holds a part; embeddings, head and the last norm are on both
    beside = 2 * VOCAB_SIZE * 64 + 64
    assert first["held"] + second["held"] == alone["held"] + beside
    assert first["held"] == second["held"]


def test_a_split_network_is_evaluated_saved_and_moved_to_one_device_and_back(runs: Runs) -> None:
    # Given three steps on two ranks, three on one, and six on two again
    assert [runs.codes[part] for part in ("sharded first", "whole then", "sharded again")] == [[0, 0], [0], [0, 0]]
    whole, moved = runs.told("full-whole-1"), runs.told("moved-full")
    assert moved["steps_now"] == 6
    assert moved["losses"] == pytest.approx(whole["losses"], abs=ATOL)
    assert moved["evaluations"] == pytest.approx(whole["evaluations"], abs=ATOL)
    assert moved["scores"] == pytest.approx(whole["scores"], rel=ATOL)
    ours, theirs = (
        load_file(runs.folder / name / "out" / "model.safetensors") for name in ("moved-full", "full-whole-1")
    )
    torch.testing.assert_close(ours, theirs, atol=ATOL, rtol=0)


def test_all_ranks_of_a_split_network_see_it_diverge(runs: Runs) -> None:
    assert runs.codes["sharded-diverged"] == [DIVERGED, DIVERGED]


def test_a_whole_run_of_two_ranks_tells_what_one_tells(runs: Runs) -> None:
    alone, together = runs.told("whole-1"), runs.told("whole-2")
    assert together["losses"] == pytest.approx(alone["losses"], abs=ATOL)
    assert together["evaluations"] == pytest.approx(alone["evaluations"], abs=ATOL)
    assert together["scores"] == pytest.approx(alone["scores"], rel=ATOL)
    assert runs.told("whole-2", rank=1) == together
    # One or two are kept: where the disk is slow, the share of the run's time that they may take holds one back.
    written = [path.name.split("-")[1] for path in (runs.folder / "whole-2" / "run").iterdir()]
    assert len(set(written)) == len(written) in (1, 2), "the first rank's checkpoints and nobody else's"


def test_a_killed_rank_ends_the_others_and_the_run_goes_on_with_the_same_bits(runs: Runs) -> None:
    assert runs.codes["killed-0"] == [KILLED, LOST]
    assert runs.codes["killed-1"] == [LOST, KILLED]
    assert runs.codes["killed-1 again"] == [WHOLE, WHOLE]
    assert runs.told("killed-1")["steps_now"] < 12
    assert runs.adapter("killed-1") == runs.adapter("whole-2")
    assert runs.told("killed-1")["losses"] == runs.told("whole-2")["losses"]


def test_a_run_of_two_ranks_is_taken_up_by_one(runs: Runs) -> None:
    # Given a run whose first rank alone was asked to stop after five of twelve steps
    assert runs.codes["first on two"] == [WHOLE, WHOLE]
    told, whole = runs.told("moved"), runs.told("whole-1")
    assert told["steps_now"] == 7
    assert told["losses"] == pytest.approx(whole["losses"], abs=ATOL)
    assert told["evaluations"] == pytest.approx(whole["evaluations"], abs=ATOL)


def test_all_ranks_see_a_run_diverge(runs: Runs) -> None:
    assert runs.codes["diverged"] == [DIVERGED, DIVERGED]


def test_dropout_is_the_same_after_a_resume(runs: Runs) -> None:
    assert runs.told("dropout-stopped")["steps_now"] == 2
    assert runs.told("dropout-stopped")["losses"] == runs.told("dropout")["losses"]
    assert runs.told("dropout")["losses"] != runs.told("whole-2")["losses"][:4]


def test_a_child_that_never_comes_is_noticed(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    task = training_runs.task(base, tmp_path, hyper=HYPER)
    with pytest.raises(RankLostError, match="ended"):
        finetune.train(task, Hooks(), devices=2)


@pytest.mark.soak
def test_torchrun_trains_the_same(base: Path, tmp_path: Path) -> None:
    tasks = [training_runs.task(base, tmp_path / name, hyper=HYPER, records=UNEVEN) for name in ("one", "two")]
    alone = finetune.train(tasks[0], Hooks())
    (tmp_path / "task.pickle").write_bytes(pickle.dumps(tasks[1]))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "outcrop.training.data_parallel.rank_main", str(tmp_path / "task.pickle")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    losses = [float(loss) for loss in re.findall(r"^step \d+  loss ([\d.]+)", said, flags=re.MULTILINE)]
    assert losses == pytest.approx([step.loss for step in alone.step_metrics], abs=ATOL)
    assert (tmp_path / "two" / "out" / "adapter_model.safetensors").is_file()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("method", METHODS)
def test_two_gpus_train_what_one_does(base: Path, tmp_path: Path, method: str) -> None:
    hyper = replace(HYPER, method=METHODS[method])
    one, two = (
        finetune.train(training_runs.task(base, tmp_path / str(devices), hyper=hyper), Hooks(), devices=devices)
        for devices in (1, 2)
    )
    # An adapter's base is bf16 on a GPU, whose rows may be other ones
    within = ATOL if method == "full" else 1e-2
    assert [s.loss for s in two.step_metrics] == pytest.approx([s.loss for s in one.step_metrics], abs=within)
