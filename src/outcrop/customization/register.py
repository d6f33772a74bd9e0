"""The end of a completed job: the custom model's row and the job's last state, together or not at all."""

from outcrop import arn
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_models import kept
from outcrop.customization import hyperparameters
from outcrop.customization.prompting import format_of_model
from outcrop.customization.rooms import Rooms
from outcrop.customization.verdict import Verdict
from outcrop.jobs.states import JobStatus
from outcrop.store.resources import Resource
from outcrop.training.metrics import TrainingResult
from outcrop.training.task import TrainingTask

_KEPT = ("customizationType", "hyperParameters", "trainingDataConfig", "validationDataConfig", "outputDataConfig")


def register(
    house: Rooms,
    job: Resource,
    base: BaseModel,
    parent: Resource | None,
    task: TrainingTask,
    result: TrainingResult,
    verdict: Verdict,
) -> None:
    """The files of the model must be whole by now."""
    document = job.document
    told = {
        "trainingMetrics": {"trainingLoss": result.training_loss},
        "validationMetrics": [{"validationLoss": validator.custom.loss} for validator in result.validators],
        **verdict.failure_message,
    }
    foundation = arn.foundation_model(job.region, base.full_id)
    model = {
        **{member: document[member] for member in _KEPT},
        **told,
        hyperparameters.USED: hyperparameters.used(document["hyperParameters"], task.hyper),
        "jobArn": job.arn,
        "jobName": job.name,
        "baseId": base.id,
        "baseModelArn": parent.arn if parent else foundation,
        "foundationModelArn": foundation,
        **kept(format_of_model(task)),
    }
    with house.store.transaction():
        house.models.add(
            model_arn=document["modelArn"],
            name=document["outputModelName"],
            region=job.region,
            created=job.created,
            document=model,
        )
        tags = {tag["key"]: tag["value"] for tag in document["customModelTags"]}
        house.store.tags.put(document["modelArn"], tags)
        house.jobs.end(job.arn, JobStatus.COMPLETED, **told)
