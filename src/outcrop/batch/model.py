"""The model of a batch job: named in the request, kept as an ARN, and found again when it runs.

A foundation model, a custom model (which needs no deployment here), and whatever else can be invoked: deployments,
provisioned throughput, imported models, and, by InvokeModel, embedding models and rerankers.
"""

from dataclasses import replace

from outcrop import arn as arns
from outcrop.access.needs.bedrock import MODELS
from outcrop.access.needs.named import FOUNDATION, Named
from outcrop.access.policies.evaluation import Decision
from outcrop.batch.answering import AnyTarget, InvocationType
from outcrop.batch.rooms import BatchRooms
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_model_states import KIND as CUSTOM_MODEL
from outcrop.deployments.states import ON_DEMAND, SERVING
from outcrop.errors import Invalid, NotFound
from outcrop.invocation.resolve import NO_TEXT
from outcrop.invocation.target import RemoteTarget, Target
from outcrop.network.model_task import ModelTask
from outcrop.store.resources import Resource

_INVOKED = MODELS["InvokeModel"][1]
"Kinds of what can be invoked."


def model_arn(
    house: BatchRooms, thing: Named, row: Resource | None, *, model_id: str, region: str, form: InvocationType
) -> str:
    """The ARN of the model that a request names. Raises Invalid, NotFound for what cannot be invoked in this form."""
    if row is not None:
        return row.arn
    if thing.foundation is None and thing.kind in _INVOKED and thing.kind != FOUNDATION:
        raise NotFound(f"The {thing.kind.replace('-', ' ')} {model_id} was not found.")
    if isinstance(thing.foundation, BaseModel):
        _check_form(thing.foundation, model_id, form)
    return arns.foundation_model(region, house.catalog.with_weights(thing.foundation, model_id).id)


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


def check_may_invoke(house: BatchRooms, role_arn: str, model: str) -> None:
    """Raises Invalid, in Bedrock's sentence, for a role that does not allow to invoke the model."""
    region = {"aws:RequestedRegion": parsed.region} if (parsed := arns.parse(model)) is not None else {}
    if house.access.role_may(role_arn, "bedrock:InvokeModel", model, region) is not Decision.ALLOWED:
        raise Invalid(
            f"Customer doesn't have permissions to invokeModel (the role {role_arn} does not allow bedrock:InvokeModel "
            f"on {model}; allow it with iam.put_role_policy)"
        )


def target_of(house: BatchRooms, model: str) -> AnyTarget:
    """The target of a job's model now; its engine is ordered where it does not run. Raises Refusal."""
    row = house.store.resources.get(model)
    thing = _named(house, model)
    if row is not None and row.kind == CUSTOM_MODEL:
        thing, row = _as_if_deployed(row)
    found = house.targets.find(model, thing, row)
    if isinstance(found, RemoteTarget):
        raise Invalid(_remote(model))
    return replace(found, background=True) if isinstance(found, Target) else found


def _named(house: BatchRooms, model: str) -> Named:
    parsed = arns.parse(model)
    kind = parsed.kind if parsed is not None else ""
    found = house.catalog.find(model) if kind == FOUNDATION else None
    foundation = found if isinstance(found, BaseModel) else None
    return Named(kind=kind, arn=model, is_known=foundation is not None or kind != FOUNDATION, foundation=foundation)


def _as_if_deployed(model: Resource) -> tuple[Named, Resource]:
    """A custom model as a deployment of it would be, on no record: batch jobs need none."""
    document = {"modelArn": model.arn, "desiredModelArn": model.arn}
    row = replace(model, kind=ON_DEMAND, status=SERVING[ON_DEMAND], document=document)
    return Named(kind=ON_DEMAND, arn=model.arn, is_known=True), row
