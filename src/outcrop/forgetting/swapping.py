"""Deployments handed over from one custom model to another: each serves the old one until the new one is ready."""

import time
from typing import Any

from outcrop.errors import ModelFailed, NotReady
from outcrop.forgetting.family import ModelFamily, ServedBy

_PAUSE_S = 0.2
_PATIENCE_S = 600.0


def swap(family: ModelFamily, deployment: ServedBy, model_arn: str) -> None:
    """Let a deployment serve this model, and return when it does. Raises ModelFailed, NotReady."""
    bedrock: Any = family.bedrock
    if deployment.is_provisioned:
        bedrock.update_provisioned_model_throughput(provisionedModelId=deployment.arn, desiredModelId=model_arn)
    else:
        bedrock.update_custom_model_deployment(customModelDeploymentIdentifier=deployment.arn, modelArn=model_arn)
    deadline = time.monotonic() + _PATIENCE_S
    while (told := _state(bedrock, deployment))["modelArn"] != model_arn:
        if told.get("failureMessage"):
            raise ModelFailed(f"{deployment.name}: it goes on with the old model ({told['failureMessage']})")
        if time.monotonic() > deadline:
            raise NotReady(f"{deployment.name}: it still waits for the new model; `outcrop deployments` tells more.")
        time.sleep(_PAUSE_S)


def _state(bedrock: Any, deployment: ServedBy) -> dict[str, Any]:
    if deployment.is_provisioned:
        found: dict[str, Any] = bedrock.get_provisioned_model_throughput(provisionedModelId=deployment.arn)
    else:
        found = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=deployment.arn)
    return found
