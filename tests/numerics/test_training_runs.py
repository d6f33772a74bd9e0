"""Whole runs on a tiny base: what is learned, what is kept, and what a kill, a full disk or a bad rate leaves."""

import json
import math
import resource
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from outcrop.errors import Invalid, MachineTrouble
from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.method import LoRA
from outcrop.tokens.prompt_format import encode_pair
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import (
    data,
    expectation,
    finetune,
    loop,
    pretrain,
)
from outcrop.training.checkpoints import checkpoint, model_checkpoints
from outcrop.training.divergence import DivergedError
from outcrop.training.evaluation import score
from outcrop.training.examples import ADAPTER
from outcrop.training.loss import log_probabilities
from outcrop.training.metrics import EvaluationMetrics, Hooks, ModelCheckpoint, Progress, RunStart, Score, StepMetrics
from outcrop.training.task import TrainingHyper, TrainingTask
from tests.support import forks, training_runs
from tests.support.patience import PATIENCE_S
from tests.support.tiny import tiny_model
from tests.support.training_runs import HELD_OUT, task

HYPER = TrainingHyper(epochs=3, batch_size=4, learning_rate=5e-3, threads=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"))


def test_a_run_killed_again_and_again_ends_with_the_bits_of_one_that_was_not(base: Path, tmp_path: Path) -> None:
    kills = ["7", "19", "33", "58"]
    forks.run("tests.support.training_runs", str(base), str(tmp_path), *kills, check=True)
    for name in ("out/adapter_model.safetensors", "out/adapter_config.json", "out/parity.json", "result.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes(), name
    result = json.loads((tmp_path / "killed" / "result.json").read_text())
    assert len(result["losses"]) == 60


def test_a_damaged_checkpoint_gives_way_to_the_one_before(base: Path, tmp_path: Path) -> None:
    whole = finetune.train(training_runs.resumable(base, tmp_path / "whole"), Hooks())
    halfway = training_runs.resumable(base, tmp_path / "damaged")
    steps: list[int] = []
    stop_at_40 = Hooks(on_step=lambda step: steps.append(step.step), should_stop=lambda: len(steps) >= 40)
    assert finetune.train(halfway, stop_at_40).status == "stopped"
    newest = max(halfway.run_dir.glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-1])

    notes: list[str] = []
    result = finetune.train(halfway, Hooks(on_note=notes.append))
    assert notes == [
        f"{newest.name}: damaged on the disk. The run goes on from the checkpoint before it; nothing to do."
    ]
    assert [step.loss for step in result.step_metrics] == [step.loss for step in whole.step_metrics]


def test_a_checkpoint_of_another_task_is_refused(base: Path, tmp_path: Path) -> None:
    first = task(base, tmp_path, hyper=HYPER)
    finetune.train(first, Hooks(should_stop=lambda: True))
    with pytest.raises(Invalid, match="a checkpoint of another task"):
        finetune.train(replace(first, hyper=replace(HYPER, learning_rate=1e-4)), Hooks())


def test_the_best_weights_are_kept_and_patience_ends_the_run(base: Path, tmp_path: Path) -> None:
    # Given a rate at which the held-out loss soon rises
    told: list[EvaluationMetrics] = []
    hyper = replace(HYPER, epochs=60, learning_rate=2e-2, patience=3)
    result = finetune.train(task(base, tmp_path, hyper=hyper, held_out=HELD_OUT), Hooks(on_evaluation=told.append))
    # Then the run ends early, and the weights of its lowest evaluation are those in the folder
    best = min(told[1:], key=lambda evaluation: evaluation.loss)
    assert (result.stopped_early, result.best_step, result.steps < 180) == (True, best.step, True)
    (validator,) = result.validators
    assert validator.base.loss == told[0].loss
    assert validator.custom.loss == pytest.approx(best.loss, abs=1e-6)
    assert validator.custom.num_bytes == sum(len(record["completion"]) for record in HELD_OUT)
    assert validator.custom.bits_per_byte == validator.custom.nll / math.log(2) / validator.custom.num_bytes


def test_the_output_is_a_peft_folder_with_the_trainer_s_own_log_probabilities(base: Path, tmp_path: Path) -> None:
    finetune.train(task(base, tmp_path, hyper=HYPER, held_out=HELD_OUT), Hooks())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "parity.json",
    }
    network = load.load_base(base)
    routing = linear.hold_adapters(network)
    adapter_files.load(network, "trained", tmp_path / "out")
    samples = json.loads((tmp_path / "out" / "parity.json").read_text())["samples"]
    tokenizer = Tokenizer.open(base)
    for sample, record in zip(samples, HELD_OUT, strict=True):
        encoded = encode_pair(tokenizer, record["prompt"], record["completion"])
        assert sample["ids"] == encoded.prompt_ids + encoded.completion_ids
        assert sample["logprobs"] == pytest.approx(log_probabilities(network, routing, sample["ids"]), abs=1e-5)


