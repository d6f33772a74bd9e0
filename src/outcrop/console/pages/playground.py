"""The playground: one prompt to up to four models side by side, which answer while one reads."""

from starlette.responses import Response

from outcrop.console.views.conversation_view import MOST_MODELS
from outcrop.console.views.model_views import model_cards
from outcrop.console.visit import ConsoleVisit

_MOST = 200


def show(visit: ConsoleVisit) -> Response:
    """The models that can be asked now, those of the address chosen."""
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
    foundation = [(card.id, card.name) for card in cards if card.makes == "models.text"]
    chosen = [each for each in visit.request.query_params.getlist("model") if each][:MOST_MODELS]
    if not chosen:
        chosen = [arn for arn, _ in [*custom[:1], *foundation[:1]]]
    return visit.page(
        "playground.html",
        custom=custom,
        foundation=foundation,
        chosen=[*chosen, *[""] * (MOST_MODELS - len(chosen))],
        prompt=visit.asked("prompt"),
    )
