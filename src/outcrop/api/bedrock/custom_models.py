"""Custom models: create from a checkpoint, get, list, delete."""

from functools import partial
from typing import Any

from outcrop.api.bedrock import model_keys
from outcrop.api.bedrock.listing import model_arn, page, summaries
from outcrop.api.bedrock.named import resource_of
from outcrop.api.door.call import (
    Answered,
    Call,
    Handler,
    quick,
)
from outcrop.catalog import custom_model_states
from outcrop.customization import imported
from outcrop.customization.choices import hyperparameters
from outcrop.deployments.model_removal import remove_model
from outcrop.house import House
from outcrop.keys.sealed_records import key_arn_of
from outcrop.store.resources import Resource

_ECHOED = (
    "jobArn",
    "jobName",
    "baseModelArn",
    "customizationType",
    "trainingDataConfig",
    "validationDataConfig",
    "outputDataConfig",
    "trainingMetrics",
    "validationMetrics",
    "failureMessage",
)


def create_custom_model(house: House, call: Call) -> Answered:
    created = imported.create(
        house,
        call.params,
        region=call.region,
        account=house.account,
        owner=call.caller.principal,
        authorize_key=model_keys.authorizing(house, call),
    )
    return {"modelArn": created}


@quick
def get_custom_model(house: House, call: Call) -> Answered:
    model = resource_of(house, call, "modelIdentifier", "custom model")
    return {
        "modelArn": model.arn,
        "modelName": model.name,
        "modelStatus": model.status,
        "creationTime": model.created,
        "modelKmsKeyArn": key_arn_of(model.document),
        **_hyperparameters(model),
        **{member: model.document[member] for member in _ECHOED if member in model.document},
    }


def _hyperparameters(model: Resource) -> dict[str, Any]:
    """None of a model that no job here has trained."""
    known = "hyperParameters" in model.document
    return {"hyperParameters": hyperparameters.shown(model.document)} if known else {}


def list_custom_models(house: House, call: Call) -> Answered:
    found = page(
        house,
        call,
        custom_model_states.KIND,
        status="modelStatus",
        equals={
            "baseModelArn": model_arn(house, call, "baseModelArnEquals"),
            "foundationModelArn": model_arn(house, call, "foundationModelArnEquals"),
        },
    )
    if not call.params.get("isOwned", True):
        return {"modelSummaries": []}  # every model here belongs to the one account, and none is shared with it
    return {"modelSummaries": summaries(found, partial(_summary, house)), "nextToken": found.next_token}


def delete_custom_model(house: House, call: Call) -> Answered:
    remove_model(house, resource_of(house, call, "modelIdentifier", "custom model"))
    return {}


def _summary(house: House, model: Resource) -> dict[str, Any]:
    base = house.catalog.find(model.document["baseId"])
    return {
        "modelArn": model.arn,
        "modelName": model.name,
        "creationTime": model.created,
        "baseModelArn": model.document["baseModelArn"],
        "baseModelName": base.id.split(":")[0] if base else model.document["baseId"].split(":")[0],
        "customizationType": model.document["customizationType"],
        "ownerAccountId": house.account,
        "modelStatus": model.status,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateCustomModel": create_custom_model,
    "GetCustomModel": get_custom_model,
    "ListCustomModels": list_custom_models,
    "DeleteCustomModel": delete_custom_model,
}
