"""The reports of a training job: the journal in the output bucket, the job's own record, and the worker's log.

One object of whom the training loop asks and to whom it tells everything; its methods are the loop's hooks.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from outcrop import logs
from outcrop.customization import forecast
from outcrop.customization.choices import hyperparameters
from outcrop.customization.output import checkpoints
from outcrop.customization.states import Phase
from outcrop.customization.work import Work
from outcrop.errors import MachineTrouble
from outcrop.jobs.full_disk import Patience, is_full
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.training.data import TrainingData
from outcrop.training.metrics import Hooks, ModelCheckpoint
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
    set_aside: frozenset[int] = frozenset()
    "Lines of the training data that were held out of it."
    need: str = ""
    "What the run will need of this machine, as lines of its plan."

    def hooks(self) -> Hooks:
        journal = self.work.journal
        return Hooks(
            on_data=self.on_data,
            on_plan=self.on_plan,
            on_start=journal.on_start,
            on_progress=journal.on_progress,
            on_evaluation=journal.on_evaluation,
            on_checkpoint=self.on_checkpoint,
            on_note=self.on_note,
            should_stop=self.should_stop,
            for_good=self.for_good,
            try_again=self.try_again,
        )

    def on_data(self, data: TrainingData) -> None:
        """Raises Invalid when the run cannot fit into this machine."""
        self.set_aside = data.set_aside
        self.need = forecast.told(self.work.base.id, self.task, data, reserve=self.reserve)

    def reserve(self, num_bytes: int) -> None:
        """Wait until the run may hold so much memory, or is to stop. Raises Invalid for more than may ever be held."""
        self.work.house.sharing.grow(self.work.job.arn, num_bytes, until=self.should_stop, waits=self.on_note)

    def on_plan(self, text: str) -> None:
        asked = self.work.record.document["hyperParameters"]
        self.work.job.note(**{hyperparameters.USED: hyperparameters.used(asked, self.task.hyper)})
        self.work.job.enter(Phase.TRAINING)
        self.work.journal.on_plan(f"{text}\n{self.need}")

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
        return is_full(trouble) and self.patience.wait(trouble) and not self.work.job.is_stopping()
