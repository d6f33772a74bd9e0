"""Endpoint configurations on record, and the plans that follow from them. What is not real is refused by its name."""

import secrets
from collections.abc import Mapping
from typing import Any

from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.buckets.names import parse_s3_uri
from outcrop.errors import Conflict, Invalid
from outcrop.sagemaker.hosting import models
from outcrop.sagemaker.hosting.containers import ModelContainer
from outcrop.sagemaker.hosting.plans import STARTUP_S, EndpointPlan, FleetPlan, VariantPlan, key_of
from outcrop.sagemaker.rooms import TrainingRooms
from outcrop.store.resources import Resource
from outcrop.store.tags import check_number, tags_of

KIND = "endpoint-config"
_MB = 1 << 20
_UNREAL = {
    "ShadowProductionVariants": "shadow variants are not built",
    "ExplainerConfig": "explanations are not built",
    "KmsKeyId": "sealing with a key of KMS is not built yet",
    "MetricsConfig": "metrics are written with every request here",
}
_UNREAL_VARIANT = {
    "CoreDumpConfig": "core dumps are not kept",
    "AcceleratorType": "there are no Elastic Inference accelerators",
    "CapacityReservationConfig": "there is one machine, and nothing to reserve",
}


def arn_of(house: TrainingRooms, region: str, name: str) -> str:
    return sagemaker_arn(region, house.account, f"{KIND}/{name.lower()}")


def create(house: TrainingRooms, params: Mapping[str, Any], *, region: str) -> str:
    """Check the request, and write the configuration's row; returns its ARN. Raises Refusal."""
    name = params["EndpointConfigName"]
    config_arn = arn_of(house, region, name)
    _check(house, params, region)
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in params.get("Tags", [])])
    check_number(config_arn, tags)
    now = house.clock.now()
    kept = {key: value for key, value in params.items() if key != "Tags"}
    row = Resource(
        arn=config_arn, kind=KIND, region=region, name=name, created=now, updated=now, document={"request": kept}
    )
    with house.store.transaction():
        try:
            house.store.resources.add(row)
        except Conflict as taken:  # by its name, or by one in other letters
            raise Invalid(f'Cannot create already existing endpoint configuration "{config_arn}".') from taken
        house.store.tags.put(config_arn, tags)
    return config_arn


def find(house: TrainingRooms, region: str, name: str) -> Resource:
    """The configuration of this name. Raises Invalid, in SageMaker's words."""
    found = house.store.resources.find(KIND, region, name)
    if found is None:
        raise Invalid(f'Could not find endpoint configuration "{arn_of(house, region, name)}".')
    return found


def plan_of(house: TrainingRooms, config: Resource) -> EndpointPlan:
    """The plan of an endpoint with this configuration, its fleets new. Raises Invalid for a model that is gone."""
    request = config.document["request"]
    variants = [_variant(house, config.region, each) for each in request["ProductionVariants"]]
    return EndpointPlan(
        config_name=str(config.name),
        variants=tuple(variants),
        capture=request.get("DataCaptureConfig"),
        asynchronous=request.get("AsyncInferenceConfig"),
    )


def fleet_of(
    model: Resource,
    *,
    num_copies: int,
    startup_s: int = STARTUP_S,
    memory_bytes: int | None = None,
) -> FleetPlan:
    """A new fleet of a model."""
    request = model.document["request"]
    return FleetPlan(
        id=secrets.token_hex(6),
        model_name=str(model.name),
        model_arn=model.arn,
        model_key=key_of(model.arn, model.created),
        container=ModelContainer.from_document(model.document["container"]),
        role=request["ExecutionRoleArn"],
        isolated=bool(request.get("EnableNetworkIsolation")),
        num_copies=num_copies,
        startup_s=startup_s,
        memory_bytes=memory_bytes,
    )


