"""SageMaker's public hub, which is JumpStart's: its models, and one that is deployed or fine-tuned by a form."""

import json
from typing import Any

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.pages.roles import SAGEMAKER, roles_for
from outcrop.console.views.hub_requests import (
    HubForm,
    deployment_calls,
    hub_card,
    hub_fields,
    program,
    training_call,
)
from outcrop.console.visit import ConsoleVisit

HUB = "SageMakerPublicHub"
_PAGE = 50
_HYPER = "hyper:"
_MOST_INSTANCES = 100


def show(visit: ConsoleVisit) -> Response:
    token = {"NextToken": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed(
        "sagemaker",
        "list_hub_contents",
        "HubContentSummaries",
        HubName=HUB,
        HubContentType="Model",
        MaxResults=_PAGE,
        **token,
    )
    return visit.page("sagemaker_hub.html", found=found, cards=[hub_card(each) for each in found.items])


def show_one(visit: ConsoleVisit) -> Response:
    return _page(visit, str(visit.request.path_params["model"]), {})


def deploy(visit: ConsoleVisit) -> Response:
    """The endpoint is made, or the page comes again with the sentence that refused it."""
    model = visit.form.get("model", "")
    document, _ = _document(visit, model)
    form = _form(visit.form)
    client = visit.api.client("sagemaker")
    try:
        for operation, members in deployment_calls(document, form):
            getattr(client, operation)(**members)
    except ClientError as refusal:
        return _page(visit, model, visit.form, deploy_problem=refusal.response["Error"]["Message"])
    return visit.to(f"/sagemaker/endpoints/{form.name}")


def train(visit: ConsoleVisit) -> Response:
    """The training job is made, or the page comes again with the sentence that refused it."""
    model = visit.form.get("model", "")
    document, _ = _document(visit, model)
    form = _form(visit.form)
    operation, members = training_call(document, form)
    try:
        getattr(visit.api.client("sagemaker"), operation)(**members)
    except ClientError as refusal:
        return _page(visit, model, visit.form, train_problem=refusal.response["Error"]["Message"])
    return visit.to(f"/sagemaker/training/{form.name}")


def _document(visit: ConsoleVisit, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    told = visit.api.client("sagemaker").describe_hub_content(HubName=HUB, HubContentType="Model", HubContentName=model)
    return json.loads(told["HubContentDocument"]), told


def _form(given: Any) -> HubForm:
    count = given.get("instances", "1")
    return HubForm(
        name=given.get("name", "").strip(),
        role=given.get("role", "").strip(),
        instance_type=given.get("instance_type", ""),
        instances=min(int(count), _MOST_INSTANCES) if count.isdecimal() else 1,
        data=given.get("data", "").strip(),
        output=given.get("output", "").strip(),
        hyper={name.removeprefix(_HYPER): text.strip() for name, text in given.items() if name.startswith(_HYPER)},
    )


def _page(
    visit: ConsoleVisit, model: str, given: Any, *, deploy_problem: str = "", train_problem: str = ""
) -> Response:
    document, told = _document(visit, model)
    roles = roles_for(visit, SAGEMAKER)
    asked = _form(given)
    beginning = str(document.get("ResourceNameBase") or model)[:40].strip("-")
    form = asked._replace(
        name=asked.name or f"{beginning}-{visit.now:%m%d-%H%M%S}",
        role=asked.role or (roles[0] if roles else ""),
        instance_type=asked.instance_type or document["DefaultInferenceInstanceType"],
        data=asked.data or visit.asked("data"),
    )
    first, others = hub_fields(document, form.hyper)
    return visit.page(
        "sagemaker_hub_model.html",
        model=model,
        card=hub_card(told),
        form=form,
        roles=roles,
        types=document["SupportedInferenceInstanceTypes"],
        first=first,
        others=others,
        can_be_trained=document.get("FineTuningSupported", False),
        deploy_problem=deploy_problem,
        train_problem=train_problem,
        deploy_code=program(deployment_calls(document, form)),
        train_code=program([training_call(document, form)]) if document.get("FineTuningSupported") else "",
    )
