"""Inference components: create, describe, list, update, delete."""

from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.sagemaker.listing import page
from outcrop.house import House
from outcrop.sagemaker.hosting import components
from outcrop.sagemaker.hosting.endpoints import COMPONENT, EndpointRecord, record_of
from outcrop.store.resources import Resource


def create_inference_component(house: House, call: Call) -> Answered:
    created = components.create(house, call.params, region=call.region, owner=call.caller.principal)
    return {"InferenceComponentArn": created}


def describe_inference_component(house: House, call: Call) -> Answered:
    return _component(components.find(house, call.region, call.params["InferenceComponentName"]))


def list_inference_components(house: House, call: Call) -> Answered:
    equals = {"endpointName": call.params.get("EndpointNameEquals"), "variant": call.params.get("VariantNameEquals")}
    return page(house, call, COMPONENT, _summary, into="InferenceComponents", equals=equals)


def update_inference_component(house: House, call: Call) -> Answered:
    updated = components.update(house, call.params, region=call.region, owner=call.caller.principal)
    return {"InferenceComponentArn": updated}


def update_inference_component_runtime_config(house: House, call: Call) -> Answered:
    record = components.find(house, call.region, call.params["InferenceComponentName"])
    count = call.params["DesiredRuntimeConfig"]["CopyCount"]
    return {"InferenceComponentArn": components.set_copies(house, record, count, call.caller.principal)}


def delete_inference_component(house: House, call: Call) -> Answered:
    components.delete(house, region=call.region, name=call.params["InferenceComponentName"])
    return {}


def _component(record: EndpointRecord) -> dict[str, Any]:
    row, document = record.row, record.row.document
    shown = (record.serving or record.desired).variants[0]
    wanted = record.desired.variants[0]
    return {
        **_summary(row),
        "FailureReason": record.failure,
        "Specification": _specification(
            record, document["specification"], shown.fleet.container.image if shown.fleet else None
        ),
        "RuntimeConfig": {
            "DesiredCopyCount": wanted.fleet.num_copies if wanted.fleet is not None else 0,
            "CurrentCopyCount": shown.fleet.num_copies if record.serving is not None and shown.fleet else 0,
        },
    }


def _specification(record: EndpointRecord, asked: dict[str, Any], image: str | None) -> dict[str, Any]:
    container = asked.get("Container")
    deployed = {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": record.row.created}
    told = {name: value for name, value in asked.items() if name != "Container"}
    if container is None:
        return told
    return {
        **told,
        "Container": {
            "DeployedImage": deployed,
            "ArtifactUrl": container.get("ArtifactUrl"),
            "Environment": container.get("Environment"),
        },
    }


def _summary(row: Resource) -> dict[str, Any]:
    record, document = record_of(row), row.document
    return {
        "InferenceComponentName": row.name,
        "InferenceComponentArn": row.arn,
        "EndpointName": document["endpointName"],
        "EndpointArn": document["endpointArn"],
        "VariantName": document["variant"],
        "InferenceComponentStatus": record.status,
        "CreationTime": row.created,
        "LastModifiedTime": row.updated,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateInferenceComponent": create_inference_component,
    "DescribeInferenceComponent": describe_inference_component,
    "ListInferenceComponents": list_inference_components,
    "UpdateInferenceComponent": update_inference_component,
    "UpdateInferenceComponentRuntimeConfig": update_inference_component_runtime_config,
    "DeleteInferenceComponent": delete_inference_component,
}
