"""Models: the catalogue as cards, custom models, and one custom model with where it comes from."""

from datetime import UTC, datetime

from starlette.responses import Response

from outcrop.console.views.model_views import custom_model_rows, lineage, model_cards
from outcrop.console.visit import ConsoleVisit

_PAGE = 50
_FAMILY = 1000


def show(visit: ConsoleVisit) -> Response:
    catalogue = visit.api.listed("bedrock", "list_foundation_models", "modelSummaries")
    token = {"nextToken": visit.asked("after")} if visit.asked("after") else {}
    custom = visit.api.listed("bedrock", "list_custom_models", "modelSummaries", maxResults=_PAGE, **token)
    return visit.page(
        "models.html",
        cards=model_cards(catalogue.items),
        catalogue=catalogue,
        custom=custom,
        rows=custom_model_rows(custom.items, visit.now, visit.language),
    )


def show_custom(visit: ConsoleVisit) -> Response:
    """The page of one custom model."""
    bedrock = visit.api.client("bedrock")
    told = bedrock.get_custom_model(modelIdentifier=visit.asked("arn"))
    family = visit.api.listed("bedrock", "list_custom_models", "modelSummaries", maxResults=_FAMILY)
    deployed = visit.api.listed(
        "bedrock", "list_custom_model_deployments", "modelDeploymentSummaries", modelArnEquals=told["modelArn"]
    )
    validation = [f"{each['validationLoss']:.3f}" for each in told.get("validationMetrics", [])]
    training = told.get("trainingMetrics", {}).get("trainingLoss")
    return visit.page(
        "custom_model.html",
        model=told,
        training="" if training is None else f"{training:.3f}",
        validation=validation[0] if validation else "",
        hyper=sorted(told.get("hyperParameters", {}).items()),
        nodes=lineage(family.items, told["modelArn"]),
        deployments=deployed.items,
    )


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
