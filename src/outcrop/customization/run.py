"""A customization job from its lease to its model: validation, data processing, training, and a model on record.

The worker may be killed at any instant; called again, the job goes on from the last checkpoint. Files come first and
the row last, so what a crash leaves behind is garbage at worst. How a job fails, stops or is tidied up is not said
here: it is the same for every kind (`jobs/execution.py`).
"""

import logging
from functools import partial

from outcrop import logs
from outcrop.catalog.base_model import Customization
from outcrop.customization import base, from_zero, verdict
from outcrop.customization.choices import hyperparameters, search_space
from outcrop.customization.choices.search_space import SearchPlan
from outcrop.customization.output import checkpoints, lineage, model_folder
from outcrop.customization.output.reporter import JobReporter
from outcrop.customization.register import register
from outcrop.customization.rooms import Rooms
from outcrop.customization.states import JobStatus, Phase
from outcrop.customization.task import task_of
from outcrop.customization.trials import search
from outcrop.customization.verdict import Outcome
from outcrop.customization.work import Validated, Work, validate
from outcrop.jobs.full_disk import Patience, is_passing
from outcrop.jobs.jobs import JobEnded
from outcrop.jobs.running import Interrupted, JobFailed, RunningJob, StopRequested
from outcrop.store.damage import understood
from outcrop.training import finetune, pretrain
from outcrop.training.data_parallel.ranks import RankLostError
from outcrop.training.divergence import DivergedError
from outcrop.training.metrics import Hooks, TrainingResult
from outcrop.training.task import TrainingTask

_STAGES = {
    Customization.FINE_TUNING: finetune.train,
    Customization.CONTINUED_PRE_TRAINING: pretrain.train,
}
_log = logging.getLogger("outcrop.worker")


def customize(house: Rooms, job: RunningJob) -> None:
    """The whole road of one job. Raises what ends the job or its worker: StopRequested, Interrupted, any Refusal."""
    patience = Patience(job=job)
    with understood(job.arn):
        work = Work.of(house, job)
    try:
        job.enter(Phase.VALIDATION)
        work = from_zero.with_own_network(work)
        validated = validate(work)
        job.enter(Phase.DATA_PROCESSING)
        task = _plan(work, validated)
        reporter = JobReporter(
            work=work, task=task, spoken=validated.spoken, patience=patience, checked=validated.report
        )
        plan = _search_of(work)
        result = _train(work, task, reporter) if plan is None else _search(work, task, plan, reporter)
        reporter.keep_prediction(result)
        patience.repeat(lambda: _leave_a_model(work, reporter, result, validated))
    except StopRequested:
        work.end_journal(JobStatus.STOPPED)
        raise
    except (Interrupted, JobEnded):
        raise
    except Exception as error:
        if is_passing(error):
            raise  # waited out, and then all is taken up where it was
        with work.house.store.transaction():
            pass  # raises LeaseLost where another worker has the job, and its files, by now: that is no failure
        message = _failure(work, error)
        work.end_journal(JobStatus.FAILED, failure=message)
        raise JobFailed(message) from error


def _plan(work: Work, validated: Validated) -> TrainingTask:
    """The training task of a job, on a base model whose network was tried."""
    work.journal.report("processing data")
    return task_of(
        work.house,
        work.record,
        base.tried(work.house.catalog, work.start),
        files=validated.files,
        encoded=validated.encoded,
        prompt_format=validated.learned,
        run_dir=work.run_dir / "checkpoints",
        output_dir=work.output_dir,
        seal=work.seal,
        notes=work.notes,
    )


def _train(work: Work, task: TrainingTask, reporter: JobReporter) -> TrainingResult:
    """The result of a run that came to its end. Raises StopRequested, Interrupted, and what training raises."""
    result = _train_alone(work, task, reporter.hooks())
    if result.status == "stopped":
        work.job.check()
        raise StopRequested(f"{work.job.arn}: it was asked to stop.")
    return result


def _train_alone(work: Work, task: TrainingTask, hooks: Hooks) -> TrainingResult:
    try:
        return _STAGES[work.customization](task, hooks, devices=work.house.settings.devices)
    except RankLostError as lost:
        # As if the whole worker had died, most likely for the same want of memory: its successor takes the job up.
        logs.tell(_log, "device lost", level=logging.WARNING, job=work.job.arn, note=lost.message)
        raise Interrupted(lost.message) from lost


def _search_of(work: Work) -> SearchPlan | None:
    document = work.record.document
    return search_space.read(work.base.hyperparameters, document["hyperParameters"], has_validation=True)


def _search(work: Work, task: TrainingTask, plan: SearchPlan, reporter: JobReporter) -> TrainingResult:
    """The result of the best trial, whose task becomes the reporter's. Raises as `_train` does."""
    found = search.search(work, task, plan, reporter, partial(_train_alone, work))
    if found is None:
        work.job.check()
        raise StopRequested(f"{work.job.arn}: it was asked to stop.")
    reporter.task, reporter.searched = found.task, found.values
    asked = work.record.document["hyperParameters"]
    work.job.note(**{hyperparameters.USED: hyperparameters.used(asked, found.task.hyper, searched=found.values)})
    return found.result


def _leave_a_model(work: Work, reporter: JobReporter, result: TrainingResult, validated: Validated) -> None:
    """Everything the job leaves behind, and then, in one transaction, the model's row and the job's end.

    It is begun anew where the database went away in the middle, be it at the commit.
    """
    model_arn = work.record.document["modelArn"]
    if work.house.store.resources.row(model_arn) is not None:
        return  # that commit had come through
    model_folder.take_up(work.house.models.folder(model_arn), number=work.job.number)
    task = reporter.task
    found = verdict.of(task, result)
    if found.outcome is Outcome.WORSE:
        logs.tell(_log, "worse than its base", level=logging.WARNING, job=work.job.arn, note=found.sentence)
    work.journal.finish(result, found)
    work.journal.end(
        JobStatus.COMPLETED.value,
        steps=result.steps,
        best_step=result.best_step,
        stopped_early=result.stopped_early,
        **found.members,
    )
    document = lineage.of_job(work, task, result, found, validated)
    lineage.leave(task, document, validated.known, work.artifacts, set_aside=reporter.set_aside)
    register(work, task, result, found, spoken=validated.spoken, searched=reporter.searched)


def _failure(work: Work, error: Exception) -> str:
    """The failure message for a customer. Of a run that diverged, it also says from where one may go on."""
    message = work.job.failure_of(error)
    if isinstance(error, DivergedError) and error.checkpoint:
        uri = work.artifacts.uri(f"{checkpoints.FOLDER}/{error.checkpoint}/")
        return f"{message} CreateCustomModel makes a custom model of it, from {uri}"
    return message