def test_a_custom_model_is_trained_further(base: Path, tmp_path: Path) -> None:
    first = finetune.train(task(base, tmp_path / "1", hyper=HYPER, held_out=HELD_OUT), Hooks())
    second_task = task(
        base,
        tmp_path / "2",
        hyper=replace(HYPER, method=LoRA(rank=16, alpha=32)),
        held_out=HELD_OUT,
        parent=tmp_path / "1" / "out",
    )
    second = finetune.train(second_task, Hooks())
    assert second.validators[0].base.loss == pytest.approx(first.validators[0].custom.loss, abs=1e-6)
    assert second.notes == ("lora of rank 16 and alpha 32, from the custom model that is trained further",)
    shapes = [load_file(tmp_path / run / "out" / "adapter_model.safetensors") for run in "12"]
    assert {n: t.shape for n, t in shapes[0].items()} == {n: t.shape for n, t in shapes[1].items()}


def test_continued_pre_training_learns_every_token_of_a_long_text(base: Path, tmp_path: Path) -> None:
    text = "The stone at the river is older than the house on the hill. " * 40
    hyper = TrainingHyper(epochs=12, batch_size=2, learning_rate=1e-2, threads=1)
    long_text = task(base, tmp_path, hyper=hyper, records=[{"input": text}], customization="CONTINUED_PRE_TRAINING")
    result = pretrain.train(long_text, Hooks())
    num_tokens = len(Tokenizer.open(base).encode(text, begin=True)) + 1
    assert sum(step.supervised for step in result.step_metrics if step.epoch == 0) == num_tokens - 1
    assert result.training_loss < result.step_metrics[0].loss / 2
    assert result.notes == ("texts longer than the context were split into consecutive sequences; no token is lost",)


def test_a_rate_that_breaks_the_loss_ends_with_a_sentence(base: Path, tmp_path: Path) -> None:
    broken = task(base, tmp_path, hyper=replace(HYPER, learning_rate=1e30, checkpoint_every_s=0))
    with pytest.raises(DivergedError) as error:
        finetune.train(broken, Hooks())
    assert error.value.message == (
        "step 1: the loss is no finite number any more (loss nan, gradient norm nan, learning rate 8.88889e+29). "
        "Choose a smaller learningRate or more warmup steps. No checkpoint before that is worth keeping."
    )
    assert not broken.output_dir.exists()


@pytest.mark.parametrize("held_out", [None, HELD_OUT])
def test_a_diverging_run_ends_and_its_last_good_checkpoint_is_kept(
    base: Path, tmp_path: Path, held_out: object
) -> None:
    # Given a model that knows the records, trained further at a rate that ruins it when warmup ends
    knowing = replace(HYPER, epochs=40, learning_rate=1e-2)
    finetune.train(task(base, tmp_path / "parent", hyper=knowing), Hooks())
    ruinous = replace(HYPER, epochs=120, batch_size=10, learning_rate=0.15, warmup_steps=60)
    kept: dict[str, Path] = {}

    def keep(checkpoint: ModelCheckpoint, folder: Path) -> None:
        kept[checkpoint.name] = Path(shutil.copytree(folder, tmp_path / "kept" / checkpoint.name))

    run = task(base, tmp_path, hyper=ruinous, held_out=held_out, parent=tmp_path / "parent" / "out")
    with pytest.raises(DivergedError, match="training diverges") as error:
        finetune.train(run, Hooks(on_checkpoint=keep))
    good = str(error.value.checkpoint)
    assert error.value.message.endswith(f"The last good checkpoint is {good}.")
    assert good in kept
    assert {path.name for path in kept[good].iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "parity.json",
    }


def test_each_evaluation_leaves_a_model_checkpoint_and_the_best_is_the_result(base: Path, tmp_path: Path) -> None:
    kept: dict[int, bytes] = {}

    def keep(checkpoint: ModelCheckpoint, folder: Path) -> None:
        kept[checkpoint.step] = (folder / "adapter_model.safetensors").read_bytes()

    hyper = replace(HYPER, epochs=4, learning_rate=2e-2, evaluate_every_steps=5)
    told = task(base, tmp_path, hyper=hyper, held_out=HELD_OUT)
    result = finetune.train(told, Hooks(on_checkpoint=keep))
    assert [evaluation.step for evaluation in result.evaluations] == [0, 5, 10, 12]
    assert [(c.step, c.loss) for c in result.checkpoints] == [(e.step, e.loss) for e in result.evaluations[1:]]
    assert list(kept) == [5, 10, 12]
    assert (told.output_dir / "adapter_model.safetensors").read_bytes() == kept[result.best_step]
    assert {path.suffix for path in told.run_dir.iterdir()} == {".safetensors"}  # the folders are gone


