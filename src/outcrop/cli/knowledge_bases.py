"""Knowledge bases by name or id, and what they are found by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.errors import Invalid, NotFound
from outcrop.network.model_task import ModelTask
from outcrop.settings import Settings

WORDS = "words"


@dataclass(frozen=True, kw_only=True)
class KnowledgeBaseName:
    """A knowledge base as the command line speaks of it."""

    id: str
    name: str
    region: str


def find_knowledge_base(agents: Mapping[str, Any], asked: str) -> KnowledgeBaseName:
    """The knowledge base of a name or an id, in the regions that `agents` has clients for. Raises NotFound, Invalid."""
    every = [each for region, agent in agents.items() for each in _all(agent, region)]
    found = [each for each in every if asked in (each.id, each.name)]
    if len(found) > 1:
        raise Invalid(f"{asked}: there is such a knowledge base in several regions. Choose one with --region.")
    if not found:
        raise NotFound(f"{asked}: there is no such knowledge base. `outcrop knowledge list` shows those there are.")
    return found[0]


def named(agent: Any, region: str, name: str) -> KnowledgeBaseName | None:
    """The knowledge base of this name in a region; None where there is none."""
    return next((each for each in _all(agent, region) if each.name == name), None)


def list_rows(settings: Settings, agents: Mapping[str, Any]) -> list[list[str]]:
    """A row for each knowledge base, by name."""
    catalog = Catalog(settings.home)
    return sorted(_row(catalog, agent, each) for region, agent in agents.items() for each in _all(agent, region))


def found_by(catalog: Catalog, model_arn: str) -> str:
    """The way in which passages are found: by words alone, or by the vectors of a model too."""
    model = catalog.find(model_arn)
    if isinstance(model, BaseModel) and not model.stands_in:
        return f"{WORDS} and {model.id}"
    return WORDS if isinstance(model, BaseModel) else f"{WORDS}; {model_arn} is gone"


def embedding_models(catalog: Catalog) -> list[BaseModel]:
    """The embedding models that answer on this machine; those that are no alias first."""
    found = [entry for entry in catalog.invocable() if entry.task is ModelTask.EMBEDDING and entry.remote is None]
    return sorted(found, key=lambda entry: entry.engine != entry.id)


def _row(catalog: Catalog, agent: Any, base: KnowledgeBaseName) -> list[str]:
    told = agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"]
    sources = [each["name"] for each in data_sources(agent, base)]
    updated = f"{told['updatedAt']:%Y-%m-%d %H:%M}"
    by = found_by(catalog, encoder_arn(told))
    return [base.name, base.id, told["status"], ", ".join(sources), by, updated, base.region]


def encoder_arn(told: Mapping[str, Any]) -> str:
    """The embedding model of a knowledge base, as the API describes it."""
    return str(told["knowledgeBaseConfiguration"]["vectorKnowledgeBaseConfiguration"]["embeddingModelArn"])


def data_sources(agent: Any, base: KnowledgeBaseName) -> Iterator[dict[str, Any]]:
    """Summaries of the data sources of a knowledge base."""
    for page in agent.get_paginator("list_data_sources").paginate(knowledgeBaseId=base.id):
        yield from page["dataSourceSummaries"]


def _all(agent: Any, region: str) -> Iterator[KnowledgeBaseName]:
    for page in agent.get_paginator("list_knowledge_bases").paginate():
        for each in page["knowledgeBaseSummaries"]:
            yield KnowledgeBaseName(id=each["knowledgeBaseId"], name=each["name"], region=region)
