"""The catalogue as the signed-in user may know it: with sizes and memory, or the plain list of Bedrock."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from outcrop.console.user_client import DENIED
from outcrop.console.views.catalogue_view import CatalogueCard, catalogue_cards
from outcrop.console.views.model_views import plain_cards
from outcrop.console.visit import ConsoleVisit

_PLACE = "/outcrop/catalogue"
_RUNNING = ("Waiting", "InProgress")
_NOT_FOUND = 404


class FoundCards(NamedTuple):
    """The cards of the catalogue; `refused` says why there are none."""

    cards: list[CatalogueCard]
    refused: str = ""


def cards_of(visit: ConsoleVisit) -> FoundCards:
    """Every base model; for who may not list the catalogue, those that Bedrock lists, without sizes."""
    told = _asked(visit, _PLACE, {})
    if told is not None:
        return FoundCards(catalogue_cards(told, _pulling(visit), visit.language))
    found = visit.api.listed("bedrock", "list_foundation_models", "modelSummaries")
    return FoundCards(plain_cards(found.items), found.refused)


def entry_of(visit: ConsoleVisit, model: str) -> Mapping[str, Any] | None:
    """A base model with its hyperparameters; None for one that is not there, or who may not know."""
    if not model:
        return None
    try:
        return _asked(visit, _PLACE, {"model": model})
    except ClientError as refusal:
        if refusal.response["ResponseMetadata"].get("HTTPStatusCode") == _NOT_FOUND:
            return None
        raise


def _pulling(visit: ConsoleVisit) -> set[str]:
    """The models that are being pulled now."""
    told = _asked(visit, "/outcrop/tasks", {})
    if told is None:
        return set()
    return {task["about"] for task in told["tasks"] if task["kind"] == "pull" and task["status"] in _RUNNING}


def _asked(visit: ConsoleVisit, place: str, query: Mapping[str, str | list[str]]) -> Mapping[str, Any] | None:
    """The answer of an own operation; None for who may not ask it."""
    try:
        told: Mapping[str, Any] = visit.api.own(place, query)
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] not in DENIED:
            raise
        return None
    return told
