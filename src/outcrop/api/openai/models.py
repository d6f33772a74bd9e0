"""Models: those of the catalogue that are here, custom models and deployments; listed, looked at, deleted."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from outcrop import arn as arns
from outcrop.access.needs.named import FOUNDATION
from outcrop.api.bedrock.named import look
from outcrop.api.door.call import Answered, Call
from outcrop.api.openai import model_names, refusals
from outcrop.api.openai.endpoint import LABEL, Endpoint, EndpointRequest, MeantOperation
from outcrop.catalog import custom_model_states
from outcrop.catalog.base_model import BaseModel
from outcrop.deployments.model_removal import remove_model, users_of
from outcrop.deployments.states import ON_DEMAND, THROUGHPUT
from outcrop.errors import Denied
from outcrop.house import House
from outcrop.loops import each
from outcrop.store.resources import Resource

_GET = {
    custom_model_states.KIND: ("GetCustomModel", "modelIdentifier"),
    ON_DEMAND: ("GetCustomModelDeployment", "customModelDeploymentIdentifier"),
    THROUGHPUT: ("GetProvisionedModelThroughput", "provisionedModelId"),
    FOUNDATION: ("GetFoundationModel", "modelIdentifier"),
}
"The operation that a look at a model stands for, by its kind, and the member that names it."
_LISTS = {
    custom_model_states.KIND: "ListCustomModels",
    ON_DEMAND: "ListCustomModelDeployments",
    THROUGHPUT: "ListProvisionedModelThroughputs",
}
_MOST = 1000
"Of each kind in a listing, which OpenAI's has no pages for."
_log = logging.getLogger("outcrop.door")


def list_models(house: House, call: Call) -> Answered:
    """All models; of custom models and deployments those that the caller may list."""
    data = [_of_base(house, model) for model in house.catalog.invocable()]
    for kind, operation in _LISTS.items():
        if _may(house, call, operation):
            rows = house.store.resources.list(kind, call.region, max_results=_MOST).items
            data += each(rows, _of_row, log=_log, name=lambda row: row.arn)
    return {"object": "list", "data": data}


def get_model(house: House, call: Call) -> Answered:
    """The model that a name, an id or an ARN stands for."""
    name = call.params[LABEL]
    member = next(member for operation, member in _GET.values() if operation == call.operation)
    if call.operation == "GetFoundationModel":
        model = house.access.named(call, member).foundation
        if not isinstance(model, BaseModel) or (model.folder is None and model.remote is None):
            raise refusals.no_model(name)
        return {**_of_base(house, model), "id": name}
    row = look(house, call, member)
    if row is None:
        raise refusals.no_model(name)
    return {**_of_row(row), "id": name}


def delete_model(house: House, call: Call) -> Answered:
    """Delete a custom model, with the deployments that serve nothing else. Raises Conflict where it is in use."""
    name = call.params[LABEL]
    model = look(house, call, "modelIdentifier")
    if model is None:
        raise refusals.no_model(name)
    users = users_of(house, model.arn)
    if all(row.kind == ON_DEMAND for row in users):
        for row in users:
            house.access.authorize(_removal_of(call, row))
        for row in users:
            house.deployments.remove(row)
    remove_model(house, model)
    return {"id": name, "object": "model", "deleted": True}


def _removal_of(call: Call, row: Resource) -> Call:
    """The call by which somebody would delete a deployment."""
    params = {"customModelDeploymentIdentifier": row.arn}
    return replace(call, operation="DeleteCustomModelDeployment", params=params, found={}, line=None)


def _mean_list(_house: House, _asked: EndpointRequest) -> MeantOperation:
    return MeantOperation("ListFoundationModels", {})


def _mean_get(house: House, asked: EndpointRequest) -> MeantOperation:
    """The Get of what the name stands for; a name that stands for nothing is looked for among foundation models."""
    name = asked.label
    region = model_names.region_of(name) or asked.region
    kind, identifier = _found(house, region, name)
    operation, member = _GET[kind]
    return MeantOperation(operation, {member: identifier}, region)


def _mean_delete(house: House, asked: EndpointRequest) -> MeantOperation:
    region = model_names.region_of(asked.label) or asked.region
    model = model_names.custom_model(house, region, asked.label)
    identifier = asked.label if model is None else model.arn
    return MeantOperation("DeleteCustomModel", {"modelIdentifier": identifier}, region)


def _found(house: House, region: str, name: str) -> tuple[str, str]:
    """The kind of what a name stands for, and the identifier by which Bedrock knows it."""
    parsed = arns.parse(name)
    if parsed is not None and parsed.service == "bedrock" and parsed.kind in _GET:
        return parsed.kind, name
    if house.catalog.find(name) is None:
        for kind in (THROUGHPUT, ON_DEMAND):
            if house.store.resources.row_named(kind, region, name) is not None:
                return kind, name
        model = model_names.custom_model(house, region, name)
        if model is not None:
            return custom_model_states.KIND, model.arn
    return FOUNDATION, name


def _may(house: House, call: Call, operation: str) -> bool:
    try:
        house.access.authorize(replace(call, operation=operation, params={}, found={}, line=None))
    except Denied:
        return False
    return True


def _of_base(_house: House, model: BaseModel) -> dict[str, Any]:
    made = datetime.fromtimestamp(0, UTC)
    if model.folder is not None:
        made = datetime.fromtimestamp((model.folder / "config.json").stat().st_mtime, UTC)
    return _model(model.id, made, model.provider)


def _of_row(row: Resource) -> dict[str, Any]:
    """A custom model by its name of OpenAI's form, a deployment by its own; with its ARN beside it."""
    name = model_names.name_of(row) if row.kind == custom_model_states.KIND else row.name or row.arn
    return {**_model(name, row.created, model_names.OWNER), "arn": row.arn, "name": row.name}


def _model(name: str, made: datetime, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(made.timestamp()), "owned_by": owner.lower()}


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/models",
        service="bedrock",
        operation="ListFoundationModels",
        meaning=_mean_list,
        handler=list_models,
    ),
    Endpoint(
        method="GET",
        path="/models/{model...}",
        service="bedrock",
        operation="GetFoundationModel",
        meaning=_mean_get,
        handler=get_model,
    ),
    Endpoint(
        method="DELETE",
        path="/models/{model...}",
        service="bedrock",
        operation="DeleteCustomModel",
        meaning=_mean_delete,
        handler=delete_model,
    ),
)
