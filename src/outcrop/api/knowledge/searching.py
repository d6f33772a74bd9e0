"""The means with which a request searches a knowledge base: its index, its encoder, and a reranker that it names."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from outcrop.access.needs.knowledge import RERANKING
from outcrop.api.door.call import Call
from outcrop.api.door.leaving import accounted
from outcrop.errors import Invalid, NotFound
from outcrop.invocation.target import EncoderTarget
from outcrop.knowledge.data_sources import CUSTOM, kind_of
from outcrop.knowledge.embedding import encoder_of
from outcrop.knowledge.knowledge_bases import id_of
from outcrop.knowledge.retrieving import PassageSearch, RerankingPlan
from outcrop.knowledge.states import KnowledgeBaseStatus
from outcrop.network.model_task import ModelTask

if TYPE_CHECKING:
    from outcrop.house import House

_SERVING = (KnowledgeBaseStatus.ACTIVE, KnowledgeBaseStatus.UPDATING)


@dataclass(frozen=True, kw_only=True)
class SearchedKnowledgeBase:
    """A knowledge base ready to be searched."""

    search: PassageSearch
    custom: Mapping[str, bool]
    "Of each of its data sources, by id, whether its caller names its documents."


def open_search(house: "House", call: Call, identifier: str, reranking: RerankingPlan | None) -> SearchedKnowledgeBase:
    """The means to search the knowledge base with this id. Raises NotFound, Invalid, and as an encoder's target."""
    arn = house.knowledge_bases.arn(call.region, identifier)
    row = house.store.resources.get(arn)
    if row is None:
        raise NotFound(f"Knowledge Base with id {identifier} does not exist.")
    if row.status not in _SERVING:
        raise Invalid(f"The knowledge base {identifier} is {row.status}, and answers when it is ACTIVE.")
    encoder = encoder_of(house, row)
    if encoder is not None:
        encoder = replace(encoder, target=accounted(encoder.target, call))
    search = PassageSearch(
        index=house.knowledge_indexes.of(row),
        encoder=encoder,
        reranker=None if reranking is None else reranker_of(house, call, reranking.model_arn),
    )
    return SearchedKnowledgeBase(search=search, custom=_custom(house, arn))


def reranker_of(house: "House", call: Call, model_arn: str) -> EncoderTarget:
    """The reranking model that a request names. Raises Invalid for a model that ranks nothing."""
    thing = house.access.named(call, RERANKING)
    target = house.targets.find(model_arn, thing, None, caller=call.caller) if thing.is_known else None
    if not isinstance(target, EncoderTarget) or target.task is not ModelTask.RERANKING:
        raise Invalid(
            f"rerankingConfiguration: modelArn: {model_arn} is no reranking model of the catalogue. Name one that is."
        )
    return accounted(target, call)


def _custom(house: "House", knowledge_base_arn: str) -> dict[str, bool]:
    """Data sources by id, and whether each is of type CUSTOM."""
    sources = house.knowledge_bases.sources(knowledge_base_arn)
    return {id_of(source.arn): kind_of(source) == CUSTOM for source in sources}
