"""Models of SageMaker: create, describe, list, delete."""

from typing import Any

from outcrop.api.bedrock.listing import told
from outcrop.api.door.call import Answered, Call, Derived, Handler, quick
from outcrop.api.sagemaker.listing import page
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.sagemaker.hosting import models
from outcrop.store.resources import Resource, Row

_ECHOED = ("PrimaryContainer", "Containers", "InferenceExecutionConfig", "ExecutionRoleArn", "VpcConfig")


def create_model(house: House, call: Call) -> Answered:
    return {"ModelArn": models.create(house, call.params, region=call.region)}


@quick
def describe_model(house: House, call: Call) -> Answered:
    row = _row(house, call)
    return Derived(row, lambda: told(row.resource(), _model))


def list_models(house: House, call: Call) -> Answered:
    return page(house, call, models.KIND, _summary, into="Models")


def delete_model(house: House, call: Call) -> Answered:
    row = _row(house, call)
    with house.store.transaction():
        house.store.resources.remove(row.arn)
        house.store.tags.clear(row.arn)
    return {}


def _row(house: House, call: Call) -> Row:
    name = call.params["ModelName"]
    row = house.store.resources.row_named(models.KIND, call.region, name)
    if row is None:
        raise Invalid(f'Could not find model "{models.arn_of(house, call.region, name)}".')
    return row


def _model(model: Resource) -> dict[str, Any]:
    request = model.document["request"]
    return {
        **{member: request.get(member) for member in _ECHOED},
        "EnableNetworkIsolation": bool(request.get("EnableNetworkIsolation")),
        **_summary(model),
    }


def _summary(model: Resource) -> dict[str, Any]:
    return {"ModelName": model.name, "ModelArn": model.arn, "CreationTime": model.created}


OPERATIONS: dict[str, Handler] = {
    "CreateModel": create_model,
    "DescribeModel": describe_model,
    "ListModels": list_models,
    "DeleteModel": delete_model,
}
