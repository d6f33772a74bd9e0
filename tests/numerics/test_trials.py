"""Trials side by side: each learns what it learns alone, to the rounding, and a kill costs not one bit."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from outcrop.network.adapters.method import OFT, Full, LoRA, Method
from outcrop.training import finetune
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingHyper, TrainingTask
from outcrop.training.trials import network, side_by_side
from outcrop.training.trials.trial import Trial, TrialEnd
from tests.support import forks, trial_runs
from tests.support.tiny import small_family, tiny_model
from tests.support.training_runs import HELD_OUT, task
from tests.support.trial_runs import FixedTrials

HYPER = TrainingHyper(epochs=2, evaluations_per_epoch=1, batch_size=4, learning_rate=5e-3, threads=1)
HYPERS = [
    replace(HYPER, method=LoRA(rank=2, alpha=4)),
    replace(HYPER, method=LoRA(rank=8, alpha=8, stabilized=True), learning_rate=1e-3, seed=1, batch_size=1),
    replace(HYPER, method=LoRA(rank=5, alpha=20, targets=("q_proj", "v_proj", "down_proj")), warmup_steps=3, seed=2),
    replace(HYPER, method=LoRA(rank=3, alpha=6), batch_size=7, epochs=5, schedule="cosine", weight_decay=0.1),
]
MIXED = [
    replace(HYPER, method=LoRA(rank=3, alpha=6, decomposed=True)),
    replace(HYPER, method=OFT(block_size=16), seed=1),
    replace(HYPER, method=LoRA(rank=4, alpha=8), batch_size=3),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tasks_on(base: Path, folder: Path, hypers: list[TrainingHyper]) -> list[TrainingTask]:
    """One task for each, on the same data."""
    first = task(base, folder, hyper=hypers[0], held_out=HELD_OUT)
    return [
        replace(first, hyper=hyper, run_dir=folder / str(number) / "run", output_dir=folder / str(number) / "out")
        for number, hyper in enumerate(hypers)
    ]


def assert_alike(base: Path, folder: Path, hypers: list[TrainingHyper], *, places: int = 8) -> None:
    """Side by side and alone: the losses of every step, those of evaluations, and the weights that are kept."""
    source = FixedTrials(tasks_on(base, folder / "together", hypers))
    assert side_by_side.train(source.tasks[0], source, places=places)
    for number, each in enumerate(tasks_on(base, folder / "alone", hypers)):
        alone, together = finetune.train(each, Hooks()), source.results[number]
        assert [step.loss for step in together.step_metrics] == pytest.approx(
            [step.loss for step in alone.step_metrics], rel=1e-6
        )
        assert [step.learning_rate for step in together.step_metrics] == [
            step.learning_rate for step in alone.step_metrics
        ]
        assert [(e.step, e.best) for e in together.evaluations] == [(e.step, e.best) for e in alone.evaluations]
        assert [e.loss for e in together.evaluations] == pytest.approx([e.loss for e in alone.evaluations], rel=1e-6)
        assert together.validators[0].custom.loss == pytest.approx(alone.validators[0].custom.loss, rel=1e-6)
        mine, theirs = (load_file(t.output_dir / "adapter_model.safetensors") for t in (source.tasks[number], each))
        assert mine.keys() == theirs.keys()
        for name, weight in theirs.items():
            # Of a gradient of nearly nothing Adam makes a step of full size, whichever way the rounding points: together
            # no further apart than one such step of one number. What is held to the rounding are the losses above.
            assert torch.linalg.vector_norm(mine[name] - weight) <= each.hyper.learning_rate, name


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma3", "olmo2"])
def test_a_trial_beside_others_is_the_trial_alone(architecture: str, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", architecture)
    assert_alike(base, tmp_path, HYPERS)


def test_so_it_is_where_layers_keep_their_weights_transposed(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", "gpt2")
    assert_alike(base, tmp_path, [replace(HYPER, method=LoRA(rank=2, alpha=4)), replace(HYPER, seed=1, batch_size=3)])


def test_so_it_is_with_other_methods_beside_it(tmp_path: Path) -> None:
    assert_alike(tiny_model(tmp_path / "base"), tmp_path, MIXED)


def test_so_it_is_on_two_threads_and_without_the_fast_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny_model(tmp_path / "base")
    assert_alike(base, tmp_path / "threads", [replace(hyper, threads=2) for hyper in HYPERS])
    monkeypatch.setenv("OUTCROP_FAST", "0")
    assert_alike(base, tmp_path / "plain", HYPERS[:2])


def test_a_trial_that_ends_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    assert_alike(tiny_model(tmp_path / "base"), tmp_path, HYPERS, places=2)


def test_one_that_need_not_go_on_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    source = FixedTrials(tasks_on(base, tmp_path / "together", HYPERS[:3]), pruned_after={1: 3})
    side_by_side.train(source.tasks[0], source, places=3)
    assert (source.ends[1], len(source.results[1].step_metrics)) == (TrialEnd.PRUNED, 3)
    alone = finetune.train(tasks_on(base, tmp_path / "alone", HYPERS[:1])[0], Hooks())
    assert [step.loss for step in source.results[0].step_metrics] == pytest.approx(
        [step.loss for step in alone.step_metrics], rel=1e-6
    )


def test_one_that_diverges_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    hypers = [HYPER, replace(HYPER, learning_rate=1e30)]
    source = FixedTrials(tasks_on(base, tmp_path, hypers))
    assert side_by_side.train(source.tasks[0], source, places=2)
    assert source.ends == {0: TrialEnd.COMPLETED, 1: TrialEnd.FAILED}
    assert "Choose a smaller learningRate" in source.messages[1]


def test_where_one_diverges_a_successor_goes_on_from_that_very_step(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    rarely = replace(HYPER, epochs=4, checkpoint_every_s=1e9)
    hypers = [rarely, replace(rarely, learning_rate=1e30), replace(rarely, seed=1)]
    calm = FixedTrials(tasks_on(base, tmp_path / "calm", hypers))
    assert side_by_side.train(calm.tasks[0], calm, places=2)
    # When its worker is killed between the trial that diverged and the next one
    tasks, file = tasks_on(base, tmp_path / "killed", hypers), tmp_path / "study.json"
    with pytest.raises(KilledBeforeError):
        side_by_side.train(tasks[0], KilledBefore(tasks, file=file), places=2)
    successor = FixedTrials(tasks, file=file)
    assert side_by_side.train(tasks[0], successor, places=2)
    # Then the next one enters when it would have, beside the other one where it stood
    assert successor.begun == calm.begun
    assert successor.begun[2] > 0
    for number in (0, 2):
        ours, theirs = (source.results[number].step_metrics for source in (successor, calm))
        assert [step.loss for step in ours] == [step.loss for step in theirs]


class KilledBeforeError(Exception):
    """What a kill is here: nothing of the search runs after it."""


class KilledBefore(FixedTrials):
    """Trials whose process is killed before the third one begins."""

    def next(self, entered: int) -> Trial | None:
        if len(self.begun) == 2:
            raise KilledBeforeError
        return super().next(entered)


def test_trials_killed_again_and_again_end_with_the_bits_of_those_that_were_not(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    forks.run("tests.support.trial_runs", str(base), str(tmp_path), "9", "30", "52", check=True)
    whole, killed = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("undisturbed", "killed"))
    assert whole == killed
    for number in range(len(trial_runs.HYPERS)):
        weights = [
            tmp_path / name / str(number) / "out/adapter_model.safetensors" for name in ("undisturbed", "killed")
        ]
        assert weights[0].read_bytes() == weights[1].read_bytes()


def test_what_cannot_learn_side_by_side_is_told(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")

    def told(method: Method) -> str | None:
        return network.obstacle(task(base, tmp_path, hyper=replace(HYPER, method=method)))

    assert told(LoRA(rank=2, alpha=4)) is None
    assert told(Full()) == "outcrop.method full trains the base itself, which then cannot be shared"
    assert told(LoRA(rank=2, alpha=4, dropout=0.1)) == (
        "outcrop.dropout: what is dropped depends on how a trial's records lie in rows"
    )


def test_experts_that_take_tokens_in_an_order_of_their_own_are_refused_or_right(tmp_path: Path) -> None:
    """Mixtral's experts are no linear layers and hold no adapters; its attention does."""
    base = small_family(tmp_path / "base", "mixtral")
    assert_alike(base, tmp_path, [replace(HYPER, method=LoRA(rank=2, alpha=4)), replace(HYPER, seed=1, batch_size=2)])
