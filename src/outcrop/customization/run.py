"""A job from its lease to its end: validation, data processing, training, and a custom model on record.

The worker calls `run` and may be killed at any instant; called again, it goes on from the last checkpoint. Files come
first and the row last, so what a crash leaves behind is garbage at worst.
"""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from outcrop import logs
from outcrop.catalog.base_model import Customization
from outcrop.customization import base, checkpoints, forecast, hyperparameters, lineage, verdict
from outcrop.customization.full_disk import Patience, is_full
from outcrop.customization.prompting import format_of_model
from outcrop.customization.register import register
from outcrop.customization.rooms import Rooms
from outcrop.customization.task import task_of
from outcrop.customization.verdict import Outcome
from outcrop.customization.work import LONGEST_MESSAGE, Work, check, fetch
from outcrop.datasets import preflight
from outcrop.errors import MachineTrouble, Refusal
from outcrop.jobs.jobs import JobEnded, Jobs
from outcrop.jobs.leases import MAX_ATTEMPTS
from outcrop.jobs.states import ENDED, JobStatus, Phase
from outcrop.loops import UNEXPECTED
from outcrop.store.damage import Damaged, understood
from outcrop.store.resources import Resource
from outcrop.training import finetune, pretrain
from outcrop.training.data import Data
from outcrop.training.data_parallel.ranks import RankLostError
from outcrop.training.divergence import DivergedError
from outcrop.training.metrics import Hooks, ModelCheckpoint, TrainingResult
from outcrop.training.task import TrainingTask

_ASK_EVERY_S = 0.5
_log = logging.getLogger("outcrop.worker")


def run(
    house: Rooms, job_arn: str, *, attempt: int, report: Callable[[str], None], interrupted: Callable[[], bool]
) -> bool:
    """Work on the job until it ends, or until `interrupted`; whether it ended.

    `report` is told how far the job is, in words that change with it. A job whose record is damaged is Failed.
    """
    try:
        return _run(house, job_arn, attempt, report, interrupted)
    except JobEnded:  # stopped in the moment before it began
        pass
    except Damaged as damaged:
        _log.error("job %s broke", job_arn, exc_info=damaged)
        house.store.resources.fail(job_arn, at=house.clock.now(), unless=ENDED)
    shutil.rmtree(house.settings.runs / job_arn.rsplit("/", 1)[-1], ignore_errors=True)
    return True


def _run(
    house: Rooms, job_arn: str, attempt: int, report: Callable[[str], None], interrupted: Callable[[], bool]
) -> bool:
    job = house.jobs.get(job_arn)
    if job.status in ENDED:
        return True
    if job.status == JobStatus.STOPPING:
        return _end(house, job, JobStatus.STOPPED)
    if attempt > MAX_ATTEMPTS:
        message = (
            f"The worker died {MAX_ATTEMPTS} times without coming any further, most likely for want of memory. "
            "Shorten the longest records, or choose a smaller base model; the worker's log has the details."
        )
        return _end(house, job, JobStatus.FAILED, message)
    patience = _patience(house, job, interrupted)
    while True:
        try:
            return _to_the_end(house, job_arn, patience, report)
        except Exception as error:
            if not is_full(error):
                raise
            if not patience.wait(error):
                return False


def _to_the_end(house: Rooms, job_arn: str, patience: Patience, report: Callable[[str], None]) -> bool:
    """As `run`. What a full disk broke off is raised: it goes on from the last checkpoint when there is room."""
    job = house.jobs.get(job_arn)
    if job.status == JobStatus.STOPPING:
        return _end(house, job, JobStatus.STOPPED)
    try:
        with understood(job.arn):
            work = Work.of(house, job, report)
    except Refusal as refusal:
        return _end(house, job, JobStatus.FAILED, refusal.message)
    try:
        return _phases(work, patience)
    except JobEnded:
        raise
    except Exception as error:
        if is_full(error):
            raise
        message = _failure(work, error)
        work.end_journal(JobStatus.FAILED, failure=message)
        return _end(house, job, JobStatus.FAILED, message)


def _failure(work: Work, error: Exception) -> str:
    if isinstance(error, DivergedError) and error.checkpoint:
        uri = work.artifacts.uri(f"{checkpoints.FOLDER}/{error.checkpoint}/")
        return f"{error.message} CreateCustomModel makes a custom model of it, from {uri}"
    if isinstance(error, Refusal | MachineTrouble):
        return error.message
    # The one catch-all of the worker: a defect of ours must not leave a job InProgress for ever.
    _log.error("job %s broke", work.job.arn, exc_info=error)
    return f"{UNEXPECTED} (the worker's log has the details)."


def _patience(house: Rooms, job: Resource, interrupted: Callable[[], bool]) -> Patience:
    return Patience(interrupted=interrupted, stopping=_asked_to_stop(house.jobs, job.arn))


