"""The means with which a request searches a knowledge base: its index, its encoder, and a reranker that it names."""

from typing import TYPE_CHECKING

from outcrop.access.needs.knowledge import RERANKING
from outcrop.api.door.call import Call
from outcrop.api.door.leaving import accounted
from outcrop.invocation.target import EncoderTarget
from outcrop.knowledge import searching
from outcrop.knowledge.retrieving import RerankingPlan
from outcrop.knowledge.searching import SearchedKnowledgeBase

if TYPE_CHECKING:
    from outcrop.house import House


def open_search(house: "House", call: Call, identifier: str, reranking: RerankingPlan | None) -> SearchedKnowledgeBase:
    """The means to search the knowledge base with this id. Raises NotFound, Invalid, and as an encoder's target."""
    opened = searching.open_search(house, call.region, identifier, accounted=lambda target: accounted(target, call))
    return opened if reranking is None else opened.reranked_by(_reranker_of(house, call, reranking.model_arn))


def _reranker_of(house: "House", call: Call, model_arn: str) -> EncoderTarget:
    thing = house.access.named(call, RERANKING)
    found = house.targets.find(model_arn, thing, None, caller=call.caller) if thing.is_known else None
    return accounted(searching.reranker_in(found, model_arn), call)