def _variant(house: TrainingRooms, region: str, asked: Mapping[str, Any]) -> VariantPlan:
    serverless = asked.get("ServerlessConfig")
    fleet = None
    if asked.get("ModelName"):
        fleet = fleet_of(
            models.find(house, region, asked["ModelName"]),
            num_copies=1 if serverless else asked["InitialInstanceCount"],
            startup_s=asked.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_S),
            memory_bytes=serverless["MemorySizeInMB"] * _MB if serverless else None,
        )
    return VariantPlan(
        name=asked["VariantName"],
        weight=asked.get("InitialVariantWeight", 1.0),
        instance_type=asked.get("InstanceType"),
        max_concurrency=serverless["MaxConcurrency"] if serverless else None,
        serverless=serverless,
        managed=asked.get("ManagedInstanceScaling"),
        fleet=fleet,
    )


def _check(house: TrainingRooms, params: Mapping[str, Any], region: str) -> None:
    """Raises Invalid for what would not be done as the request says."""
    for member, why in _UNREAL.items():
        if params.get(member):
            raise Invalid(f"{member}: {why}. Leave it out.")
    names = [each["VariantName"] for each in params["ProductionVariants"]]
    if len(set(names)) < len(names):
        raise Invalid("ProductionVariants: two have the same VariantName. Give each a name of its own.")
    for number, variant in enumerate(params["ProductionVariants"], start=1):
        _check_variant(house, variant, f"ProductionVariants.{number}.member", region)
    has_models = {bool(each.get("ModelName")) for each in params["ProductionVariants"]}
    if len(has_models) > 1:
        raise Invalid(
            "ProductionVariants: some have a ModelName and some have none. Either each variant has a model, or "
            "inference components bring the models of all."
        )
    if not has_models.pop() and not params.get("ExecutionRoleArn"):
        raise Invalid("ExecutionRoleArn: missing. An endpoint for inference components needs a role.")
    if params.get("AsyncInferenceConfig", {}).get("OutputConfig", {}).get("KmsKeyId"):
        raise Invalid(
            "AsyncInferenceConfig.OutputConfig.KmsKeyId: sealing with a key of KMS is not built yet. Leave it out."
        )
    notified = params.get("AsyncInferenceConfig", {}).get("OutputConfig", {}).get("NotificationConfig")
    if notified:
        raise Invalid("AsyncInferenceConfig.OutputConfig.NotificationConfig: there is no SNS here. Leave it out.")
    if params.get("DataCaptureConfig", {}).get("EnableCapture"):
        parse_s3_uri(params["DataCaptureConfig"]["DestinationS3Uri"])
    if params.get("DataCaptureConfig", {}).get("KmsKeyId"):
        raise Invalid("DataCaptureConfig.KmsKeyId: sealing with a key of KMS is not built yet. Leave it out.")


def _check_variant(house: TrainingRooms, variant: Mapping[str, Any], member: str, region: str) -> None:
    for name, why in _UNREAL_VARIANT.items():
        if variant.get(name):
            raise Invalid(f"{member}.{name}: {why}. Leave it out.")
    if variant.get("ModelName"):
        models.find(house, region, variant["ModelName"])
    if "ServerlessConfig" in variant:
        if not variant.get("ModelName"):
            raise Invalid(f"{member}.ModelName: missing. A serverless variant has a model.")
        if variant.get("InstanceType") or variant.get("InitialInstanceCount"):
            raise Invalid(f"{member}: ServerlessConfig stands beside InstanceType or InitialInstanceCount. Give one.")
        if variant["ServerlessConfig"].get("ProvisionedConcurrency"):
            raise Invalid(f"{member}.ServerlessConfig.ProvisionedConcurrency: not built. Leave it out.")
    elif not variant.get("InstanceType"):
        raise Invalid(f"{member}.InstanceType: missing. Name one, or give a ServerlessConfig.")
    elif "InitialInstanceCount" not in variant:
        raise Invalid(f"{member}.InitialInstanceCount: missing. Say how many instances the variant has.")
