"""A few small trials side by side. Run as a program, they are trained undisturbed, and once more with kills."""

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from outcrop.network import load
from outcrop.network.adapters.method import LoRA
from outcrop.training.metrics import Hooks, Score, StepMetrics, TrainingResult
from outcrop.training.task import TrainingHyper, TrainingTask
from outcrop.training.trials import side_by_side
from outcrop.training.trials.trial import Trial, TrialEnd, TrialOutcome
from tests.support.training_runs import HELD_OUT, task

_HYPER = TrainingHyper(
    epochs=8, evaluations_per_epoch=1, batch_size=4, learning_rate=5e-3, threads=1, checkpoint_every_s=0
)
HYPERS = [
    _HYPER,
    replace(_HYPER, method=LoRA(rank=3, alpha=6), batch_size=2, seed=1),
    replace(_HYPER, method=LoRA(rank=5, alpha=6), learning_rate=1e-3, seed=2),
    replace(_HYPER, method=LoRA(rank=2, alpha=6), batch_size=3, seed=3),
]


class FixedTrials:
    """Trials that are known beforehand; what has ended stands in a file, where there is to be one."""

    def __init__(
        self,
        tasks: list[TrainingTask],
        *,
        pruned_after: dict[int, int] | None = None,
        file: Path | None = None,
        on_step: Callable[[int], None] = lambda _steps: None,
    ) -> None:
        self.tasks = tasks
        self.results: dict[int, TrainingResult] = {}
        self.ends: dict[int, TrialEnd] = {}
        self.messages: dict[int, str] = {}
        self.by_record: dict[int, Sequence[Score]] = {}
        self._file = file
        self._pruned_after = pruned_after or {}
        self._steps = dict.fromkeys(range(len(tasks)), 0)
        self._on_step = on_step
        self.begun: dict[int, int] = {}
        "By number: when each began."
        if file is not None and file.exists():
            told = json.loads(file.read_text())
            self.begun = {int(number): entered for number, entered in told["begun"].items()}
            self.ends = {int(number): TrialEnd(end) for number, end in told["ends"].items()}

    def under_way(self) -> list[Trial]:
        return [self._trial(number) for number in self.begun if number not in self.ends]

    def next(self, entered: int) -> Trial | None:
        number = len(self.begun)
        if number == len(self.tasks):
            return None
        self.begun[number] = entered
        self._keep()
        return self._trial(number)

    def wants(self, outcome: TrialOutcome) -> bool:
        return outcome.end is TrialEnd.COMPLETED

    def wants_records(self, outcome: TrialOutcome) -> bool:
        return outcome.end is TrialEnd.COMPLETED

    def records(self, number: int, scores: Sequence[Score]) -> None:
        self.by_record[number] = scores

    def ended(self, outcome: TrialOutcome) -> None:
        self.ends[outcome.number] = outcome.end
        self.messages[outcome.number] = outcome.message
        if outcome.result is not None:
            self.results[outcome.number] = outcome.result
        if self._file is not None and outcome.result is not None:
            told = [step.loss for step in outcome.result.step_metrics]
            self._file.with_name(f"losses-{outcome.number}.json").write_text(json.dumps(told))
        self._keep()

    def should_stop(self) -> bool:
        return False

    def note(self, sentence: str) -> None:
        pass

    def _keep(self) -> None:
        if self._file is not None:
            new = self._file.with_name("new")
            new.write_text(json.dumps({"begun": self.begun, "ends": self.ends}))
            new.replace(self._file)

    def _trial(self, number: int) -> Trial:
        def count(step: StepMetrics) -> None:
            self._steps[number] = step.step + 1
            self._on_step(sum(self._steps.values()))

        most = self._pruned_after.get(number)
        hooks = Hooks(on_step=count, should_stop=lambda: most is not None and self._steps[number] >= most)
        return Trial(number=number, task=self.tasks[number], entered=self.begun[number], hooks=hooks)


def train_and_be_killed(base: Path, folder: Path, kills: list[int]) -> None:
    """Train to the end with three places; the n-th attempt is killed after kills[n] steps of all trials together."""
    folder.mkdir(parents=True)
    for kill in [*kills, None]:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            _attempt(base, folder, write_end)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as told:
            for steps in iter(lambda: told.read(4), b""):
                if kill is not None and int.from_bytes(steps, "big") >= kill:
                    os.kill(child, signal.SIGKILL)
                    break
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == (0 if kill is None else -signal.SIGKILL)


def _attempt(base: Path, folder: Path, write_end: int) -> None:
    try:
        first = task(base, folder, hyper=HYPERS[0], held_out=HELD_OUT)
        tasks = [
            replace(first, hyper=hyper, run_dir=folder / str(number) / "run", output_dir=folder / str(number) / "out")
            for number, hyper in enumerate(HYPERS)
        ]
        source = FixedTrials(
            tasks,
            file=folder / "trials.json",
            on_step=lambda steps: void(os.write(write_end, steps.to_bytes(4, "big"))),
        )
        side_by_side.train(tasks[0], source, places=3)
        told = [json.loads((folder / f"losses-{number}.json").read_text()) for number in range(len(HYPERS))]
        (folder / "result.json").write_text(json.dumps(told))
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)


def void(_value: object) -> None:
    """Nothing of a value."""


if __name__ == "__main__":
    model, where = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)  # a thread pool would not survive the forks
    load.load_base(model)
    train_and_be_killed(model, where / "undisturbed", [])
    train_and_be_killed(model, where / "killed", [int(kill) for kill in sys.argv[3:]])
