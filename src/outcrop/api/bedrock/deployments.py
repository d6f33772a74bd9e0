"""Custom model deployments: on demand, paid by nobody."""

from typing import Any

from outcrop.api.bedrock.listing import page, summaries, told
from outcrop.api.bedrock.named import look, resource_of
from outcrop.api.door.call import (
    Answered,
    Call,
    Handler,
    quick,
)
from outcrop.catalog.custom_models import check_active
from outcrop.deployments import precision
from outcrop.deployments.records import generation
from outcrop.deployments.states import ON_DEMAND, SERVING, UPDATING
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.store.resources import Resource
from outcrop.store.tags import tags_of

# An updating deployment is Active all the while; `updateDetails` tells of the update.
_SHOWN_AS = {UPDATING: SERVING[ON_DEMAND]}


def create_custom_model_deployment(house: House, call: Call) -> Answered:
    params = call.params
    tags = tags_of("tags", params.get("tags"))

    def create() -> dict[str, Any]:
        row = house.deployments.create(
            ON_DEMAND,
            name=params["modelDeploymentName"],
            region=call.region,
            account=house.account,
            model_arn=_existing_model(house, call),
            details={"description": params.get("description"), **precision.details_of(tags)},
        )
        house.store.tags.put(row.arn, tags)
        return {"customModelDeploymentArn": row.arn}

    token = call.params.get("clientRequestToken")
    return house.store.idempotency.once(call.token_scope, token, call.params, create)


@quick
def get_custom_model_deployment(house: House, call: Call) -> Answered:
    return told(_find(house, call), _members)


def _members(row: Resource) -> dict[str, Any]:
    return {
        "customModelDeploymentArn": row.arn,
        "modelDeploymentName": row.name,
        "modelArn": row.document["modelArn"],
        "createdAt": row.created,
        "lastUpdatedAt": row.updated,
        "status": _status(row),
        "description": row.document.get("description"),
        "updateDetails": _update_details(row),
        "failureMessage": row.document.get("failureMessage"),
    }


def list_custom_model_deployments(house: House, call: Call) -> Answered:
    found = page(
        house,
        call,
        ON_DEMAND,
        after="createdAfter",
        before="createdBefore",
        shown_as=_SHOWN_AS,
        equals={"modelArn": call.params.get("modelArnEquals")},
    )
    return {"modelDeploymentSummaries": summaries(found, _summary), "nextToken": found.next_token}


def update_custom_model_deployment(house: House, call: Call) -> Answered:
    row = _find(house, call)
    model_arn = _existing_model(house, call)
    house.deployments.point_to(row, model_arn)
    return {"customModelDeploymentArn": row.arn}


def delete_custom_model_deployment(house: House, call: Call) -> Answered:
    house.deployments.remove(_find(house, call))
    return {}


def _find(house: House, call: Call) -> Resource:
    return resource_of(house, call, "customModelDeploymentIdentifier", "custom model deployment")


def _existing_model(house: House, call: Call) -> str:
    model = look(house, call, "modelArn")
    if model is None:
        raise Invalid(f"modelArn: there is no custom model {call.params['modelArn']}.")
    check_active(model)
    return model.arn


def _status(row: Resource) -> str:
    return _SHOWN_AS.get(row.status, row.status)


def _update_details(row: Resource) -> dict[str, str] | None:
    desired, failure = row.document["desiredModelArn"], row.document.get("failureMessage")
    if row.status == UPDATING:
        return {"modelArn": desired, "updateStatus": "Updating"}
    if generation(row) == 1:
        return None
    return {"modelArn": desired, "updateStatus": "UpdateFailed" if failure else "UpdateCompleted"}


def _summary(row: Resource) -> dict[str, Any]:
    return {
        "customModelDeploymentArn": row.arn,
        "customModelDeploymentName": row.name,
        "modelArn": row.document["modelArn"],
        "createdAt": row.created,
        "status": _status(row),
        "lastUpdatedAt": row.updated,
        "failureMessage": row.document.get("failureMessage"),
    }


OPERATIONS: dict[str, Handler] = {
    "CreateCustomModelDeployment": create_custom_model_deployment,
    "GetCustomModelDeployment": get_custom_model_deployment,
    "ListCustomModelDeployments": list_custom_model_deployments,
    "UpdateCustomModelDeployment": update_custom_model_deployment,
    "DeleteCustomModelDeployment": delete_custom_model_deployment,
}
