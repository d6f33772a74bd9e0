"""Endpoints created, updated and deleted: the row, and the job that carries the change out, in one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from outcrop import arn
from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.errors import Invalid
from outcrop.sagemaker.hosting import configs
from outcrop.sagemaker.hosting.change_kind import KIND as CHANGE
from outcrop.sagemaker.hosting.endpoints import KIND, EndpointRecord, with_capacities
from outcrop.sagemaker.hosting.plans import EndpointPlan
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.store.tags import check_number, tags_of

_MOST_NAMED = 5
_AT_ONCE = "ALL_AT_ONCE"


def arn_of(house: HostingRooms, region: str, name: str) -> str:
    return sagemaker_arn(region, house.account, f"{KIND}/{name.lower()}")


def create(house: HostingRooms, params: Mapping[str, Any], *, region: str, owner: str) -> str:
    """Write the endpoint's row and the change that makes it serve; returns its ARN. Raises Invalid."""
    _check_deployment(params)
    name = params["EndpointName"]
    endpoint_arn = arn_of(house, region, name)
    plan = configs.plan_of(house, configs.find(house, region, params["EndpointConfigName"]))
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in params.get("Tags", [])])
    check_number(endpoint_arn, tags)
    with house.store.transaction():
        house.endpoints.add(endpoint_arn=endpoint_arn, name=name, region=region, plan=plan)
        house.store.tags.put(endpoint_arn, tags)
        add(house, endpoint_arn, 1, region=region, owner=owner)
    return endpoint_arn


def update(house: HostingRooms, params: Mapping[str, Any], *, region: str, owner: str) -> str:
    """Let an endpoint go over to another configuration. Raises Invalid."""
    _check_deployment(params)
    if params.get("RetainDeploymentConfig"):
        raise Invalid("RetainDeploymentConfig: everything new is let in at once, once it answers. Leave it out.")
    record = find(house, region, params["EndpointName"])
    plan = configs.plan_of(house, configs.find(house, region, params["EndpointConfigName"]))
    kept = {each["VariantPropertyType"] for each in params.get("ExcludeRetainedVariantProperties", [])}
    retains = bool(params.get("RetainAllVariantProperties"))

    def wanted(now: EndpointRecord) -> EndpointPlan:
        return _retaining(plan, now.desired, without=kept) if retains else plan

    return ask(house, record, wanted, owner=owner)


def set_capacities(house: HostingRooms, params: Mapping[str, Any], *, region: str, owner: str) -> str:
    """Change the weights of an endpoint's variants and the numbers of their instances. Raises Invalid."""
    record = find(house, region, params["EndpointName"])
    asked = params["DesiredWeightsAndCapacities"]
    known = {variant.name: variant for variant in record.desired.variants}
    for each in asked:
        variant = known.get(each["VariantName"])
        if variant is None:
            raise Invalid(f"DesiredWeightsAndCapacities: the endpoint has no variant {each['VariantName']!r}.")
        if "DesiredInstanceCount" in each and variant.serverless is not None:
            raise Invalid(f"DesiredInstanceCount: the variant {variant.name} is serverless and has no instances.")
    counts = {each["VariantName"]: each["DesiredInstanceCount"] for each in asked if "DesiredInstanceCount" in each}
    weights = {each["VariantName"]: each["DesiredWeight"] for each in asked if "DesiredWeight" in each}
    return ask(house, record, lambda now: with_capacities(now.desired, counts, weights), owner=owner)


def delete(house: HostingRooms, *, region: str, name: str) -> None:
    """Forget an endpoint, and let its processes end. Raises Invalid for one that still has components."""
    record = find(house, region, name)
    if components := house.endpoints.components(region, name):
        raise Invalid(
            f'Cannot delete endpoint "{record.row.arn}" while it has inference components. Delete '
            f"{', '.join(str(each.row.name) for each in components[:_MOST_NAMED])} first."
        )
    house.endpoints.remove(record.row.arn)


def find(house: HostingRooms, region: str, name: str) -> EndpointRecord:
    """The endpoint of this name. Raises Invalid, in SageMaker's words."""
    found = house.endpoints.find(region, name)
    if found is None:
        raise Invalid(f'Could not find endpoint "{arn_of(house, region, name)}".')
    return found


def ask(
    house: HostingRooms,
    record: EndpointRecord,
    plan: Callable[[EndpointRecord], EndpointPlan],
    *,
    owner: str,
    more: Mapping[str, Any] = {},
) -> str:
    """Ask an endpoint or a component for another plan; returns its ARN. `more` goes into its document with it.

    Raises Invalid.
    """
    with house.store.transaction():
        asked = house.endpoints.ask(record.row.arn, plan, more=more)
        add(house, asked.row.arn, asked.generation, region=asked.row.region, owner=owner)
    return record.row.arn


def add(house: HostingRooms, endpoint_arn: str, generation: int, *, region: str, owner: str) -> None:
    """Add the job that carries out what was asked of an endpoint, or of a component."""
    name = arn.new_id()
    house.jobs.add(
        CHANGE,
        job_arn=sagemaker_arn(region, house.account, f"{CHANGE.name}/{name}"),
        name=name,
        region=region,
        document={"endpointArn": endpoint_arn, "generation": generation},
        owner=owner,
    )


def _check_deployment(params: Mapping[str, Any]) -> None:
    """Raises Invalid for another way to let something new in than all of it at once."""
    asked = params.get("DeploymentConfig", {})
    routing = asked.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {}).get("Type", _AT_ONCE)
    if asked.get("RollingUpdatePolicy") or routing != _AT_ONCE:
        raise Invalid(f"DeploymentConfig: everything new is let in at once, once it answers. Give {_AT_ONCE}.")
    if asked.get("AutoRollbackConfiguration", {}).get("Alarms"):
        raise Invalid(
            "DeploymentConfig.AutoRollbackConfiguration: an endpoint goes back where something new does not answer, "
            "and not for alarms. Leave it out."
        )


def _retaining(plan: EndpointPlan, before: EndpointPlan, *, without: set[str]) -> EndpointPlan:
    """The plan with the weights, numbers of instances and capture that the endpoint had."""
    known = {variant.name: variant for variant in before.variants}
    variants = []
    for variant in plan.variants:
        old = known.get(variant.name)
        if old is not None and "DesiredWeight" not in without:
            variant = replace(variant, weight=old.weight)
        if old is not None and old.fleet and variant.fleet and "DesiredInstanceCount" not in without:
            variant = replace(variant, fleet=replace(variant.fleet, num_copies=old.fleet.num_copies))
        variants.append(variant)
    capture = plan.capture if "DataCaptureConfig" in without else before.capture
    return replace(plan, variants=tuple(variants), capture=capture)
