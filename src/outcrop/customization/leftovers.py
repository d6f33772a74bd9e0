"""What an ended customization job leaves behind on the disk: nothing, but the files of the model it registered."""

import shutil

from outcrop.customization.context import Context
from outcrop.store.damage import Damaged, understood


def remove_leftovers(context: Context, job_arn: str) -> None:
    """Remove the data and checkpoints of the run, and the files of a model that is not on record."""
    shutil.rmtree(context.settings.runs / job_arn.rsplit("/", 1)[-1], ignore_errors=True)
    model_arn = _promised(context, job_arn)
    if model_arn is not None and context.store.resources.row(model_arn) is None:
        shutil.rmtree(context.models.folder(model_arn), ignore_errors=True)


def _promised(context: Context, job_arn: str) -> str | None:
    """The ARN that the job's model would have; None where the job's record does not tell."""
    try:
        with understood(job_arn):
            return str(context.jobs.get(job_arn).document["modelArn"])
    except Damaged:
        return None
