"""Models that jobs ask: named in a request, kept as ARNs, and found again when the job runs.

A foundation model, a custom model (which needs no deployment here), and whatever else can be invoked: deployments,
provisioned throughput, imported models.
"""

from dataclasses import replace
from typing import Protocol

from outcrop import arn as arns
from outcrop.access.access import Access
from outcrop.access.needs import bedrock
from outcrop.access.needs.named import FOUNDATION, Named
from outcrop.access.policies.evaluation import Decision
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_model_states import KIND as CUSTOM_MODEL
from outcrop.deployments.records import model_arns
from outcrop.deployments.states import ON_DEMAND, SERVING
from outcrop.errors import Invalid, NotFound
from outcrop.invocation.resolve import Targets
from outcrop.invocation.target import EncoderTarget, Target, TextTarget
from outcrop.keys.envelopes import WrappedKey
from outcrop.keys.sealed_records import sealed_by
from outcrop.store.resources import Resource
from outcrop.store.store import Store

INVOKED = bedrock.MODELS["InvokeModel"][1]
"Kinds of what can be invoked."
AnyTarget = TextTarget | EncoderTarget


class RecordRooms(Protocol):
    """The records in which a model says that it is sealed."""

    @property
    def store(self) -> Store: ...


class ModelRooms(Protocol):
    """The rooms that finding a job's model touches."""

    @property
    def store(self) -> Store: ...

    @property
    def access(self) -> Access: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def targets(self) -> Targets: ...


def model_arn(house: ModelRooms, thing: Named, row: Resource | None, *, model_id: str, region: str) -> str:
    """The ARN of the model that a request names. Raises Invalid, NotFound for what cannot be invoked."""
    if row is not None:
        return row.arn
    if thing.foundation is None and thing.kind in INVOKED and thing.kind != FOUNDATION:
        raise NotFound(f"The {thing.kind.replace('-', ' ')} {model_id} was not found.")
    base = thing.foundation
    if isinstance(base, BaseModel) and base.remote is not None:
        return arns.foundation_model(region, base.id)
    return arns.foundation_model(region, house.catalog.with_weights(base, model_id).id)


def check_may_invoke(house: ModelRooms, role_arn: str, model: str) -> None:
    """Raises Invalid, in Bedrock's sentence, for a role that does not allow to invoke the model."""
    region = {"aws:RequestedRegion": parsed.region} if (parsed := arns.parse(model)) is not None else {}
    remote = {bedrock.REMOTE: "true" if is_remote(house, model) else "false"}
    if house.access.role_may(role_arn, "bedrock:InvokeModel", model, {**region, **remote}) is not Decision.ALLOWED:
        raise Invalid(
            f"Customer doesn't have permissions to invokeModel (the role {role_arn} does not allow bedrock:InvokeModel "
            f"on {model}; allow it with iam.put_role_policy)"
        )

    wrapped = seal_of(house, model)
    if wrapped is not None and wrapped.key_arn:
        key, pairs = wrapped.key_arn, wrapped.context
        verdict = house.access.role_may_use_key(role_arn, "Decrypt", key, service="bedrock", pairs=pairs)
        if verdict is not Decision.ALLOWED:
            raise Invalid(
                f"Customer doesn't have permissions to invokeModel (the model is sealed, and the role {role_arn} does "
                f"not allow kms:Decrypt on {key}; allow it with iam.put_role_policy)"
            )


def seal_of(house: RecordRooms, model: str) -> WrappedKey | None:
    """The data key that seals a job's model, still wrapped; of a deployment that of the model behind it."""
    row = house.store.resources.get(model)
    if row is not None and row.kind in SERVING:
        row = house.store.resources.get(model_arns(row)[0])
    return None if row is None else sealed_by(row.document)


def is_remote(house: ModelRooms, model: str) -> bool:
    """Whether asking the model with this ARN sends data to somebody else's server."""
    base = _foundation(house, model)
    return base is not None and base.remote is not None


def target_of(house: ModelRooms, model: str) -> AnyTarget:
    """The target of a job's model now; its engine is ordered where it does not run. Raises Refusal.

    Its requests give way to all others where the engine is one of ours.
    """
    row = house.store.resources.get(model)
    thing = _named(house, model)
    if row is not None and row.kind == CUSTOM_MODEL:
        thing, row = _as_if_deployed(row)
    found = house.targets.find(model, thing, row)
    return replace(found, background=True) if isinstance(found, Target) else found


def _named(house: ModelRooms, model: str) -> Named:
    foundation = _foundation(house, model)
    parsed = arns.parse(model)
    kind = parsed.kind if parsed is not None else ""
    return Named(kind=kind, arn=model, is_known=foundation is not None or kind != FOUNDATION, foundation=foundation)


def _foundation(house: ModelRooms, model: str) -> BaseModel | None:
    parsed = arns.parse(model)
    found = house.catalog.find(model) if parsed is not None and parsed.kind == FOUNDATION else None
    return found if isinstance(found, BaseModel) else None


def _as_if_deployed(model: Resource) -> tuple[Named, Resource]:
    """A custom model as a deployment of it would be, on no record: jobs need none."""
    document = {"modelArn": model.arn, "desiredModelArn": model.arn}
    row = replace(model, kind=ON_DEMAND, status=SERVING[ON_DEMAND], document=document)
    return Named(kind=ON_DEMAND, arn=model.arn, is_known=True), row
