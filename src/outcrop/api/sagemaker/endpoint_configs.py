"""Endpoint configurations: create, describe, list, delete."""

from typing import Any

from outcrop.api.bedrock.listing import told
from outcrop.api.door.call import Answered, Call, Derived, Handler, quick
from outcrop.api.sagemaker.listing import page
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.sagemaker.hosting import configs
from outcrop.store.resources import Resource, Row

_ECHOED = ("ProductionVariants", "DataCaptureConfig", "AsyncInferenceConfig", "ExecutionRoleArn", "VpcConfig")


def create_endpoint_config(house: House, call: Call) -> Answered:
    return {"EndpointConfigArn": configs.create(house, call.params, region=call.region)}


@quick
def describe_endpoint_config(house: House, call: Call) -> Answered:
    row = _row(house, call)
    return Derived(row, lambda: told(row.resource(), _config))


def list_endpoint_configs(house: House, call: Call) -> Answered:
    return page(house, call, configs.KIND, _summary, into="EndpointConfigs")


def delete_endpoint_config(house: House, call: Call) -> Answered:
    row = _row(house, call)
    with house.store.transaction():
        house.store.resources.remove(row.arn)
        house.store.tags.clear(row.arn)
    return {}


def _row(house: House, call: Call) -> Row:
    name = call.params["EndpointConfigName"]
    row = house.store.resources.row_named(configs.KIND, call.region, name)
    if row is None:
        raise Invalid(f'Could not find endpoint configuration "{configs.arn_of(house, call.region, name)}".')
    return row


def _config(config: Resource) -> dict[str, Any]:
    request = config.document["request"]
    return {
        **{member: request.get(member) for member in _ECHOED},
        "EnableNetworkIsolation": bool(request.get("EnableNetworkIsolation")),
        **_summary(config),
    }


def _summary(config: Resource) -> dict[str, Any]:
    return {
        "EndpointConfigName": config.name,
        "EndpointConfigArn": config.arn,
        "CreationTime": config.created,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateEndpointConfig": create_endpoint_config,
    "DescribeEndpointConfig": describe_endpoint_config,
    "ListEndpointConfigs": list_endpoint_configs,
    "DeleteEndpointConfig": delete_endpoint_config,
}