def test_without_validation_each_epoch_leaves_a_model_checkpoint_at_most_ten(base: Path, tmp_path: Path) -> None:
    told: list[ModelCheckpoint] = []
    hyper = replace(HYPER, epochs=25, batch_size=10)
    finetune.train(task(base, tmp_path, hyper=hyper), Hooks(on_checkpoint=lambda made, _folder: told.append(made)))
    assert [made.step for made in told] == [2, 5, 7, 10, 12, 15, 17, 20, 22, 25]
    assert {made.loss for made in told} == {None}


MANY = replace(HYPER, epochs=6, batch_size=5, evaluations_per_epoch=2, patience=11, threshold=100.0)
"Twelve evaluations, of which nine are places of model checkpoints, the 3rd, 7th and 11th not; it ends after the 11th."


def published(run: TrainingTask, **hooks: Any) -> dict[int, bytes]:
    """Weights of each model checkpoint of a run, which may end in an error."""
    kept: dict[int, bytes] = {}

    def keep(made: ModelCheckpoint, folder: Path) -> None:
        kept[made.step] = (folder / "adapter_model.safetensors").read_bytes()

    with suppress(BrokenRun):
        finetune.train(run, Hooks(on_checkpoint=keep, **hooks))
    return kept


class BrokenRun(Exception):
    """Something of ours that nobody foresaw."""


def lowest(evaluations: list[EvaluationMetrics]) -> int:
    return min(evaluations[1:], key=lambda each: each.loss).step


@pytest.mark.parametrize("room", [2**32, 1], ids=["many", "one alone"])
@pytest.mark.parametrize("end", ["completed", "stopped", "broken"])
def test_the_best_weights_are_always_among_the_model_checkpoints(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, end: str
) -> None:
    monkeypatch.setattr(model_checkpoints, "ROOM_BYTES", room)
    run, told = task(base, tmp_path, hyper=MANY, held_out=HELD_OUT), list[EvaluationMetrics]()

    def break_off(step: StepMetrics) -> None:
        if step.step == 7 and end == "broken":
            raise BrokenRun

    kept = published(
        run, on_evaluation=told.append, on_step=break_off, should_stop=lambda: end == "stopped" and len(told) == 8
    )
    assert lowest(told) == (11 if end == "completed" else 7)
    assert lowest(told) in kept
    assert len(kept) <= (10 if room > 1 else 1)
    if end == "completed":
        assert (run.output_dir / "adapter_model.safetensors").read_bytes() == kept[lowest(told)]


def test_a_run_that_goes_on_later_leaves_no_best_yet(base: Path, tmp_path: Path) -> None:
    run, told = task(base, tmp_path, hyper=MANY, held_out=HELD_OUT), list[EvaluationMetrics]()
    # Stopped after step 3, which is no place of a model checkpoint, by a worker that ends
    hooks = {"on_evaluation": told.append, "should_stop": lambda: len(told) == 4, "for_good": lambda: False}
    assert set(published(run, **hooks)) == {1, 2}
    assert lowest(told) == 3
    assert set(published(run)) == {4, 5, 6, 8, 9, 10, 11}


