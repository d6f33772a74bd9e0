"""Deployments: custom models that can be invoked, each with its state."""

from starlette.responses import Response

from outcrop.console.views.amounts import age
from outcrop.console.visit import ConsoleVisit

_PAGE = 50


def show(visit: ConsoleVisit) -> Response:
    return visit.page("deployments.html", living=living(visit))


def living(visit: ConsoleVisit) -> str:
    """The list, which changes while one looks."""
    token = {"nextToken": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed(
        "bedrock", "list_custom_model_deployments", "modelDeploymentSummaries", maxResults=_PAGE, **token
    )
    ages = [age(each["createdAt"], visit.now, visit.language) for each in found.items]
    provisioned = visit.api.listed(
        "bedrock", "list_provisioned_model_throughputs", "provisionedModelSummaries", maxResults=_PAGE
    )
    return visit.text("deployments_living.html", found=found, ages=ages, provisioned=provisioned)


def delete(visit: ConsoleVisit) -> Response:
    """The deployment that the form names is deleted; its model stays."""
    visit.api.client("bedrock").delete_custom_model_deployment(
        customModelDeploymentIdentifier=visit.form.get("arn", "")
    )
    return visit.to("/deployments")
