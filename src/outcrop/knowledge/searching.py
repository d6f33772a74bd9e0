"""A knowledge base opened for searches: its index, its encoder, and a reranker beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from outcrop.errors import Invalid, NotFound
from outcrop.invocation.target import EncoderTarget
from outcrop.knowledge.data_sources import CUSTOM, kind_of
from outcrop.knowledge.embedding import encoder_of
from outcrop.knowledge.knowledge_bases import id_of
from outcrop.knowledge.retrieving import PassageSearch
from outcrop.knowledge.rooms import KnowledgeRooms
from outcrop.knowledge.states import KnowledgeBaseStatus
from outcrop.network.model_task import ModelTask

_SERVING = (KnowledgeBaseStatus.ACTIVE, KnowledgeBaseStatus.UPDATING)
Accounted = Callable[[EncoderTarget], EncoderTarget]
"Makes a target tell somebody's account where data leaves for."


@dataclass(frozen=True, kw_only=True)
class SearchedKnowledgeBase:
    """A knowledge base ready to be searched."""

    search: PassageSearch
    custom: Mapping[str, bool]
    "Of each of its data sources, by id, whether its caller names its documents."

    def reranked_by(self, reranker: EncoderTarget) -> "SearchedKnowledgeBase":
        """A search like this one, its passages put into a new order by a model."""
        return replace(self, search=replace(self.search, reranker=reranker))


def open_search(
    house: KnowledgeRooms, region: str, identifier: str, *, accounted: Accounted = lambda target: target
) -> SearchedKnowledgeBase:
    """The means to search the knowledge base with this id. Raises NotFound, Invalid, and as an encoder's target."""
    arn = house.knowledge_bases.arn(region, identifier)
    row = house.store.resources.get(arn)
    if row is None:
        raise NotFound(f"Knowledge Base with id {identifier} does not exist.")
    if row.status not in _SERVING:
        raise Invalid(f"The knowledge base {identifier} is {row.status}, and answers when it is ACTIVE.")
    encoder = encoder_of(house, row)
    if encoder is not None:
        encoder = replace(encoder, target=accounted(encoder.target))
    search = PassageSearch(index=house.knowledge_indexes.of(row), encoder=encoder)
    return SearchedKnowledgeBase(search=search, custom=_custom(house, arn))


def reranker_in(found: object, model_arn: str) -> EncoderTarget:
    """The target that was found for a reranking model. Raises Invalid for a model that ranks nothing."""
    if not isinstance(found, EncoderTarget) or found.task is not ModelTask.RERANKING:
        raise Invalid(
            f"rerankingConfiguration: modelArn: {model_arn} is no reranking model of the catalogue. Name one that is."
        )
    return found


def _custom(house: KnowledgeRooms, knowledge_base_arn: str) -> dict[str, bool]:
    """Data sources by id, and whether each is of type CUSTOM."""
    sources = house.knowledge_bases.sources(knowledge_base_arn)
    return {id_of(source.arn): kind_of(source) == CUSTOM for source in sources}
