"""The booth's endpoint: models as inference components beside each other, and an adapter on the base of another.

Every name begins with that of the run; a component is called RUN-MODEL.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .services import Booth, wait_while

_IN_CHANGE = ("Creating", "Updating", "RollingBack")
_VARIANT = "AllTraffic"
_MEMORY_MB = 1024
_LEAST, _MOST = 1, 4
"Copies of the base."
_REQUESTS_A_MINUTE = 60.0
"Of each copy, that the policy aims at."
_DIMENSION = "sagemaker:inference-component:DesiredCopyCount"
_LONGEST_S = 120.0
_LOOK_S = 0.5


@contextmanager
def opened(booth: Booth, *, keep: bool) -> Iterator[None]:
    """An endpoint without a model, which components bring; it is closed behind the block, but to `keep`."""
    variant = {"VariantName": _VARIANT, "InstanceType": booth.instance, "InitialInstanceCount": 1}
    booth.sagemaker.create_endpoint_config(
        EndpointConfigName=booth.run, ExecutionRoleArn=booth.role, ProductionVariants=[variant]
    )
    booth.sagemaker.create_endpoint(EndpointName=booth.run, EndpointConfigName=booth.run)
    try:
        told = wait_while(
            _IN_CHANGE, "EndpointStatus", lambda: booth.sagemaker.describe_endpoint(EndpointName=booth.run)
        )
        if told["EndpointStatus"] != "InService":
            sys.exit(f"The endpoint {booth.run} is {told['EndpointStatus']}: {told.get('FailureReason')}")
        yield
    finally:
        if keep:
            print(f"\n  The endpoint {booth.run} stays. Delete its components, adapters first, and then the endpoint.")
        else:
            close(booth)


def add_named(booth: Booth, model: str, name: str, *, takes_adapters: bool = False) -> None:
    """A component with a model that its image knows by name."""
    switches = {"OPTION_ENABLE_LORA": "true", "OPTION_MAX_LORA_RANK": "64"} if takes_adapters else {}
    container = {"Image": booth.serving_image, "Environment": {"HF_MODEL_ID": name, **switches}}
    _add(booth, model, {"Container": container, **_own_copy(booth)})


def add_network(booth: Booth, model: str, artifact: str) -> None:
    """A component with a whole network from S3."""
    _add(booth, model, {"Container": {"Image": booth.serving_image, "ArtifactUrl": artifact}, **_own_copy(booth)})


def add_adapter(booth: Booth, model: str, artifact: str, *, on: str) -> None:
    """A component with an adapter from S3, on the network of another component."""
    _add(booth, model, _adapter(booth, artifact, on))


def replace_adapter(booth: Booth, model: str, artifact: str, *, on: str) -> None:
    """Let a component go over to another adapter; the old one answers until the new one does."""
    booth.sagemaker.update_inference_component(
        InferenceComponentName=component(booth, model), Specification=_adapter(booth, artifact, on)
    )
    _settle(booth, model)


def component(booth: Booth, model: str) -> str:
    return f"{booth.run}-{model}"


def scale(booth: Booth, model: str) -> dict[str, Any]:
    """Let the copies of a component follow its requests; returns what the service tells of it."""
    target = _target(booth, model)
    booth.scaling.register_scalable_target(**target, MinCapacity=_LEAST, MaxCapacity=_MOST)
    policy = booth.scaling.put_scaling_policy(
        **target,
        PolicyName=f"{booth.run}-requests",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": _REQUESTS_A_MINUTE,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerInferenceComponentInvocationsPerCopy",
            },
            "ScaleOutCooldown": 60,
            "ScaleInCooldown": 300,
        },
    )
    # Two copies before the doors open: a higher minimum is reached at once, without waiting for the metric.
    booth.scaling.register_scalable_target(**target, MinCapacity=_LEAST + 1)
    activity = _activity(booth, target)
    told = {name: activity.get(name) for name in ("Description", "Cause", "StatusCode")}
    return {"alarms": [alarm["AlarmName"] for alarm in policy["Alarms"]], "activity": told}


def close(booth: Booth) -> None:
    """Delete the endpoint and what is on it: adapters before what they stand on."""
    names = [
        each["InferenceComponentName"]
        for each in booth.sagemaker.list_inference_components(EndpointNameEquals=booth.run)["InferenceComponents"]
    ]
    _deregister(booth, names)
    for name in sorted(names, key=lambda name: not _is_adapter(booth, name)):
        booth.sagemaker.delete_inference_component(InferenceComponentName=name)
        _wait_until_gone(booth, name)
    booth.sagemaker.delete_endpoint(EndpointName=booth.run)
    booth.sagemaker.delete_endpoint_config(EndpointConfigName=booth.run)


def _own_copy(booth: Booth) -> dict[str, Any]:
    """The share of the instance that a copy of a network takes."""
    needs: dict[str, Any] = {"MinMemoryRequiredInMb": _MEMORY_MB}
    if booth.accelerators:
        needs["NumberOfAcceleratorDevicesRequired"] = booth.accelerators
    else:
        needs["NumberOfCpuCoresRequired"] = 1
    return {"ComputeResourceRequirements": needs}


def _adapter(booth: Booth, artifact: str, on: str) -> dict[str, Any]:
    return {"BaseInferenceComponentName": component(booth, on), "Container": {"ArtifactUrl": artifact}}


def _add(booth: Booth, model: str, specification: Mapping[str, Any]) -> None:
    # An adapter is where its base is, with as many copies.
    stands_on = "BaseInferenceComponentName" in specification
    own = {} if stands_on else {"VariantName": _VARIANT, "RuntimeConfig": {"CopyCount": 1}}
    booth.sagemaker.create_inference_component(
        InferenceComponentName=component(booth, model),
        EndpointName=booth.run,
        Specification=specification,
        **own,
    )
    _settle(booth, model)


def _settle(booth: Booth, model: str) -> None:
    name = component(booth, model)
    told = wait_while(
        _IN_CHANGE,
        "InferenceComponentStatus",
        lambda: booth.sagemaker.describe_inference_component(InferenceComponentName=name),
    )
    if told["InferenceComponentStatus"] != "InService" or told.get("FailureReason"):
        sys.exit(f"The component {name} is {told['InferenceComponentStatus']}: {told.get('FailureReason')}")
    print(f"  {name}: in service", flush=True)


def _is_adapter(booth: Booth, name: str) -> bool:
    told = booth.sagemaker.describe_inference_component(InferenceComponentName=name)
    return "BaseInferenceComponentName" in told.get("Specification", {})


def _deregister(booth: Booth, names: list[str]) -> None:
    """Scale none of these components any more. AWS keeps a target without its component; here it is gone by itself."""
    resources = [f"inference-component/{name}" for name in names]
    if not resources:
        return
    found = booth.scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=resources)
    for target in found["ScalableTargets"]:
        named = {key: target[key] for key in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
        booth.scaling.deregister_scalable_target(**named)


def _wait_until_gone(booth: Booth, name: str) -> None:
    until = time.monotonic() + _LONGEST_S
    while time.monotonic() < until:
        listed = booth.sagemaker.list_inference_components(EndpointNameEquals=booth.run)["InferenceComponents"]
        if name not in [each["InferenceComponentName"] for each in listed]:
            return
        time.sleep(_LOOK_S)
    sys.exit(
        f"The component {name} is not gone after {_LONGEST_S:.0f} s. Delete it, and then the endpoint {booth.run}."
    )


def _target(booth: Booth, model: str) -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{component(booth, model)}",
        "ScalableDimension": _DIMENSION,
    }


def _activity(booth: Booth, target: Mapping[str, str]) -> dict[str, str]:
    """The last activity of a target, once it has ended, or as it is after two minutes."""
    until = time.monotonic() + _LONGEST_S
    told: dict[str, str] = {}
    while time.monotonic() < until and told.get("StatusCode", "Pending") in ("Pending", "InProgress"):
        activities = booth.scaling.describe_scaling_activities(**target)["ScalingActivities"]
        told = activities[0] if activities else {}
        time.sleep(_LOOK_S)
    return told
