"""Custom models on record: a name is given once, and a completed job ends together with its model's row."""

from outcrop import arn
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_models import kept
from outcrop.customization import hyperparameters
from outcrop.customization.prompting import format_of_model
from outcrop.customization.rooms import Rooms
from outcrop.customization.verdict import Verdict
from outcrop.errors import Invalid
from outcrop.jobs import jobs
from outcrop.jobs.states import RUNNING, JobStatus
from outcrop.store.resources import Resource
from outcrop.training.metrics import TrainingResult
from outcrop.training.task import TrainingTask

_KEPT = ("customizationType", "hyperParameters", "trainingDataConfig", "validationDataConfig", "outputDataConfig")


def check_model_name(house: Rooms, name: str, region: str) -> None:
    """Raises Invalid for a name that a custom model has, or that a running job has promised to its own."""
    if house.models.look(region, name) is not None or _is_promised(house, name, region):
        raise Invalid(f"The provided custom model name {name} is currently in use. Choose another name.")


def register(
    house: Rooms,
    job: Resource,
    base: BaseModel,
    parent: Resource | None,
    task: TrainingTask,
    result: TrainingResult,
    verdict: Verdict,
) -> None:
    """Write the model's row and end its job, together or not at all; the model's files must be whole by now."""
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


def _is_promised(house: Rooms, name: str, region: str) -> bool:
    running = house.store.resources.in_states(jobs.KIND, RUNNING)
    return any(job.document.get("outputModelName") == name for job in running if job.region == region)
