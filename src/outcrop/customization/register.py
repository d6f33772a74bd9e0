"""The end of a completed job: the custom model's files, its row and the job's last state, in one transaction."""

from collections.abc import Mapping

from outcrop import arn
from outcrop.catalog.custom_models import kept
from outcrop.customization.choices import hyperparameters
from outcrop.customization.output import model_folder
from outcrop.customization.states import JobStatus
from outcrop.customization.verdict import Verdict
from outcrop.customization.work import Work
from outcrop.keys.sealed_records import SEAL
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.training.metrics import TrainingResult
from outcrop.training.task import TrainingTask

_KEPT = ("customizationType", "hyperParameters", "trainingDataConfig", "validationDataConfig", "outputDataConfig")


def register(
    work: Work,
    task: TrainingTask,
    result: TrainingResult,
    verdict: Verdict,
    *,
    spoken: PromptFormat,
    searched: Mapping[str, str],
) -> None:
    """The files of the model must be whole by now; `spoken` is the form in which it is spoken to.

    `searched` are the hyperparameters that a search has chosen for it.
    """
    house, record = work.house, work.record
    document = record.document
    told = {
        "trainingMetrics": {"trainingLoss": result.training_loss},
        "validationMetrics": [{"validationLoss": validator.custom.loss} for validator in result.validators],
        **verdict.failure_message,
    }
    foundation = arn.foundation_model(record.region, work.base.full_id)
    parent = work.start.parent
    model = {
        **{member: document[member] for member in _KEPT},
        **told,
        hyperparameters.USED: hyperparameters.used(document["hyperParameters"], task.hyper, searched=searched),
        "jobArn": record.arn,
        "jobName": record.name,
        "baseId": work.base.id,
        "baseModelArn": parent.arn if parent else foundation,
        "foundationModelArn": foundation,
        **kept(spoken),
        **({SEAL: document[SEAL]} if SEAL in document else {}),
    }
    with house.store.transaction():
        model_folder.put_in_place(task.output_dir, house.models.folder(document["modelArn"]))
        house.models.add(
            model_arn=document["modelArn"],
            name=document["outputModelName"],
            region=record.region,
            created=record.created,
            document=model,
        )
        tags = {tag["key"]: tag["value"] for tag in document["customModelTags"]}
        house.store.tags.put(document["modelArn"], tags)
        work.job.end(JobStatus.COMPLETED, **told)
