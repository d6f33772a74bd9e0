"""Provisioned model throughput: model units of a custom model, or of a foundation model."""

from typing import Any

from outcrop import arn
from outcrop.api.bedrock.listing import (
    model_arn,
    moment,
    page,
    summaries,
    told,
)
from outcrop.api.bedrock.named import look, resource_of
from outcrop.api.door.call import (
    Answered,
    Call,
    Handler,
    quick,
)
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_models import check_active
from outcrop.deployments import precision
from outcrop.deployments.commitments import check_term, commitment
from outcrop.deployments.states import CREATING, THROUGHPUT, UPDATING
from outcrop.errors import Conflict, Invalid
from outcrop.house import House
from outcrop.network.model_task import ModelTask
from outcrop.store.resources import Resource
from outcrop.store.tags import tags_of


def create_provisioned_model_throughput(house: House, call: Call) -> Answered:
    params = call.params
    tags = tags_of("tags", params.get("tags"))
    term = commitment(params.get("commitmentDuration"), now=house.clock.now())

    def create() -> dict[str, Any]:
        desired, foundation_arn = _model(house, call, "modelId")
        house.units.check_free(params["modelUnits"])
        row = house.deployments.create(
            THROUGHPUT,
            name=params["provisionedModelName"],
            region=call.region,
            account=house.account,
            model_arn=desired,
            details={
                "foundationModelArn": foundation_arn,
                "modelUnits": params["modelUnits"],
                "ofBaseModel": desired == foundation_arn,
                **precision.details_of(tags),
                **term,
            },
        )
        house.store.tags.put(row.arn, tags)
        return {"provisionedModelArn": row.arn}

    token = call.params.get("clientRequestToken")
    return house.store.idempotency.once(call.token_scope, token, call.params, create)


@quick
def get_provisioned_model_throughput(house: House, call: Call) -> Answered:
    row = _find(house, call)
    return {**told(row, _members), "failureMessage": row.document.get("failureMessage")}


def list_provisioned_model_throughputs(house: House, call: Call) -> Answered:
    found = page(house, call, THROUGHPUT, equals={"modelArn": model_arn(house, call, "modelArnEquals")})
    return {"provisionedModelSummaries": summaries(found, _members), "nextToken": found.next_token}


def update_provisioned_model_throughput(house: House, call: Call) -> Answered:
    """A custom model may give way to its base model or another custom model of it, and come back.

    Units and term cannot be changed: the request has no members for them.
    """
    row = _find(house, call)
    desired = row.document["desiredModelArn"]
    if "desiredModelId" in call.params:
        if row.document.get("ofBaseModel"):
            raise Invalid(
                f"desiredModelId: {row.name} was made for a base model, and such a throughput cannot change its model. "
                "Make another one for the custom model."
            )
        desired, foundation_arn = _model(house, call, "desiredModelId")
        if foundation_arn != row.document["foundationModelArn"]:
            raise Invalid(f"desiredModelId: {desired} is not of the same base model as {row.name}.")
    house.deployments.point_to(row, desired, name=call.params.get("desiredProvisionedModelName"))
    return {}


def delete_provisioned_model_throughput(house: House, call: Call) -> Answered:
    row = _find(house, call)
    check_term(row, now=house.clock.now())
    if row.status == UPDATING:
        raise Conflict(f"{row.name}: it is Updating. Wait until it is InService, then delete it.")
    house.deployments.remove(row)
    return {}


def _find(house: House, call: Call) -> Resource:
    return resource_of(house, call, "provisionedModelId", "provisioned model throughput")


def _model(house: House, call: Call, member: str) -> tuple[str, str]:
    """ARNs of the model and of the foundation model below it."""
    custom = look(house, call, member)
    if custom is not None:
        check_active(custom)
        return custom.arn, custom.document["foundationModelArn"]
    foundation = arn.foundation_model(call.region, _base(house, call, member).full_id)
    return foundation, foundation


def _base(house: House, call: Call, member: str) -> BaseModel:
    base = house.catalog.with_weights(house.access.named(call, member).foundation, call.params[member])
    if base.task is not ModelTask.TEXT:
        raise Invalid(f"{member}: {base.id} does not write text, and is invoked on demand only. Name a text model.")
    return base


def _members(row: Resource) -> dict[str, Any]:
    units = int(row.document["modelUnits"])  # of a damaged row it may be anything
    return {
        "provisionedModelName": row.name,
        "provisionedModelArn": row.arn,
        "modelArn": row.document["modelArn"],
        "desiredModelArn": row.document["desiredModelArn"],
        "foundationModelArn": row.document["foundationModelArn"],
        "modelUnits": 0 if row.status == CREATING else units,
        "desiredModelUnits": units,
        "status": row.status,
        "commitmentDuration": row.document["commitmentDuration"],
        "commitmentExpirationTime": moment(row.document["commitmentExpirationTime"]),
        "creationTime": row.created,
        "lastModifiedTime": row.updated,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateProvisionedModelThroughput": create_provisioned_model_throughput,
    "GetProvisionedModelThroughput": get_provisioned_model_throughput,
    "ListProvisionedModelThroughputs": list_provisioned_model_throughputs,
    "UpdateProvisionedModelThroughput": update_provisioned_model_throughput,
    "DeleteProvisionedModelThroughput": delete_provisioned_model_throughput,
}
