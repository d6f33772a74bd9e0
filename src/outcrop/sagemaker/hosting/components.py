"""Inference components: models beside each other on one endpoint, and adapters on the model of another component."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.errors import Invalid
from outcrop.sagemaker import images
from outcrop.sagemaker.hosting import changes, configs, hosted, models
from outcrop.sagemaker.hosting.containers import ModelContainer
from outcrop.sagemaker.hosting.endpoints import COMPONENT, EndpointRecord, with_capacities
from outcrop.sagemaker.hosting.hosted import HostedModel, ServedAs
from outcrop.sagemaker.hosting.plans import STARTUP_S, EndpointPlan, FleetPlan, VariantPlan, key_of
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.hosting.states import EndpointStatus
from outcrop.store.tags import check_number, tags_of

_MB = 1 << 20
_ON_BASE = ("ModelName", "ComputeResourceRequirements")
"Members that a component on a base has from there."


def arn_of(house: HostingRooms, region: str, name: str) -> str:
    return sagemaker_arn(region, house.account, f"{COMPONENT}/{name.lower()}")


def create(house: HostingRooms, params: Mapping[str, Any], *, region: str, owner: str) -> str:
    """Write the component's row, and the change that makes it serve; returns its ARN. Raises Invalid."""
    if params.get("Specifications"):
        raise Invalid("Specifications: components for several kinds of instance are not built. Give a Specification.")
    if "Specification" not in params:
        raise Invalid("Specification: missing. Say which model the component serves.")
    name = params["InferenceComponentName"]
    component_arn = arn_of(house, region, name)
    endpoint, base = _placed(house, params, region)
    variant = base.desired.variants[0].name if base is not None else _variant(endpoint, params)
    count = params.get("RuntimeConfig", {}).get("CopyCount", 1) if base is None else 1
    fleet = _fleet(house, component_arn, endpoint, base, params["Specification"], region=region, num_copies=count)
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in params.get("Tags", [])])
    check_number(component_arn, tags)
    more = {
        "endpointName": endpoint.row.name,
        "endpointArn": endpoint.row.arn,
        "variant": variant,
        "specification": params["Specification"],
        "base": base.row.name if base is not None else None,
    }
    with house.store.transaction():
        house.endpoints.add(
            endpoint_arn=component_arn, name=name, region=region, plan=_plan(variant, fleet), kind=COMPONENT, more=more
        )
        house.store.tags.put(component_arn, tags)
        changes.add(house, component_arn, 1, region=region, owner=owner)
    return component_arn


def update(house: HostingRooms, params: Mapping[str, Any], *, region: str, owner: str) -> str:
    """Let a component go over to another model, or another number of copies. Raises Invalid."""
    record = find(house, region, params["InferenceComponentName"])
    if params.get("DeploymentConfig"):
        raise Invalid("DeploymentConfig: everything new is let in at once, once it answers. Leave it out.")
    variant = record.desired.variants[0]
    had = variant.fleet.num_copies if variant.fleet is not None else 1
    count = params.get("RuntimeConfig", {}).get("CopyCount", had)
    if "Specification" not in params:
        return set_copies(house, record, count, owner)
    endpoint = changes.find(house, region, record.endpoint_name)
    specification = params["Specification"]
    base = _base(house, region, record.endpoint_name, specification)
    fleet = _fleet(
        house,
        record.row.arn,
        endpoint,
        base,
        specification,
        region=region,
        num_copies=count,
    )
    more = {"specification": specification, "base": base.row.name if base is not None else None}
    return changes.ask(house, record, lambda _now: _plan(variant.name, fleet), owner=owner, more=more)


def set_copies(house: HostingRooms, record: EndpointRecord, count: int, owner: str) -> str:
    """Change the number of a component's copies. Raises Invalid."""
    if record.row.document["base"] is not None:
        raise Invalid(
            f"RuntimeConfig.CopyCount: {record.row.name} is an adapter, and has as many copies as its base component."
        )
    counts = {record.desired.variants[0].name: count}
    return changes.ask(house, record, lambda now: with_capacities(now.desired, counts, {}), owner=owner)


def delete(house: HostingRooms, *, region: str, name: str) -> None:
    """Forget a component. Raises Invalid for one that others stand on."""
    record = find(house, region, name)
    beside = house.endpoints.components(region, record.endpoint_name)
    above = next((other for other in beside if other.row.document["base"] == record.row.name), None)
    if above is not None:
        raise Invalid(
            f'Cannot delete inference component "{record.row.arn}": {above.row.name} is an adapter on it. Delete that '
            "first."
        )
    house.endpoints.remove(record.row.arn)


def find(house: HostingRooms, region: str, name: str) -> EndpointRecord:
    """The component of this name. Raises Invalid, in SageMaker's words."""
    found = house.endpoints.find(region, name, kind=COMPONENT)
    if found is None:
        raise Invalid(f'Could not find inference component "{arn_of(house, region, name)}".')
    return found


