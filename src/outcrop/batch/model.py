"""The model of a batch job: what jobs can ask, less what batch inference does not take.

Embedding models and rerankers are taken by InvokeModel; models on other servers are refused by name.
"""

from outcrop.access.needs.named import Named
from outcrop.batch.answering import InvocationType
from outcrop.batch.rooms import BatchRooms
from outcrop.catalog.base_model import BaseModel
from outcrop.errors import Invalid
from outcrop.invocation.background import models
from outcrop.invocation.resolve import NO_TEXT
from outcrop.invocation.target import EncoderTarget, RemoteTarget, Target
from outcrop.network.model_task import ModelTask
from outcrop.store.resources import Resource


def model_arn(
    house: BatchRooms, thing: Named, row: Resource | None, *, model_id: str, region: str, form: InvocationType
) -> str:
    """The ARN of the model that a request names. Raises Invalid, NotFound for what cannot be invoked in this form."""
    if row is None and isinstance(thing.foundation, BaseModel):
        _check_form(thing.foundation, model_id, form)
    return models.model_arn(house, thing, row, model_id=model_id, region=region)


def _check_form(model: BaseModel, model_id: str, form: InvocationType) -> None:
    if model.remote is not None:
        raise Invalid(_remote(model_id))
    if form is InvocationType.CONVERSE and model.task is not ModelTask.TEXT:
        raise Invalid(NO_TEXT)


def _remote(model_id: str) -> str:
    return (
        f"Batch inference with remote models ({model_id} is one) is not built in Outcrop yet. Use a model "
        "of this machine, or that server's own batch inference."
    )


def target_of(house: BatchRooms, model: str) -> Target | EncoderTarget:
    """The target of a job's model now; its engine is ordered where it does not run. Raises Refusal."""
    found = models.target_of(house, model)
    if isinstance(found, RemoteTarget):
        raise Invalid(_remote(model))
    return found
