"""Targets of the models that requests name; a custom model is deployed at its first use.

To deploy it needs the permission that CreateCustomModelDeployment needs, and the audit tells of it. The request waits
until the deployment serves, within the patience of any invocation.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anyio import to_thread

from outcrop import arn as arns
from outcrop.api.bedrock import model_keys
from outcrop.api.door.call import Call
from outcrop.api.door.leaving import accounted
from outcrop.api.openai import checkpoint_models, model_names, refusals
from outcrop.api.openai.endpoint import EndpointRequest, MeantOperation
from outcrop.api.openai.made_aside import tell_made
from outcrop.catalog.custom_model_states import KIND
from outcrop.deployments.states import ON_DEMAND
from outcrop.errors import Invalid, NotFound, NotReady
from outcrop.house import House
from outcrop.invocation.target import TextTarget
from outcrop.store.resources import Resource

_LOOK_EVERY_S = 0.1


def mean_invocation(house: House, asked: EndpointRequest) -> MeantOperation:
    """The invocation that a body with `model` stands for."""
    name = model_in(asked.body)
    region = model_names.region_of(name) or asked.region
    model_id = model_names.invoked(house, region, name)
    if model_id == name:
        model_id = checkpoint_models.model_of_job(house, region, name) or name
    operation = "InvokeModelWithResponseStream" if asked.body.get("stream") is True else "InvokeModel"
    metadata = asked.body.get("metadata")
    told = {"requestMetadata": metadata_of(metadata)} if metadata is not None else {}
    params = {"modelId": model_id, "body": asked.raw, **told}
    return MeantOperation(operation, params | _guardrail(asked), region)


_GUARDRAIL_HEADERS = {
    "x-amzn-bedrock-guardrailidentifier": "guardrailIdentifier",
    "x-amzn-bedrock-guardrailversion": "guardrailVersion",
    "x-amzn-bedrock-trace": "trace",
}
"As InvokeModel has them."


def _guardrail(asked: EndpointRequest) -> dict[str, str]:
    """The guardrail that the headers of a request name."""
    return {member: asked.headers[name] for name, member in _GUARDRAIL_HEADERS.items() if asked.headers.get(name)}


def model_in(body: Mapping[str, Any]) -> str:
    """The model that a body names. Refuses one that names none."""
    name = body.get("model")
    if name is None:
        raise refusals.missing("model")
    if not isinstance(name, str) or not name:
        raise refusals.invalid(
            "model", "expected the name of a model, as GET /v1/models lists them.", code="invalid_type"
        )
    return name


def metadata_of(given: Any) -> dict[str, str]:
    """The metadata of a request: at most 16 texts, which the invocation log tells. Refuses anything else."""
    texts = isinstance(given, dict) and all(isinstance(value, str) for value in given.values())
    if not texts or len(given) > 16 or any(len(key) > 64 or len(value) > 512 for key, value in given.items()):
        what = "expected an object of at most 16 texts, with keys of 64 characters and values of 512."
        raise refusals.invalid("metadata", what)
    return dict(given)


async def target_of(house: House, call: Call, name: str) -> TextTarget:
    """The target that answers for `name`, which the call's modelId was found for. Refuses what is not there.

    Raises NotReady for a deployment that is still being made when patience ends, and Denied where it may not be made.
    """
    thing = house.access.named(call, "modelId")
    if thing.kind == KIND and thing.is_known:
        call = await _deployed(house, call, await checkpoint_models.model_arn(house, call, name, thing.arn))
    elif not thing.is_known:
        raise refusals.no_model(name)
    ends = time.monotonic() + house.settings.patience.total_seconds()
    while True:
        try:
            target = await to_thread.run_sync(_resolved, house, call)
            return replace(target, model_id=name)
        except NotReady:
            if time.monotonic() >= ends:
                raise
        except NotFound as absent:
            raise _absent(absent, name) from absent
        await asyncio.sleep(_LOOK_EVERY_S)
        call = replace(call, found={})  # what it was found to be is of the moment before


def _resolved(house: House, call: Call) -> TextTarget:
    model_id = call.params["modelId"]
    thing, row = house.access.named(call, "modelId"), house.access.row(call, "modelId")
    resource = None if row is None else row.resource()
    found = house.targets.resolve(model_id, thing, resource, caller=call.caller)
    return accounted(model_keys.allowed(house, call, found), call)


def _absent(absent: NotFound, name: str) -> Exception:
    """A deployment that failed is there, and its sentence says why it serves nothing."""
    return refusals.no_model(name) if absent.message.endswith("was not found.") else absent


async def _deployed(house: House, call: Call, model_arn: str) -> Call:
    """The call of the custom model's deployment, made where there is none. Raises Denied."""
    model = await house.ask(house.models.look, call.region, model_arn)
    if model is None:
        raise refusals.no_model(model_arn)
    found = await house.ask(model_names.deployment_of, house, model)
    if found is None:
        making = replace(
            call,
            service="bedrock",
            operation="CreateCustomModelDeployment",
            params={"modelArn": model.arn, "modelDeploymentName": model.name},
            found={},
        )
        await house.ask(house.access.authorize, making)
        found = await to_thread.run_sync(_deploy, house, making, model)
    deployed = replace(call, params={**call.params, "modelId": found.arn}, found={})
    await house.ask(house.access.authorize, deployed)
    return deployed


def _deploy(house: House, call: Call, model: Resource) -> Resource:
    """The new deployment, or that which another request made at the same moment."""
    names = (model.name or arns.new_id(), f"{model.name}-{arns.new_id(4)}")
    for name in names:
        try:
            made = house.deployments.create(
                ON_DEMAND,
                name=name,
                region=model.region,
                account=house.account,
                model_arn=model.arn,
                details={"description": "Made when OpenAI's door was first asked for the model."},
            )
        except Invalid:
            found = model_names.deployment_of(house, model)
            if found is not None:
                return found
            continue
        tell_made(house, call, (str(call.params["modelArn"]), made.arn))
        return made
    raise NotReady(f"The custom model {model.name} could not be deployed at this moment. Try again.")