def _placed(
    house: HostingRooms, params: Mapping[str, Any], region: str
) -> tuple[EndpointRecord, EndpointRecord | None]:
    """The endpoint of a new component, and the component that it stands on, if it does. Raises Invalid."""
    endpoint = changes.find(house, region, params["EndpointName"])
    if endpoint.status is not EndpointStatus.IN_SERVICE:
        raise Invalid(f"EndpointName: {endpoint.row.name} is {endpoint.status}. Wait until it is InService.")
    if any(variant.fleet is not None for variant in endpoint.desired.variants):
        raise Invalid(
            f"EndpointName: {endpoint.row.name} has models of its own. Components belong to an endpoint whose variants "
            "have no ModelName."
        )
    return endpoint, _base(house, region, params["EndpointName"], params["Specification"])


def _base(house: HostingRooms, region: str, endpoint: str, specification: Mapping[str, Any]) -> EndpointRecord | None:
    named = specification.get("BaseInferenceComponentName")
    if named is None:
        return None
    base = find(house, region, named)
    if base.endpoint_name != endpoint or base.row.document["base"] is not None:
        raise Invalid(f"BaseInferenceComponentName: {named} is no component of {endpoint} with a model of its own.")
    if base.serving is None:
        raise Invalid(f"BaseInferenceComponentName: {named} is {base.status}. Wait until it is InService.")
    for member in _ON_BASE:
        if specification.get(member):
            raise Invalid(f"Specification.{member}: an adapter has it from its base component. Leave it out.")
    return base


def _variant(endpoint: EndpointRecord, params: Mapping[str, Any]) -> str:
    names = [variant.name for variant in endpoint.desired.variants]
    named = params.get("VariantName", names[0])
    if named not in names:
        raise Invalid(f"VariantName: {endpoint.row.name} has no variant {named!r}. It has {', '.join(names)}.")
    return str(named)


def _fleet(
    house: HostingRooms,
    component_arn: str,
    endpoint: EndpointRecord,
    base: EndpointRecord | None,
    specification: Mapping[str, Any],
    *,
    region: str,
    num_copies: int,
) -> FleetPlan:
    if base is not None:
        return _on_base(house, component_arn, base, specification)
    if "ComputeResourceRequirements" not in specification:
        raise Invalid("Specification.ComputeResourceRequirements: missing. Say how much memory a copy needs.")
    most = specification["ComputeResourceRequirements"].get("MaxMemoryRequiredInMb")
    startup_s = specification.get("StartupParameters", {}).get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_S)
    limits: dict[str, Any] = {"startup_s": startup_s, "memory_bytes": most * _MB if most else None}
    if specification.get("ModelName"):
        return configs.fleet_of(models.find(house, region, specification["ModelName"]), num_copies=num_copies, **limits)
    given = specification.get("Container")
    if not given:
        raise Invalid("Specification: neither ModelName nor Container. Say which model the component serves.")
    named = {"Image": given.get("Image"), "ModelDataUrl": given.get("ArtifactUrl"), **_environment(given)}
    container = ModelContainer.of(named, "Specification.Container")
    images.family_of(house.settings, container.image, member="Specification.Container.Image")
    config = configs.find(house, region, endpoint.desired.config_name).document["request"]
    return _new_fleet(house, component_arn, container, config["ExecutionRoleArn"], num_copies=num_copies, **limits)


def _on_base(
    house: HostingRooms, component_arn: str, base: EndpointRecord, specification: Mapping[str, Any]
) -> FleetPlan:
    """The fleet of an adapter: a model of its own, on the network that the base component has. Raises Invalid."""
    artifact = (specification.get("Container") or {}).get("ArtifactUrl")
    if not artifact:
        raise Invalid("Specification.Container.ArtifactUrl: missing. Name the adapter, a tar.gz archive or a prefix.")
    assert base.serving is not None, "asked before"
    below = base.serving.variants[0].fleet
    assert below is not None, "components have fleets"
    served = HostedModel.read(hosted.folder_of(house.settings, below.model_key))
    if served is None or served.by is not ServedAs.CATALOGUE or served.base is None:
        raise Invalid(
            f"BaseInferenceComponentName: adapters stand on models of the catalogue, and {base.row.name} serves "
            "another one. `outcrop register FOLDER`, and name it by HF_MODEL_ID."
        )
    container = replace(below.container, source=artifact, environment={"HF_MODEL_ID": served.base})
    return _new_fleet(house, component_arn, container, below.role, num_copies=1)


def _environment(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"Environment": given["Environment"]} if given.get("Environment") else {}


def _new_fleet(
    house: HostingRooms, component_arn: str, container: ModelContainer, role: str, *, num_copies: int, **limits: Any
) -> FleetPlan:
    key = key_of(component_arn, house.clock.now())
    return FleetPlan(
        id=key[:12],
        model_name=component_arn.rpartition("/")[2],
        model_arn=component_arn,
        model_key=key,
        container=container,
        role=role,
        isolated=False,
        num_copies=num_copies,
        **limits,
    )


def _plan(variant: str, fleet: FleetPlan) -> EndpointPlan:
    return EndpointPlan(config_name="", variants=(VariantPlan(name=variant, weight=1.0, fleet=fleet),))
