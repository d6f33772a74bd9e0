"""Endpoints: create, describe, list, update, delete."""

from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.sagemaker.listing import page
from outcrop.house import House
from outcrop.sagemaker.hosting import changes
from outcrop.sagemaker.hosting.endpoints import KIND, EndpointRecord, record_of
from outcrop.sagemaker.hosting.plans import EndpointPlan, VariantPlan
from outcrop.sagemaker.hosting.states import IN_CHANGE, EndpointStatus
from outcrop.store.resources import Resource


def create_endpoint(house: House, call: Call) -> Answered:
    created = changes.create(house, call.params, region=call.region, owner=call.caller.principal)
    return {"EndpointArn": created}


def describe_endpoint(house: House, call: Call) -> Answered:
    return _endpoint(changes.find(house, call.region, call.params["EndpointName"]))


def list_endpoints(house: House, call: Call) -> Answered:
    return page(house, call, KIND, _summary, into="Endpoints")


def update_endpoint(house: House, call: Call) -> Answered:
    updated = changes.update(house, call.params, region=call.region, owner=call.caller.principal)
    return {"EndpointArn": updated}


def update_endpoint_weights_and_capacities(house: House, call: Call) -> Answered:
    updated = changes.set_capacities(house, call.params, region=call.region, owner=call.caller.principal)
    return {"EndpointArn": updated}


def delete_endpoint(house: House, call: Call) -> Answered:
    changes.delete(house, region=call.region, name=call.params["EndpointName"])
    return {}


def members_of(row: Resource) -> dict[str, Any]:
    """Everything that is told of an endpoint."""
    return _endpoint(record_of(row))


def _endpoint(record: EndpointRecord) -> dict[str, Any]:
    row = record.row
    shown = record.serving if record.serving is not None else record.desired
    changing = record.status in IN_CHANGE and record.serving is not None
    return {
        "EndpointName": row.name,
        "EndpointArn": row.arn,
        "EndpointConfigName": shown.config_name,
        "ProductionVariants": [_variant(record, variant) for variant in shown.variants],
        "DataCaptureConfig": _capture(shown),
        "EndpointStatus": record.status,
        "FailureReason": record.failure,
        "CreationTime": row.created,
        "LastModifiedTime": row.updated,
        "AsyncInferenceConfig": shown.asynchronous,
        "PendingDeploymentSummary": _pending(record) if changing else None,
    }


def _variant(record: EndpointRecord, variant: VariantPlan) -> dict[str, Any]:
    """A variant as it serves; what is asked of it stands beside it."""
    wanted = next((each for each in record.desired.variants if each.name == variant.name), variant)
    fleet, serves = variant.fleet, record.serving is not None
    counts: dict[str, Any] = {}
    if variant.serverless is None and fleet is not None:
        counts = {
            "CurrentInstanceCount": fleet.num_copies if serves else 0,
            "DesiredInstanceCount": wanted.fleet.num_copies if wanted.fleet is not None else fleet.num_copies,
        }
    return {
        "VariantName": variant.name,
        "DeployedImages": [] if fleet is None else _images(record, fleet.container.image),
        "CurrentWeight": variant.weight if serves else None,
        "DesiredWeight": wanted.weight,
        **counts,
        "CurrentServerlessConfig": variant.serverless if serves else None,
        "DesiredServerlessConfig": wanted.serverless,
        "ManagedInstanceScaling": variant.managed,
    }


def _images(record: EndpointRecord, image: str) -> list[dict[str, Any]]:
    return [{"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": record.row.created}]


def _capture(plan: EndpointPlan) -> dict[str, Any] | None:
    if plan.capture is None:
        return None
    on = bool(plan.capture.get("EnableCapture"))
    return {
        "EnableCapture": on,
        "CaptureStatus": "Started" if on else "Stopped",
        "CurrentSamplingPercentage": plan.capture["InitialSamplingPercentage"],
        "DestinationS3Uri": plan.capture["DestinationS3Uri"],
        "KmsKeyId": "",
    }


def _pending(record: EndpointRecord) -> dict[str, Any]:
    return {
        "EndpointConfigName": record.desired.config_name,
        "StartTime": record.row.updated,
        "ProductionVariants": [
            {
                "VariantName": variant.name,
                "DeployedImages": [] if variant.fleet is None else _images(record, variant.fleet.container.image),
                "DesiredWeight": variant.weight,
                **({} if variant.fleet is None else {"DesiredInstanceCount": variant.fleet.num_copies}),
                "InstanceType": variant.instance_type,
            }
            for variant in record.desired.variants
        ],
    }


def _summary(row: Resource) -> dict[str, Any]:
    return {
        "EndpointName": row.name,
        "EndpointArn": row.arn,
        "CreationTime": row.created,
        "LastModifiedTime": row.updated,
        "EndpointStatus": EndpointStatus(record_of(row).status),
    }


OPERATIONS: dict[str, Handler] = {
    "CreateEndpoint": create_endpoint,
    "DescribeEndpoint": describe_endpoint,
    "ListEndpoints": list_endpoints,
    "UpdateEndpoint": update_endpoint,
    "UpdateEndpointWeightsAndCapacities": update_endpoint_weights_and_capacities,
    "DeleteEndpoint": delete_endpoint,
}