def _phases(work: Work, patience: Patience) -> bool:
    jobs, job = work.house.jobs, work.job
    jobs.enter(job.arn, Phase.VALIDATION)
    work.journal.report("validating")
    files = fetch(work)
    checked = check(work, files)
    jobs.enter(job.arn, Phase.DATA_PROCESSING)
    work.journal.report("processing data")
    start = base.tried(work.house.catalog, work.start)
    task = task_of(
        work.house,
        job,
        start,
        files=files,
        prompt_format=work.prompt_format,
        run_dir=work.run_dir / "checkpoints",
    )
    train = finetune.train if work.customization is Customization.FINE_TUNING else pretrain.train
    try:
        result = train(task, _hooks(work, task, patience), devices=work.house.settings.devices)
    except RankLostError as lost:
        # As if the whole worker had died, most likely for the same want of memory: its successor takes the job up.
        logs.tell(_log, "device lost", level=logging.WARNING, job=job.arn, note=lost.message)
        return False
    if result.status == "stopped":
        if patience.interrupted():
            return False
        work.end_journal(JobStatus.STOPPED)
        return _end(work.house, job, JobStatus.STOPPED)
    return _complete_patiently(work, task, result, checked, patience)


def _hooks(work: Work, task: TrainingTask, patience: Patience) -> Hooks:
    journal, job = work.journal, work.job
    asked = job.document["hyperParameters"]
    needs: list[str] = []

    def reserve(num_bytes: int) -> None:
        work.house.sharing.grow(job.arn, num_bytes, until=should_stop, waits=on_note)

    def should_stop() -> bool:
        return patience.interrupted() or patience.stopping()

    def on_data(data: Data) -> None:
        needs.append(forecast.told(work.base.id, task, data, reserve=reserve))

    def on_plan(text: str) -> None:
        work.house.jobs.note(job.arn, **{hyperparameters.USED: hyperparameters.used(asked, task.hyper)})
        work.house.jobs.enter(job.arn, Phase.TRAINING)
        journal.on_plan("\n".join([text, *needs]))

    def on_note(sentence: str) -> None:
        logs.tell(_log, "note", job=job.arn, note=sentence)
        journal.on_note(sentence)

    def on_checkpoint(checkpoint: ModelCheckpoint, folder: Path) -> None:
        origin = checkpoints.Origin(
            job_arn=job.arn,
            base_id=work.base.id,
            parent_arn=job.document["parentArn"],
            customization=task.customization,
            prompt_format=format_of_model(task),
        )
        journal.on_checkpoint(checkpoint, checkpoints.publish(work.artifacts, origin, checkpoint, folder))

    return Hooks(
        on_data=on_data,
        on_plan=on_plan,
        on_start=journal.on_start,
        on_progress=journal.on_progress,
        on_evaluation=journal.on_evaluation,
        on_checkpoint=on_checkpoint,
        on_note=on_note,
        should_stop=should_stop,
        for_good=lambda: not patience.interrupted(),
        # A job that is to stop, or a worker that is to end, does not wait for room.
        try_again=lambda trouble: is_full(trouble) and patience.wait(trouble) and not patience.stopping(),
    )


def _complete_patiently(
    work: Work, task: TrainingTask, result: TrainingResult, checked: preflight.Report, patience: Patience
) -> bool:
    """Whether the job was completed: the worker may have to end while the disk is full."""
    while True:
        try:
            _complete(work, task, result, checked)
            return True
        except Exception as error:
            if not is_full(error):
                raise
            if not patience.wait(error):
                return False


def _complete(work: Work, task: TrainingTask, result: TrainingResult, checked: preflight.Report) -> None:
    """Everything the job leaves behind, and then, in one transaction, the model's row and the job's end."""
    found = verdict.of(task, result)
    if found.outcome is Outcome.WORSE:
        logs.tell(_log, "worse than its base", level=logging.WARNING, job=work.job.arn, note=found.sentence)
    work.journal.finish(result, found)
    work.journal.end(
        "Completed",
        steps=result.steps,
        best_step=result.best_step,
        stopped_early=result.stopped_early,
        **found.members,
    )
    document = lineage.of_job(work.job, work.base, task, result, found, checked)
    lineage.write(task.output_dir, document)
    register(work.house, work.job, work.base, work.start.parent, task, result, found)
    shutil.rmtree(work.run_dir, ignore_errors=True)


def _asked_to_stop(jobs: Jobs, job_arn: str) -> Callable[[], bool]:
    """Asks the record at most twice a second, however short the steps are."""
    asked_at, stopping = 0.0, False

    def should_stop() -> bool:
        nonlocal asked_at, stopping
        if time.monotonic() - asked_at > _ASK_EVERY_S:
            asked_at, stopping = time.monotonic(), jobs.is_stopping(job_arn)
        return stopping

    return should_stop


def _end(house: Rooms, job: Resource, status: JobStatus, failure: str | None = None) -> bool:
    members = {} if failure is None else {"failureMessage": house.settings.hidden(failure)[:LONGEST_MESSAGE]}
    with understood(job.arn):
        house.jobs.end(job.arn, status, **members)
        folder = house.models.folder(job.document["modelArn"])
    shutil.rmtree(house.settings.runs / job.arn.rsplit("/", 1)[-1], ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    return True
