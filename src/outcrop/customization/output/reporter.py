"""The reports of a training job: the journal in the output bucket, the job's own record, and the worker's log.

One object of whom the training loop asks and to whom it tells everything; its methods are the loop's hooks.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from outcrop import logs
from outcrop.customization import forecast, predictions
from outcrop.customization.choices import hyperparameters
from outcrop.customization.forecast import RunNeed
from outcrop.customization.output import checkpoints
from outcrop.customization.predictions import PredictedRun
from outcrop.customization.states import Phase
from outcrop.customization.work import Work
from outcrop.datasets.report.value import Report
from outcrop.errors import MachineTrouble
from outcrop.jobs.full_disk import Patience, is_passing
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.training.data import TrainingData
from outcrop.training.estimate import requirements
from outcrop.training.examples import RecordOrigin
from outcrop.training.metrics import Hooks, ModelCheckpoint, Progress, RunStart, TrainingResult
from outcrop.training.task import TrainingTask

_log = logging.getLogger("outcrop.worker")


@dataclass(kw_only=True)
class JobReporter:
    """The hooks of one training run."""

    work: Work
    task: TrainingTask
    spoken: PromptFormat
    "The form in which the trained model is spoken to."
    patience: Patience
    checked: Report
    "Of the data; it is written anew once the needs of the run are known."
    set_aside: frozenset[RecordOrigin] = frozenset()
    "Records of the training data that were held out of it."
    need: RunNeed | None = None
    "What the run will need of this machine, once that is known."
    began_s: float | None = None
    "When it began its first step; None for a run that was taken up again, whose time says nothing of predictions."
    peak_bytes: int = 0
    beside_bytes: int = 0
    "Of trials that learn beside this run, in the same process."
    searched: Mapping[str, str] = field(default_factory=dict)
    "Hyperparameters that a search has chosen, beside those of the job."

    def hooks(self) -> Hooks:
        journal = self.work.journal
        return Hooks(
            on_data=self.on_data,
            on_plan=self.on_plan,
            on_start=self.on_start,
            on_progress=self.on_progress,
            on_evaluation=journal.on_evaluation,
            on_answers=journal.on_answers,
            on_checkpoint=self.on_checkpoint,
            on_note=self.on_note,
            should_stop=self.should_stop,
            for_good=self.for_good,
            try_again=self.try_again,
        )

    def on_data(self, data: TrainingData) -> None:
        """Raises Invalid when the run cannot fit into this machine."""
        work, task = self.work, self.task
        self.set_aside = data.set_aside
        self.need = forecast.foreseen(work.base.id, task, data, reserve=self.reserve)
        told = forecast.for_report(work.house.settings.home, work.base.id, self.need, task.hyper)
        work.tell_report(replace(self.checked, forecast=told))

    def reserve(self, num_bytes: int) -> None:
        """Wait until the run may hold so much memory, or is to stop. Raises Invalid for more than may ever be held."""
        wanted = num_bytes + self.beside_bytes
        self.work.house.sharing.grow(self.work.job.arn, wanted, until=self.should_stop, waits=self.on_note)

    def on_plan(self, text: str) -> None:
        asked = self.work.record.document["hyperParameters"]
        self.work.job.note(**{hyperparameters.USED: hyperparameters.used(asked, self.task.hyper)})
        self.work.job.enter(Phase.TRAINING)
        assert self.need is not None, "the data comes before the plan"
        self.work.journal.on_plan(f"{text}\n{self.need.text}")

    def on_start(self, start: RunStart) -> None:
        self.began_s = None if start.steps else time.monotonic()
        self.work.journal.on_start(start)

    def on_progress(self, progress: Progress) -> None:
        self.peak_bytes = progress.peak_bytes
        self.work.journal.on_progress(progress)

    def keep_prediction(self, result: TrainingResult) -> None:
        """The run's time and memory beside what was predicted, for those of later runs; of one that went as planned."""
        estimate = None if self.need is None else self.need.estimate
        if estimate is None or self.began_s is None or result.steps != estimate.steps:
            return
        run = PredictedRun(
            time=self.work.house.clock.now().isoformat(timespec="seconds"),
            machine=predictions.machine(),
            job=self.work.job.arn,
            base=self.work.base.id,
            predicted_s=round(estimate.seconds, 3),
            actual_s=round(time.monotonic() - self.began_s, 3),
            predicted_bytes=estimate.memory.total,
            peak_bytes=self.peak_bytes if requirements.free_on_gpu() is None else 0,
        )
        try:
            predictions.keep(self.work.house.settings.home, run)
        except OSError as error:  # a model that is trained is not lost for it
            logs.tell(_log, "the prediction was not kept", job=self.work.job.arn, note=str(error))

    def on_note(self, sentence: str) -> None:
        logs.tell(_log, "note", job=self.work.job.arn, note=sentence)
        self.work.journal.on_note(sentence)

    def on_checkpoint(self, checkpoint: ModelCheckpoint, folder: Path) -> None:
        origin = checkpoints.Origin(
            job_arn=self.work.job.arn,
            base_id=self.work.base.id,
            parent_arn=self.work.record.document["parentArn"],
            customization=self.task.customization,
            prompt_format=self.spoken,
        )
        uri = checkpoints.publish(self.work.artifacts, origin, checkpoint, folder)
        self.work.journal.on_checkpoint(checkpoint, uri)

    def should_stop(self) -> bool:
        return self.work.job.interrupted() or self.work.job.is_stopping()

    def for_good(self) -> bool:
        """Whether a run that was stopped is over; otherwise the worker's successor takes it up."""
        return not self.work.job.interrupted()

    def try_again(self, trouble: MachineTrouble) -> bool:
        """Wait for room on the disk, and say whether to try again.

        A job that is to stop, or a worker that is to end, does not wait.
        """
        return is_passing(trouble) and self.patience.wait(trouble) and not self.work.job.is_stopping()
