"""The program of a JumpStart fine-tuning job, run in its sandbox: the house's own training on the job's channels.

    input/data/training     the data (training_data.py)
    input/data/validation   the same for validation, if there is any
    input/data/model        the base model: a Hugging Face directory, with what the catalogue knows of it
    checkpoints             what a job that is started again goes on from
    model                   the result: a whole network, as a Hugging Face directory that any server of language models
                            loads; where an adapter was trained, merged with it, and the adapter in `adapter` as PEFT
                            has it

Preflight, plan and loop are those of customization jobs. A run with the same data, seed and values has the same
weights, bit for bit.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from outcrop.customization.choices import hyperparameters as house_hyperparameters
from outcrop.customization.memory import recommended_rate
from outcrop.datasets import preflight
from outcrop.errors import Invalid, OutcropError
from outcrop.json_files import FileProblem, content, parse
from outcrop.network import facts
from outcrop.network.run_mode import RunMode
from outcrop.probe import launch
from outcrop.sagemaker.jumpstart import hyperparameters, training_data
from outcrop.sagemaker.jumpstart.content import DESCRIPTION
from outcrop.sagemaker.jumpstart.hyperparameters import FineTuningChoices
from outcrop.sagemaker.jumpstart.training_data import PreparedData
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training.metrics import EvaluationMetrics, Hooks, StepMetrics, TrainingResult
from outcrop.training.task import TrainingTask

_MOST_DESCRIPTION_BYTES = 1 << 20
_LONGEST_FAILURE = 4000


@dataclass(frozen=True, kw_only=True)
class JobPlaces:
    """The places of a training job, as its container has them."""

    opt_ml: Path
    work: Path
    "For what is made on the way."

    @property
    def failure(self) -> Path:
        return self.opt_ml / "output" / "failure"

    @property
    def model(self) -> Path:
        return self.opt_ml / "model"

    @property
    def checkpoints(self) -> Path:
        return self.opt_ml / "checkpoints"

    def channel(self, name: str) -> Path:
        return self.opt_ml / "input" / "data" / name


@dataclass(frozen=True, kw_only=True)
class GivenBase:
    """The base model in its channel."""

    folder: Path
    name: str
    context_length: int
    told_context: int | None
    "The context length, where the network's own configuration does not name one."
    learning_rate: float
    way: RunMode

    @classmethod
    def of(cls, folder: Path) -> "GivenBase":
        """Raises Invalid for what is no model, or one whose network is not run here."""
        if not (folder / "config.json").is_file():
            raise Invalid(
                "The channel model holds no config.json. Give it the model's artifact, from JumpStart's bucket."
            )
        known = _described(folder / DESCRIPTION)
        way = known.get("way")
        return cls(
            folder=folder,
            name=known.get("model", "model"),
            context_length=known.get("context_length") or facts.read(folder).context,
            told_context=known.get("told_context"),
            learning_rate=known.get("learning_rate") or recommended_rate(folder),
            way=RunMode(way) if way else _tried(folder),
        )


@dataclass
class Stopping:
    """Whether the job was asked to stop, by SIGTERM."""

    asked: bool = False

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, _number: int, _frame: object) -> None:
        self.asked = True


def main() -> int:
    """Run the job of this container; returns the exit status."""
    places = JobPlaces(
        opt_ml=Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")),
        work=Path(os.environ.get("TMPDIR", "/tmp")) / "fine-tuning",
    )
    stopping = Stopping()
    stopping.listen()
    given = json.loads(os.environ.get("SM_HPS", "{}"))
    try:
        _check_one_instance(json.loads(os.environ.get("SM_HOSTS", "[]")))
        fine_tune(places, {name: str(value) for name, value in given.items()}, stopping)
    except OutcropError as error:
        places.failure.parent.mkdir(parents=True, exist_ok=True)
        places.failure.write_text(error.message[:_LONGEST_FAILURE], "utf-8")
        _say(error.message)
        return 1
    return 0


def _check_one_instance(hosts: Sequence[str]) -> None:
    if len(hosts) > 1:
        raise Invalid("ResourceConfig.InstanceCount: this training runs on one instance. Ask for 1.")


def fine_tune(places: JobPlaces, given: Mapping[str, str], stopping: Stopping) -> None:
    """Train, and leave the model. Raises Refusal, MachineTrouble."""
    choices = hyperparameters.read(given)
    for note in choices.notes:
        _say(f"note: {note}")
    base = GivenBase.of(places.channel("model"))
    data = _data(places, choices)
    task = plan(places, base, data, choices)
    from outcrop.sagemaker.jumpstart import fine_tuned  # torch takes seconds to import, and bad data is told before

    result = fine_tuned.train(task, _hooks(stopping), devices=int(os.environ.get("OUTCROP_DEVICES", "1")))
    if result.status == "stopped":
        _say("The job was asked to stop. A job with the same CheckpointConfig goes on from here.")
        return
    fine_tuned.leave(task, places.model)
    _tell(result)


def plan(places: JobPlaces, base: GivenBase, data: list[PreparedData], choices: FineTuningChoices) -> TrainingTask:
    """The training task, its data accounted for; the report is printed. Raises Invalid with every problem."""
    train, tokenizer = data[0], Tokenizer.open(base.folder)
    length = min(base.context_length, choices.most_tokens or base.context_length)
    form = PromptFormat(choices.values["outcrop.promptFormat"])
    encoded = [places.work / "encoded" / str(number) for number in range(len(data))]
    (places.work / "encoded").mkdir(parents=True, exist_ok=True)
    report = preflight.examine(
        [each.path for each in data],
        tokenizer=tokenizer,
        context_length=length,
        customization=train.kind.customization.value,
        prompt_format=form,
        encoded=encoded,
    )
    _say(replace(report, base=base.name).to_text())
    if report.problems:
        raise Invalid(" ".join(str(problem) for problem in report.problems))
    resolved = house_hyperparameters.resolve(
        hyperparameters.FAMILY, choices.values, recommended_rate=base.learning_rate
    )
    return TrainingTask(
        base_dir=base.folder,
        base_name=base.name,
        parent_adapter=None,
        train=train.path,
        validators=tuple(each.path for each in data[1:]),
        encoded=tuple(encoded),
        customization=train.kind.customization.value,
        hyper=replace(resolved.hyper, threads=int(os.environ.get("OUTCROP_THREADS", "0"))),
        prompt_format=form,
        run_dir=places.checkpoints,
        output_dir=places.work / "trained",
        way=base.way,
        context_length=base.told_context if length == base.context_length else length,
        notes=resolved.notes,
    )


def _data(places: JobPlaces, choices: FineTuningChoices) -> list[PreparedData]:
    """The training data, and the validation data where there is any."""
    training = training_data.prepare(places.channel("training"), places.work / "training", choices)
    found = [training]
    if places.channel("validation").is_dir():
        folder = places.work / "validation"
        found.append(training_data.prepare(places.channel("validation"), folder, choices, like=training.kind))
    for note in (note for each in found for note in each.notes):
        _say(f"note: {note}")
    return found


def _hooks(stopping: Stopping) -> Hooks:
    return Hooks(
        on_plan=_say,
        on_step=_on_step,
        on_evaluation=_on_evaluation,
        on_note=lambda sentence: _say(f"note: {sentence}"),
        should_stop=lambda: stopping.asked,
    )


def _on_step(step: StepMetrics) -> None:
    _say(
        f"step {step.step + 1} epoch {step.epoch + 1} train_loss={step.loss:.6f} learning_rate={step.learning_rate:g} "
        f"tokens={step.tokens}"
    )


def _on_evaluation(evaluation: EvaluationMetrics) -> None:
    _say(f"step {evaluation.step} eval_loss={evaluation.loss:.6f}{', the best so far' if evaluation.best else ''}")


def _tell(result: TrainingResult) -> None:
    """The losses of what is kept, last, for these are the job's final metrics."""
    for validator in result.validators[:1]:
        _say(f"{validator.name}: eval_loss={validator.custom.loss:.6f}, the base model {validator.base.loss:.6f}")
    early = ", stopped early" if result.stopped_early else ""
    _say(f"{result.steps} steps{early}, weights of step {result.best_step}, train_loss={result.training_loss:.6f}")


def _described(path: Path) -> Mapping[str, Any]:
    """Facts of the model that the catalogue knows; none for a directory that comes from elsewhere. Raises Invalid."""
    if not path.is_file():
        return {}
    try:
        value = parse(content(path, most_bytes=_MOST_DESCRIPTION_BYTES), name=path.name)
    except FileProblem as problem:
        raise Invalid(f"{problem}. Leave {path.name} out, and the model is looked at anew.") from problem
    return value if isinstance(value, dict) else {}


def _tried(folder: Path) -> RunMode:
    """The mode in which the network is run, which nobody has found out before. Raises Invalid, MachineTrouble."""
    kind = facts.read(folder).kind
    _say(f"note: this {kind} network is tried first")
    way = launch.demand(folder).verdict.way
    assert way is not None, "demand refuses what cannot be run"
    return way


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
