"""Models: the catalogue as cards, custom models, and one custom model with where it comes from."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.pages.catalogue import cards_of
from outcrop.console.views.catalogue_view import NAME
from outcrop.console.views.model_views import custom_model_rows, lineage, with_datasets
from outcrop.console.visit import ConsoleVisit

_PAGE = 50
_CUSTOM = ":custom-model/"
_MOST_IN_TREE = 40
"Models of a family that are told, a request or two each; a list of all models would take longer with each."


def show(visit: ConsoleVisit) -> Response:
    catalogue = cards_of(visit)
    token = {"nextToken": visit.asked("after")} if visit.asked("after") else {}
    custom = visit.api.listed("bedrock", "list_custom_models", "modelSummaries", maxResults=_PAGE, **token)
    return visit.page(
        "models.html",
        catalogue=catalogue,
        cards=[card for card in catalogue.cards if card.state != NAME],
        named=[card for card in catalogue.cards if card.state == NAME],
        custom=custom,
        rows=custom_model_rows(custom.items, visit.now, visit.language),
    )


def show_custom(visit: ConsoleVisit) -> Response:
    """The page of one custom model."""
    bedrock = visit.api.client("bedrock")
    told = bedrock.get_custom_model(modelIdentifier=visit.asked("arn"))
    arn = told["modelArn"]
    family, has_more = _family(visit, told)
    deployed = visit.api.listed(
        "bedrock", "list_custom_model_deployments", "modelDeploymentSummaries", modelArnEquals=arn
    )
    validation = [f"{each['validationLoss']:.3f}" for each in told.get("validationMetrics", [])]
    training = told.get("trainingMetrics", {}).get("trainingLoss")
    buckets = visit.api.listed("s3", "list_buckets", "Buckets").items
    return visit.page(
        "custom_model.html",
        model=told,
        living=living_state(visit),
        training="" if training is None else f"{training:.3f}",
        validation=validation[0] if validation else "",
        hyper=sorted(told.get("hyperParameters", {}).items()),
        nodes=with_datasets(lineage(family, arn), lambda each: _described(visit, each)),
        has_more=has_more,
        deployments=deployed.items,
        tags=visit.api.listed("bedrock", "list_tags_for_resource", "tags", resourceARN=arn),
        bucket=buckets[0]["Name"] if buckets else "",
    )


def living_state(visit: ConsoleVisit) -> str:
    """The state of a custom model, which is made for a while, and what can be done then."""
    told = visit.api.client("bedrock").get_custom_model(modelIdentifier=visit.asked("arn"))
    return visit.text("model_state_living.html", model=told, status=told.get("modelStatus", "Active"))


def tag(visit: ConsoleVisit) -> Response:
    """A tag of the model is put, or, where the form says so, taken off."""
    bedrock, arn, key = visit.api.client("bedrock"), visit.form.get("arn", ""), visit.form.get("key", "").strip()
    if visit.form.get("remove"):
        bedrock.untag_resource(resourceARN=arn, tagKeys=[key])
    else:
        bedrock.tag_resource(resourceARN=arn, tags=[{"key": key, "value": visit.form.get("value", "").strip()}])
    return visit.to("/models/custom", arn=arn)


def _family(visit: ConsoleVisit, told: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], bool]:
    """The models that a model comes from and those that came of it, and whether there are more."""
    found, up = {told["modelArn"]: told}, told
    while _CUSTOM in up.get("baseModelArn", "") and up["baseModelArn"] not in found and len(found) < _MOST_IN_TREE:
        up = _described(visit, up["baseModelArn"])
        if up:
            found[up["modelArn"]] = up
    waiting = [told["modelArn"]]
    while waiting and len(found) < _MOST_IN_TREE:
        below = visit.api.listed(
            "bedrock",
            "list_custom_models",
            "modelSummaries",
            baseModelArnEquals=waiting.pop(0),
            maxResults=_MOST_IN_TREE,
        )
        for each in below.items:
            if each["modelArn"] not in found:
                found[each["modelArn"]] = each
                waiting.append(each["modelArn"])
    return list(found.values())[:_MOST_IN_TREE], len(found) > _MOST_IN_TREE or bool(waiting)


def _described(visit: ConsoleVisit, arn: str) -> Mapping[str, Any]:
    """A model of the family in full; nothing of one that is gone, or that the user may not see."""
    try:
        told: Mapping[str, Any] = visit.api.client("bedrock").get_custom_model(modelIdentifier=arn)
    except ClientError:
        return {}
    return told


def deploy(visit: ConsoleVisit) -> Response:
    """A deployment on demand of the model that the form names."""
    name = f"{visit.form.get('name', 'model')[:40]}-{datetime.now(UTC):%H%M%S}"
    visit.api.client("bedrock").create_custom_model_deployment(
        modelDeploymentName=name, modelArn=visit.form.get("arn", "")
    )
    return visit.to("/deployments")


def delete(visit: ConsoleVisit) -> Response:
    """The model that the form names is deleted, once the form repeats its name."""
    visit.api.client("bedrock").delete_custom_model(modelIdentifier=visit.form.get("arn", ""))
    return visit.to("/models")
