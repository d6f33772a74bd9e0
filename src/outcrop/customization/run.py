"""A job from its lease to its end: validation, data processing, training, and a custom model on record.

The worker calls `run` and may be killed at any instant; called again, it goes on from the last checkpoint. Files come
first and the row last, so what a crash leaves behind is garbage at worst.
"""

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from outcrop import logs
from outcrop.catalog.base_model import BaseModel, Customization
from outcrop.customization import hyperparameters, lineage, memory
from outcrop.customization.artifacts import Artifacts
from outcrop.customization.context import Context
from outcrop.customization.data_access import DataAccess
from outcrop.customization.progress import Journal
from outcrop.customization.register import register
from outcrop.datasets import preflight
from outcrop.errors import Invalid, MachineTrouble, Refusal
from outcrop.jobs.jobs import Jobs
from outcrop.jobs.leases import MAX_ATTEMPTS
from outcrop.jobs.states import JobStatus, Phase
from outcrop.store.resources import Resource
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import finetune, pretrain
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingHyper, TrainingTask

_LONGEST_MESSAGE = 2048
_ASK_EVERY_S = 0.5
_INTERNAL = "Encountered an unexpected error when processing the request, please try again"
_log = logging.getLogger("outcrop.worker")


def run(
    context: Context, job_arn: str, *, attempt: int, report: Callable[[str], None], interrupted: Callable[[], bool]
) -> bool:
    """Work on the job until it ends, or until `interrupted`; whether it ended.

    `report` is told how far the job is, in words that change with it.
    """
    job = context.jobs.get(job_arn)
    if job.status == JobStatus.STOPPING:
        return _end(context, job, JobStatus.STOPPED)
    if attempt > MAX_ATTEMPTS:
        message = (
            f"The worker died {MAX_ATTEMPTS} times without coming any further, most likely for want of memory. "
            "Shorten the longest records, or choose a smaller base model; the worker's log has the details."
        )
        return _end(context, job, JobStatus.FAILED, message)
    try:
        return _phases(_Work.of(context, job), report, interrupted)
    except (Refusal, MachineTrouble) as refusal:
        return _end(context, job, JobStatus.FAILED, refusal.message)
    except Exception:
        # The one catch-all of the worker: a defect of ours must not leave a job InProgress for ever.
        _log.exception("job %s broke", job_arn)
        return _end(context, job, JobStatus.FAILED, f"{_INTERNAL} (the worker's log has the details).")


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One job with everything its phases need."""

    context: Context
    job: Resource
    base: BaseModel
    parent: Resource | None
    data: DataAccess
    artifacts: Artifacts
    run_dir: Path

    @classmethod
    def of(cls, context: Context, job: Resource) -> "_Work":
        document = job.document
        data = DataAccess(context=context, role_arn=document["roleArn"])
        output = document["outputDataConfig"]["s3Uri"]
        parent = context.models.find(job.region, document["parentArn"]) if document["parentArn"] else None
        return cls(
            context=context,
            job=job,
            base=context.catalog.usable(document["baseId"]),
            parent=parent,
            data=data,
            artifacts=Artifacts(data=data, output_uri=output, job_arn=job.arn),
            run_dir=context.settings.runs / job.arn.rsplit("/", 1)[-1],
        )

    @property
    def customization(self) -> Customization:
        return Customization(self.job.document["customizationType"])

    @property
    def folder(self) -> Path:
        """Where the weights of the base model are."""
        assert self.base.folder is not None
        return self.base.folder


def _phases(work: _Work, report: Callable[[str], None], interrupted: Callable[[], bool]) -> bool:
    jobs, job = work.context.jobs, work.job
    jobs.enter(job.arn, Phase.VALIDATION)
    report("validating")
    files = _fetch(work)
    checked = _check(work, files)
    jobs.enter(job.arn, Phase.DATA_PROCESSING)
    report("processing data")
    task = _task(work, files)
    journal = Journal(work.artifacts, report)
    hooks = Hooks(
        on_plan=lambda _plan: jobs.enter(job.arn, Phase.TRAINING),
        on_progress=journal.on_progress,
        on_step=journal.on_step,
        on_evaluation=journal.on_evaluation,
        on_note=lambda sentence: logs.tell(_log, "note", job=job.arn, note=sentence),
        should_stop=_asked_to_stop(jobs, job.arn, interrupted),
    )
    train = finetune.train if work.customization is Customization.FINE_TUNING else pretrain.train
    result = train(task, hooks)
    if result.status == "stopped":
        return not interrupted() and _end(work.context, job, JobStatus.STOPPED)
    _complete(work, task, result, journal, checked)
    return True


def _fetch(work: _Work) -> list[Path]:
    """The data under the names its owner gave it, so that problems can name the file: training first."""
    document = work.job.document
    validators = document["validationDataConfig"]["validators"]
    uris = [document["trainingDataConfig"]["s3Uri"], *(validator["s3Uri"] for validator in validators)]
    files = []
    for index, uri in enumerate(uris):
        place = work.run_dir / "data" / str(index) / uri.rsplit("/", 1)[-1]
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f".{place.name}.part")
            shutil.copyfile(work.data.open(uri), temporary)
            temporary.replace(place)
        files.append(place)
    return files


def _check(work: _Work, files: list[Path]) -> preflight.Report:
    """Account for every record; the report goes to the bucket whether or not the data is good. Raises Invalid."""
    checked = preflight.examine(
        files,
        tokenizer=Tokenizer.open(work.folder),
        context_length=work.base.context_length,
        customization=work.customization.value,
    )
    work.artifacts.write_preflight(checked.to_json(), checked.to_text())
    if checked.problems:
        raise Invalid(_told(checked))
    return checked


def _told(checked: preflight.Report) -> str:
    """As many problems as a failureMessage has room for."""
    told, room = "", _LONGEST_MESSAGE - 80
    for count, problem in enumerate(checked.problems):
        if len(told) + len(str(problem)) > room:
            return f"{told}({len(checked.problems) - count} more problems in preflight/report.txt of the output.)"
        told += f"{problem} "
    return told.rstrip()


def _task(work: _Work, files: list[Path]) -> TrainingTask:
    document = work.job.document
    rate = work.base.learning_rate or memory.recommended_rate(work.folder)
    hyper = hyperparameters.resolve(work.base.hyperparameters, document["hyperParameters"], recommended_rate=rate)
    for note in hyper.notes:
        logs.tell(_log, "hyperparameters", job=work.job.arn, note=note)
    return TrainingTask(
        base_dir=work.folder,
        base_name=work.base.engine,
        parent_adapter=work.context.models.folder(work.parent.arn) if work.parent else None,
        train=files[0],
        validators=tuple(files[1:]),
        customization=work.customization.value,
        hyper=TrainingHyper(
            epochs=hyper.epochs,
            batch_size=hyper.batch_size,
            learning_rate=hyper.learning_rate,
            warmup_steps=hyper.warmup_steps,
            rank=hyper.rank,
            alpha=hyper.alpha,
            seed=hyper.seed,
            evaluations_per_epoch=hyper.evaluations_per_epoch,
            patience=hyper.patience,
            threshold=hyper.threshold,
            token_budget=memory.ROW_TOKENS,
            threads=work.context.settings.threads,
        ),
        run_dir=work.run_dir / "checkpoints",
        output_dir=work.context.models.folder(document["modelArn"]),
    )


def _complete(
    work: _Work, task: TrainingTask, result: TrainingResult, journal: Journal, checked: preflight.Report
) -> None:
    """Everything the job leaves behind, and then, in one transaction, the model's row and the job's end."""
    journal.finish(result)
    document = lineage.of_job(work.job, work.base, task, result, checked)
    lineage.write(task.output_dir, document)
    register(work.context, work.job, work.base, work.parent, task, result)
    shutil.rmtree(work.run_dir, ignore_errors=True)


def _asked_to_stop(jobs: Jobs, job_arn: str, interrupted: Callable[[], bool]) -> Callable[[], bool]:
    """Asks the record at most twice a second, however short the steps are."""
    asked_at, stopping = 0.0, False

    def should_stop() -> bool:
        nonlocal asked_at, stopping
        if time.monotonic() - asked_at > _ASK_EVERY_S:
            asked_at, stopping = time.monotonic(), jobs.is_stopping(job_arn)
        return stopping or interrupted()

    return should_stop


def _end(context: Context, job: Resource, status: JobStatus, failure: str | None = None) -> bool:
    members = {} if failure is None else {"failureMessage": failure[:_LONGEST_MESSAGE]}
    context.jobs.end(job.arn, status, **members)
    shutil.rmtree(context.settings.runs / job.arn.rsplit("/", 1)[-1], ignore_errors=True)
    shutil.rmtree(context.models.folder(job.document["modelArn"]), ignore_errors=True)
    return True