def test_the_same_weights_are_scored_once(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given two validators, and three evaluations of the first
    run = task(base, tmp_path, hyper=replace(HYPER, evaluations_per_epoch=1), held_out=HELD_OUT)
    other = training_runs.write_jsonl(tmp_path / "other.jsonl", HELD_OUT[:1])
    run = replace(run, validators=(*run.validators, other))
    scored: list[int] = []
    sampled: list[Any] = []
    real, sample = score, expectation._sample

    def count(trained: Any, examples: Any, **more: Any) -> Score:
        scored.append(len(examples))
        return real(trained, examples, **more)

    def count_samples(network: Any, routing: Any, example: Any, adapter: str) -> Any:
        sampled.append(example)
        return sample(network, routing, example, adapter)

    monkeypatch.setattr(loop, "score", count)
    monkeypatch.setattr(expectation, "_sample", count_samples)
    result = finetune.train(run, Hooks())
    # Then the first is scored before and after each epoch, the other before and after, and that is all
    assert scored == [4, 1, 4, 4, 4, 1]
    assert len(sampled) == 3 * 4  # for the model checkpoints alone
    best = min(evaluation.loss for evaluation in result.evaluations[1:])
    assert result.validators[0].custom.loss == best
    # and both are what the weights that were kept give
    network = load.load_base(base)
    routing = linear.hold_adapters(network)
    adapter_files.load(network, ADAPTER, run.output_dir)
    told = json.loads((run.output_dir / "parity.json").read_text())["samples"]
    for each in told:
        assert log_probabilities(network, routing, each["ids"]) == pytest.approx(each["logprobs"], abs=1e-5)


def test_records_set_aside_are_evaluated_and_not_trained_on(base: Path, tmp_path: Path) -> None:
    hyper = replace(HYPER, held_out_percentage=30.0, seed=5)
    run = task(base, tmp_path, hyper=hyper)
    result = finetune.train(run, Hooks())
    note = "3 of 10 records were set aside for validation (30 %, seed 5) and are not trained on"
    assert result.notes[0] == note
    # Seven records: of each epoch's tokens, none are of the three
    split = data.read(run)
    assert sum(step.tokens for step in result.step_metrics) == 3 * sum(map(len, split.examples))
    (validator,) = result.validators
    assert validator.name == "train.jsonl (set aside)"
    assert validator.custom.num_tokens == sum(example.num_supervised for example in split.evaluated)


def test_validators_of_the_same_file_name_are_two(base: Path, tmp_path: Path) -> None:
    run = task(base, tmp_path, hyper=HYPER, held_out=HELD_OUT)
    (tmp_path / "other").mkdir()
    other = training_runs.write_jsonl(tmp_path / "other" / "validation.jsonl", HELD_OUT[:1])
    result = finetune.train(replace(run, validators=(*run.validators, other)), Hooks())
    assert [v.name for v in result.validators] == ["validation.jsonl", "validation.jsonl"]
    assert result.validators[0].custom.num_tokens > result.validators[1].custom.num_tokens


def test_the_steps_of_a_run_tell_rates_and_costs(base: Path, tmp_path: Path) -> None:
    starts: list[RunStart] = []
    told: list[Progress] = []
    finetune.train(task(base, tmp_path, hyper=HYPER), Hooks(on_start=starts.append, on_progress=told.append))
    (start,) = starts
    assert (start.threads, start.steps) == (1, ())
    assert start.num_parameters > start.num_trained > 0
    assert start.peak_flops > 1e8
    assert [progress.steps_done for progress in told] == list(range(1, 10))
    last = told[-1]
    assert last.peak_bytes >= last.resident_bytes * 0.99 > 1e7
    assert last.seconds_left > 0  # the last step is not the end: the result is written
    assert last.last.grad_norm > 0
    assert last.last.flops / last.last.seconds < 2 * start.peak_flops  # a utilization above that would be a lie


def test_a_disk_slower_than_the_steps_holds_no_step_back(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a disk that takes a checkpoint only when twenty steps were taken
    taken = threading.Event()
    steps: list[int] = []
    real = checkpoint.write

    def slow(folder: Path, state: checkpoint.Snapshot, **seal: Any) -> Path:
        assert state.step == 0 or taken.wait(PATIENCE_S)
        return real(folder, state, **seal)

    def tell(step: StepMetrics) -> None:
        steps.append(step.step)
        if len(steps) == 20:
            taken.set()

    monkeypatch.setattr(checkpoint, "write", slow)
    run = training_runs.resumable(base, tmp_path)
    finetune.train(run, Hooks(on_step=tell))
    # Then all sixty were taken, and what was written is whole
    assert len(steps) == 60
    assert all(checkpoint._is_whole(path) for path in run.run_dir.glob("*.safetensors"))


def test_a_full_disk_does_not_stop_training_but_the_end_is_an_error(base: Path, tmp_path: Path) -> None:
    full = task(base, tmp_path, hyper=replace(HYPER, checkpoint_every_s=0))
    notes: list[str] = []
    steps: list[int] = []
    with _disk_takes(1000), pytest.raises(MachineTrouble, match="what was trained could not be written"):
        finetune.train(full, Hooks(on_note=notes.append, on_step=lambda step: steps.append(step.step)))
    assert len(steps) == 9
    assert notes[0].endswith("could not be written (File too large). Training goes on; make room on the disk.")
    assert [*full.run_dir.iterdir(), *tmp_path.glob("out*"), *tmp_path.glob(".out*")] == []


@contextmanager
def _disk_takes(num_bytes: int) -> Iterator[None]:
    """No file may grow beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
