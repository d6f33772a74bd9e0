"""Metrics of a run, while it goes and when it is over. All losses are nats per supervised token."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from outcrop.errors import MachineTrouble

if TYPE_CHECKING:
    from outcrop.training.data import TrainingData  # which needs torch, and these values are told where there is none


@dataclass(frozen=True, kw_only=True)
class StepMetrics:
    """The metrics of one optimizer step; both counts begin with 0."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    grad_norm: float
    "Before it was clipped."
    tokens: int
    "All tokens that went through the network."
    supervised: int
    "Those of them that were learned; the loss is their mean."
    flops: float
    "Floating-point operations the mathematics needs; see `flops.py`."
    seconds: float

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss)


@dataclass(frozen=True, kw_only=True)
class EvaluationMetrics:
    """The first validator's loss after `step` steps; step 0 is where training starts from."""

    step: int
    epoch: int
    loss: float
    best: bool
    "Lower than every evaluation of this run before it."

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss)


@dataclass(frozen=True, kw_only=True)
class ModelCheckpoint:
    """The weights after `step` steps in a folder of their own, which serves like a finished run's."""

    step: int
    epoch: int
    loss: float | None
    "The first validator's, where there is one."

    @property
    def name(self) -> str:
        return f"step-{self.step:08d}"


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """The state of a training run before its first step, or before the first one after a resume."""

    num_parameters: int
    num_trained: int
    devices: int
    "Ranks that train together."
    threads: int
    "Of all devices together."
    peak_flops: float
    "Operations a second of large matrix products in fp32 on all devices together, measured just now."
    steps: tuple[StepMetrics, ...] = ()
    "Those that were taken before a resume."
    evaluations: tuple[EvaluationMetrics, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a training run after its last step."""

    steps: int
    tokens_per_s: float
    "Since the run began or was taken up again, evaluations and checkpoints included."
    seconds_left: float
    last: StepMetrics
    resident_bytes: int
    "Memory of the process now."
    peak_bytes: int
    "The most it ever had."

    @property
    def steps_done(self) -> int:
        return self.last.step + 1

    @property
    def loss(self) -> float:
        return self.last.loss


@dataclass(frozen=True, kw_only=True)
class Score:
    """The loss of a network on a file of records."""

    nll: float
    "Sum over the supervised tokens, in nats."
    num_tokens: int
    num_bytes: int

    @property
    def loss(self) -> float:
        return self.nll / self.num_tokens

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss)

    @property
    def bits_per_byte(self) -> float:
        """Comparable between tokenizers; 0 where the supervised tokens stand for no text."""
        return self.nll / math.log(2) / self.num_bytes if self.num_bytes else 0.0


@dataclass(frozen=True, kw_only=True)
class ValidatorResult:
    """The scores of one validation file before and after training."""

    name: str
    base: Score
    "The network training started from: the base model, or the custom model that was trained further."
    custom: Score


@dataclass(frozen=True, kw_only=True)
class HeldOutAnswer:
    """A held-out prompt, what its record goes on with, and what the network answers as it stands."""

    prompt: str
    expected: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """How a run ended. The lists are complete, also when the run was interrupted and taken up again."""

    status: Literal["completed", "stopped"]
    steps: int
    "Steps taken."
    best_step: int
    "Steps after which the weights that were kept stood; the last ones where nothing was validated."
    stopped_early: bool
    step_metrics: tuple[StepMetrics, ...]
    evaluations: tuple[EvaluationMetrics, ...]
    validators: tuple[ValidatorResult, ...]
    checkpoints: tuple[ModelCheckpoint, ...]
    notes: tuple[str, ...]
    "What was done otherwise than asked for, in plain words."

    @property
    def training_loss(self) -> float:
        """The mean training loss of the last epoch that was begun, each token counting alike."""
        assert self.step_metrics, "no step was taken"
        last = [step for step in self.step_metrics if step.epoch == self.step_metrics[-1].epoch]
        return sum(step.loss * step.supervised for step in last) / sum(step.supervised for step in last)


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Called from the loop, between steps. After a resume, steps since the last checkpoint are told a second time."""

    on_data: Callable[["TrainingData"], None] = lambda _data: None
    "Before anything is loaded; may raise Refusal, and nothing was done."
    on_plan: Callable[[str], None] = lambda _text: None
    on_start: Callable[[RunStart], None] = lambda _start: None
    on_progress: Callable[[Progress], None] = lambda _progress: None
    on_step: Callable[[StepMetrics], None] = lambda _step: None
    on_evaluation: Callable[[EvaluationMetrics], None] = lambda _evaluation: None
    on_answers: Callable[[int, Sequence[HeldOutAnswer]], None] | None = None
    "Told, after so many steps, the answers to held-out prompts; nothing is answered where nobody listens."
    on_checkpoint: Callable[[ModelCheckpoint, Path], None] = lambda _checkpoint, _folder: None
    "The folder is whole; it is removed when the call is over."
    on_note: Callable[[str], None] = lambda _sentence: None
    "Something a person should know: a checkpoint that could not be written or read."
    should_stop: Callable[[], bool] = lambda: False
    for_good: Callable[[], bool] = lambda: True
    "Asked when it was stopped: False for a run that will be taken up again."
    try_again: Callable[[MachineTrouble], bool] = lambda _trouble: False
    "Asked when the result could not be written: it may wait, and says whether to try once more."


def perplexity(loss: float) -> float:
    return math.exp(min(loss, 700.0))
