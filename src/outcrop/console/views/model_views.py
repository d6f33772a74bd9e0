"""Models as plain values: cards of the catalogue, custom models, and where a custom model comes from as a tree."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.views.amounts import age, model_id, short_name
from outcrop.console.views.catalogue_view import HERE, CatalogueCard


class ModelCard(NamedTuple):
    """A foundation model of the catalogue."""

    id: str
    name: str
    provider: str
    makes: str
    "What it makes: text or vectors, as the key of a text."
    customizations: list[str]


class CustomModelRow(NamedTuple):
    """A custom model in a list."""

    arn: str
    name: str
    base: str
    kind: str
    status: str
    age: str


class LineageNode(NamedTuple):
    """A model in the tree: how deep it stands, and whether it is the one that was asked about."""

    depth: int
    name: str
    arn: str
    "Empty for a foundation model."
    is_here: bool
    datasets: Sequence[str] = ()
    "What it was trained on, where it was trained here."


def model_cards(summaries: Sequence[Mapping[str, Any]]) -> list[ModelCard]:
    """Cards by provider and name; the two forms in which Bedrock lists a model are one card."""
    cards: dict[str, ModelCard] = {}
    for told in summaries:
        key = model_id(told["modelId"])
        before = cards.get(key)
        customizations = {*told.get("customizationsSupported", []), *(before.customizations if before else [])}
        makes = "models.vectors" if "EMBEDDING" in told.get("outputModalities", []) else "models.text"
        cards[key] = ModelCard(key, told["modelName"], told["providerName"], makes, sorted(customizations))
    return sorted(cards.values(), key=lambda card: (not card.customizations, card.provider, card.name))


def plain_cards(summaries: Sequence[Mapping[str, Any]]) -> list[CatalogueCard]:
    """Cards of models of which nothing else is known."""
    return [
        CatalogueCard(
            id=card.id,
            name=card.name,
            provider=card.provider,
            makes=card.makes,
            customizations=card.customizations,
            state=HERE,
            facts=[],
            fittings=[],
            note="",
            is_pulled=False,
        )
        for card in model_cards(summaries)
    ]


def custom_model_rows(summaries: Sequence[Mapping[str, Any]], now: datetime, language: str) -> list[CustomModelRow]:
    """Rows in the order in which they are listed, the newest first."""
    return [
        CustomModelRow(
            told["modelArn"],
            told["modelName"],
            model_id(told["baseModelArn"]) if "foundation-model" in told["baseModelArn"] else told["baseModelName"],
            told.get("customizationType", ""),
            told.get("modelStatus", "Active"),
            age(told["creationTime"], now, language),
        )
        for told in summaries
    ]


def with_datasets(nodes: Sequence[LineageNode], describe: Callable[[str], Mapping[str, Any]]) -> list[LineageNode]:
    """The tree with the datasets of each model; `describe` gives what the API tells of a model by its ARN."""
    return [node._replace(datasets=_datasets(describe(node.arn))) if node.arn else node for node in nodes]


def _datasets(told: Mapping[str, Any]) -> list[str]:
    training = told.get("trainingDataConfig", {}).get("s3Uri")
    validation = [each["s3Uri"] for each in told.get("validationDataConfig", {}).get("validators", [])]
    return [*([training] if training else []), *validation]


def lineage(summaries: Sequence[Mapping[str, Any]], here: str) -> list[LineageNode]:
    """The family of the model `here`: its foundation model and every custom model that comes from it, parents first."""
    by_arn = {told["modelArn"]: told for told in summaries}
    root, seen = here, set()
    while root in by_arn and root not in seen:
        seen.add(root)
        root = by_arn[root]["baseModelArn"]
    found = [LineageNode(0, model_id(root) if "foundation-model" in root else short_name(root), "", False)]
    on_the_way = set(seen)
    children: dict[str, list[str]] = {}
    for told in summaries:
        children.setdefault(told["baseModelArn"], []).append(told["modelArn"])

    def walk(parent: str, depth: int, *, whole: bool) -> None:
        for arn in children.get(parent, ()):
            # Of the foundation model only the branch of this model, of the model itself everything that came of it.
            if whole or arn in on_the_way:
                found.append(LineageNode(depth, by_arn[arn]["modelName"], arn, arn == here))
                walk(arn, depth + 1, whole=whole or arn == here)

    walk(root, 1, whole=False)
    return found
