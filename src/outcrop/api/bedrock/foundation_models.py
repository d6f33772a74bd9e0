"""Foundation models: what the catalogue can train and serve on this machine."""

from typing import Any

from outcrop import arn
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.catalog.base_model import BaseModel
from outcrop.errors import NotFound
from outcrop.house import House
from outcrop.network.model_task import ModelTask

_ON_DEMAND, _PROVISIONED = "ON_DEMAND", "PROVISIONED"


def list_foundation_models(house: House, call: Call) -> Answered:
    """The foundation models, each in two forms as Bedrock lists them: on demand and provisioned.

    The plain id is on demand, the one with its context is provisioned. Asked for those of a customization type, only
    the latter, which is the form that is customized. A remote model is on demand, and nothing else.
    """
    asked = (_PROVISIONED,) if "byCustomizationType" in call.params else (_ON_DEMAND, _PROVISIONED)
    summaries = [
        _details(model, call.region, form)
        for model in house.catalog.invocable()
        for form in asked
        if form in _forms(model)
    ]
    return {"modelSummaries": [summary for summary in summaries if _is_wanted(summary, call.params)]}


def get_foundation_model(house: House, call: Call) -> Answered:
    identifier = call.params["modelIdentifier"]
    model = house.access.named(call, "modelIdentifier").foundation
    if not isinstance(model, BaseModel) or (model.folder is None and model.remote is None):
        raise NotFound(
            f"The foundation model {identifier} was not found. (`outcrop models` lists those of this machine.)"
        )
    provisioned = identifier.endswith(model.full_id) and _PROVISIONED in _forms(model)
    return {"modelDetails": _details(model, call.region, _PROVISIONED if provisioned else _ON_DEMAND)}


def _forms(model: BaseModel) -> tuple[str, ...]:
    """The ways in which a model is invoked; only text models of this machine are provisioned."""
    plain = model.remote is None and model.task is ModelTask.TEXT
    return (_ON_DEMAND, _PROVISIONED) if plain else (_ON_DEMAND,)


def _details(model: BaseModel, region: str, inference: str) -> dict[str, Any]:
    model_id = model.id if inference == _ON_DEMAND else model.full_id
    return {
        "modelArn": arn.foundation_model(region, model_id),
        "modelId": model_id,
        "modelName": model.name,
        "providerName": model.provider,
        "inputModalities": ["TEXT"],
        # A reranker's scores count as text, as with Bedrock.
        "outputModalities": ["EMBEDDING" if model.task is ModelTask.EMBEDDING else "TEXT"],
        "responseStreamingSupported": model.task is ModelTask.TEXT,
        "customizationsSupported": [customization.value for customization in model.customizations],
        "inferenceTypesSupported": [inference],
        "modelLifecycle": {"status": "ACTIVE"},
    }


def _is_wanted(summary: dict[str, Any], params: dict[str, Any]) -> bool:
    return (
        params.get("byProvider", summary["providerName"]).lower() == summary["providerName"].lower()
        and ("byCustomizationType" not in params or params["byCustomizationType"] in summary["customizationsSupported"])
        and ("byOutputModality" not in params or params["byOutputModality"] in summary["outputModalities"])
        and ("byInferenceType" not in params or params["byInferenceType"] in summary["inferenceTypesSupported"])
    )


OPERATIONS: dict[str, Handler] = {
    "ListFoundationModels": list_foundation_models,
    "GetFoundationModel": get_foundation_model,
}
