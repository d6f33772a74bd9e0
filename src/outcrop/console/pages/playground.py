"""The playground: one prompt to up to four models side by side, which answer while one reads."""

import json
from typing import Any

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from outcrop.console.pages.ratings import default_place
from outcrop.console.views.answer_code import boto3_code, cli_code
from outcrop.console.views.conversation_view import MOST_MODELS, asked_answers
from outcrop.console.views.model_views import model_cards
from outcrop.console.visit import ConsoleVisit

_MOST = 200
_Named = list[tuple[str, str]]


def show(visit: ConsoleVisit) -> Response:
    """The models that can be asked now, those of the address chosen."""
    bases = visit.api.listed("bedrock-agent", "list_knowledge_bases", "knowledgeBaseSummaries").items
    named = [(each["knowledgeBaseId"], each["name"]) for each in bases]
    asked = visit.asked("knowledge_base")
    chosen = asked if asked in dict(named) else ""
    return visit.page("playground.html", bases=named, **form_values(visit, most=MOST_MODELS, knowledge_base=chosen))


def code(visit: ConsoleVisit) -> Response:
    """The request that the form has now, as code."""
    try:
        asked = asked_answers(json.loads(visit.form.get("asked", "")))
    except ValueError as problem:
        return PlainTextResponse(f"{problem}\n", 400)
    region = visit.api.region
    told = {"boto3": boto3_code(asked, region), "cli": cli_code(asked, region)}
    return HTMLResponse(visit.text("answer_code.html", code=told))


def form_values(visit: ConsoleVisit, *, most: int, knowledge_base: str = "") -> dict[str, Any]:
    """The values of the form that asks up to `most` models, from a knowledge base where one is named."""
    custom, foundation = models_to_ask(visit)
    chosen = [each for each in visit.request.query_params.getlist("model") if each][:most]
    if not chosen:
        chosen = [arn for arn, _ in [*custom[:1], *foundation[:1]]][:most]
    return {
        "custom": custom,
        "foundation": foundation,
        "chosen": [*chosen, *[""] * (most - len(chosen))],
        "knowledge_base": knowledge_base,
        "prompt": visit.asked("prompt"),
        "is_blind": visit.asked("blind") == "on",
        "place": visit.asked("place") or default_place(visit),
    }


def models_to_ask(visit: ConsoleVisit) -> tuple[_Named, _Named]:
    """Deployed and provisioned custom models by ARN, and foundation models by id, each with its name."""
    api = visit.api
    deployed = api.listed(
        "bedrock", "list_custom_model_deployments", "modelDeploymentSummaries", maxResults=_MOST
    ).items
    custom = [
        (each["customModelDeploymentArn"], each["customModelDeploymentName"])
        for each in deployed
        if each["status"] == "Active"
    ]
    provisioned = api.listed(
        "bedrock", "list_provisioned_model_throughputs", "provisionedModelSummaries", maxResults=_MOST
    ).items
    custom += [
        (each["provisionedModelArn"], each["provisionedModelName"])
        for each in provisioned
        if each["status"] == "InService"
    ]
    cards = model_cards(api.listed("bedrock", "list_foundation_models", "modelSummaries").items)
    return custom, [(card.id, card.name) for card in cards if card.makes == "models.text"]
