"""A small fine-tuning task. Run as a program, it is trained undisturbed, and once more with kills in between."""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from outcrop.datasets.records import Customization
from outcrop.network import load
from outcrop.training import finetune
from outcrop.training.metrics import Hooks, StepMetrics
from outcrop.training.task import TrainingHyper, TrainingTask

NAMES = ["stone", "river", "house", "hill", "morning", "evening", "city", "sea", "country", "water"]
RECORDS = [
    {"prompt": f"What is the {name}?", "completion": f" The {name} is the {NAMES[(i * 3 + 1) % 10]}."}
    for i, name in enumerate(NAMES)
]
HELD_OUT = [{"prompt": f"Where is the {name}?", "completion": f" The {name} is here."} for name in NAMES[:4]]


def write_jsonl(path: Path, records: object) -> Path:
    assert isinstance(records, list)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def task(
    base: Path,
    folder: Path,
    *,
    hyper: TrainingHyper,
    records: object = RECORDS,
    held_out: object = None,
    parent: Path | None = None,
    customization: Customization = "FINE_TUNING",
) -> TrainingTask:
    """Data, checkpoints and output lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    validators = () if held_out is None else (write_jsonl(folder / "validation.jsonl", held_out),)
    return TrainingTask(
        base_dir=base,
        base_name="tiny",
        parent_adapter=parent,
        train=write_jsonl(folder / "train.jsonl", records),
        validators=validators,
        customization=customization,
        hyper=hyper,
        run_dir=folder / "run",
        output_dir=folder / "out",
    )


def resumable(base: Path, folder: Path) -> TrainingTask:
    """Sixty steps with evaluations, and a checkpoint as often as the time allows."""
    hyper = TrainingHyper(epochs=20, batch_size=4, learning_rate=5e-3, warmup_steps=5, threads=1, checkpoint_every_s=0)
    return task(base, folder, hyper=hyper, held_out=HELD_OUT)


def train_and_be_killed(base: Path, folder: Path, kills: list[int]) -> None:
    """Train to the end; the n-th attempt is killed soon after step kills[n].

    Attempts are forks of this process, so that torch and transformers are imported once for all of them.
    """
    for kill in [*kills, None]:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            _attempt(base, folder, write_end)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as told:
            for step in iter(lambda: told.read(4), b""):
                if kill is not None and int.from_bytes(step, "big") >= kill:
                    os.kill(child, signal.SIGKILL)
                    break
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == (0 if kill is None else -signal.SIGKILL)


def _attempt(base: Path, folder: Path, write_end: int) -> None:
    def tell(step: StepMetrics) -> None:
        os.write(write_end, step.step.to_bytes(4, "big"))

    try:
        result = finetune.train(resumable(base, folder), Hooks(on_step=tell))
        told = {
            "losses": [step.loss for step in result.step_metrics],
            "evaluations": [[evaluation.step, evaluation.loss] for evaluation in result.evaluations],
            "best_step": result.best_step,
        }
        (folder / "result.json").write_text(json.dumps(told))
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)


if __name__ == "__main__":
    model, where = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)  # a thread pool would not survive the forks
    load.load_base(model)
    train_and_be_killed(model, where / "undisturbed", [])
    train_and_be_killed(model, where / "killed", [int(kill) for kill in sys.argv[3:]])
