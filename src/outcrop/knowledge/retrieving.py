"""Retrieval: passages of a knowledge base that answer a question, searched, filtered and reranked as a request says.

    plan = read_plan(shape, at="retrievalConfiguration")        # raises Invalid; nothing is searched yet
    found = await retrieve(search, "Who must register?", plan)

Images as queries, and filters that a model makes, are refused by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from anyio import to_thread

from outcrop.errors import Invalid
from outcrop.invocation.target import EncoderTarget
from outcrop.invocation.text_rows import EncoderReader
from outcrop.knowledge import filters, reserved
from outcrop.knowledge.embedding import PassageEncoder
from outcrop.knowledge.filters import MetadataFilter
from outcrop.knowledge.passage_index import PassageIndex, SearchQuery, SearchType
from outcrop.knowledge.passages import Found, Metadata
from outcrop.recipes.chunking import cut

DEFAULT_RESULTS = 5
MOST_RESULTS = 100
HEADINGS, RULE_NUMBER = "x-outcrop-headings", "x-outcrop-rule-number"
"Attributes by which a result tells what its passage stands under."
_SPECIAL_TOKENS = 4
"At most so many stand around a query and a document."
_FEWEST_TOKENS = 16
"Of a document beside a query: with less room, the query is too long for the reranker."


@dataclass(frozen=True, kw_only=True)
class RerankingPlan:
    """How passages are put into a new order."""

    model_arn: str
    most: int | None
    "Passages that are left; None: all."
    most_of_document: int | None = None
    "The tokens behind which a passage is cut, where the request says so."
    is_shown: "AttributeChoice"
    "The attributes that the reranker reads with a passage."


@dataclass(frozen=True, kw_only=True)
class AttributeChoice:
    """The attributes of documents that a reranker reads: all, some, all but some, or none."""

    all: bool = False
    included: frozenset[str] = frozenset()
    excluded: frozenset[str] | None = None

    def __contains__(self, key: object) -> bool:
        if self.excluded is not None:
            return key not in self.excluded
        return self.all or key in self.included


@dataclass(frozen=True, kw_only=True)
class RetrievalPlan:
    """A search: how many passages of which kind, and their order."""

    most: int = DEFAULT_RESULTS
    search_type: SearchType = SearchType.HYBRID
    filter: MetadataFilter | None = None
    reranking: RerankingPlan | None = None


@dataclass(frozen=True, kw_only=True)
class PassageSearch:
    """The means of one retrieval."""

    index: PassageIndex
    encoder: PassageEncoder | None = None
    "None where the index has the lexical arm alone."
    reranker: EncoderTarget | None = None
    "Of a plan that reranks."


def read_plan(shape: Mapping[str, Any] | None, *, at: str) -> RetrievalPlan:
    """The plan of a retrievalConfiguration, which stands at `at`. Raises Invalid."""
    config: Mapping[str, Any] = (shape or {}).get("vectorSearchConfiguration") or {}
    place = f"{at}.vectorSearchConfiguration"
    if config.get("implicitFilterConfiguration"):
        raise Invalid(
            f"{place}.implicitFilterConfiguration: filters that a model makes of the question are not built in "
            "Outcrop. Write them as filter."
        )
    asked = config.get("filter")
    return RetrievalPlan(
        most=config.get("numberOfResults", DEFAULT_RESULTS),
        search_type=SearchType(config.get("overrideSearchType", SearchType.HYBRID)),
        filter=filters.read(asked, at=f"{place}.filter") if asked else None,
        reranking=_reranking(config.get("rerankingConfiguration"), f"{place}.rerankingConfiguration"),
    )


def read_query(shape: Mapping[str, Any]) -> str:
    """The words of a retrievalQuery. Raises Invalid for an image, and where there are no words."""
    if shape.get("image") or shape.get("type", "TEXT") != "TEXT":
        raise Invalid(
            "retrievalQuery.image: only text is searched for in Outcrop. Leave image out, and give retrievalQuery.text."
        )
    text = str(shape.get("text", ""))
    if not text.strip():
        raise Invalid("retrievalQuery.text: missing or blank. Give the words to search for.")
    return text


async def retrieve(search: PassageSearch, question: str, plan: RetrievalPlan) -> list[Found]:
    """The passages that answer, the best first. Raises as an invocation does, where an encoder is asked."""
    vector = await search.encoder.query(question) if search.encoder is not None else None
    query = SearchQuery(text=question, vector=vector, most=plan.most, search_type=plan.search_type, filter=plan.filter)
    found = await to_thread.run_sync(search.index.search, query)
    if plan.reranking is None:
        return found
    assert search.reranker is not None, "whoever plans to rerank has a reranker"
    return await _reranked(search.reranker, question, found, plan.reranking)


def attributes_of(found: Found) -> dict[str, Any]:
    """The attributes of a passage as results tell them: its document's, the reserved, the headings and the rule."""
    place: dict[str, Any] = {}
    if found.passage.headings:
        place[HEADINGS] = list(found.passage.headings)
    if found.passage.rule_number is not None:
        place[RULE_NUMBER] = found.passage.rule_number
    own = {name: list(value) if isinstance(value, tuple) else value for name, value in found.metadata.items()}
    return {**own, **place}


async def _reranked(reranker: EncoderTarget, question: str, found: Sequence[Found], plan: RerankingPlan) -> list[Found]:
    """The passages by their relevance; one longer than the model reads counts by the best of its parts."""
    from outcrop.invocation import ranking  # numpy comes with it

    parts = [_parts(reranker, question, _told(each, plan.is_shown)) for each in found]
    texts = [(number, text) for number, several in enumerate(parts) for text in several]
    ranked = await ranking.rank(reranker, question, [text for _, text in texts], most_of_document=plan.most_of_document)
    best: dict[int, float] = {}
    for one in ranked.documents:
        best.setdefault(texts[one.index][0], one.relevance)
    return [replace(found[number], score=score) for number, score in best.items()][: plan.most]


def _parts(reranker: EncoderTarget, question: str, text: str) -> list[str]:
    """The text in parts that the reranker reads beside the question."""
    reader = reranker.reader
    if not isinstance(reader, EncoderReader):
        return [text]
    counts = reader.tokenizer.counts
    room = reader.max_length - counts([question])[0] - _SPECIAL_TOKENS
    if room < _FEWEST_TOKENS:
        raise Invalid(
            f"The question is too long for the reranking model, which reads {reader.max_length} tokens of question and "
            "passage together. Shorten it, or leave rerankingConfiguration out."
        )
    return [text] if counts([text])[0] <= room else list(cut(text, lambda part: counts([part])[0], room))


def _told(found: Found, shown: AttributeChoice) -> str:
    """A passage as the reranker reads it: the attributes that were chosen, then the text."""
    attributes = _own(found.metadata)
    lines = [f"{key}: {value}" for key, value in attributes.items() if key in shown]
    return "\n".join([*lines, *found.passage.headings, found.text])


def _own(metadata: Metadata) -> Metadata:
    return {key: value for key, value in metadata.items() if not key.startswith(reserved.PREFIX)}


def _reranking(shape: Mapping[str, Any] | None, at: str) -> RerankingPlan | None:
    if not shape:
        return None
    config = shape.get("bedrockRerankingConfiguration")
    if config is None:
        raise Invalid(f"{at}.bedrockRerankingConfiguration: missing, where type is BEDROCK_RERANKING_MODEL.")
    model = config["modelConfiguration"]
    return RerankingPlan(
        model_arn=model["modelArn"],
        most=config.get("numberOfRerankedResults"),
        most_of_document=_most_of_document(model.get("additionalModelRequestFields") or {}, at),
        is_shown=_attributes(config.get("metadataConfiguration")),
    )


def _attributes(shape: Mapping[str, Any] | None) -> AttributeChoice:
    if not shape:
        return AttributeChoice()
    if shape["selectionMode"] == "ALL":
        return AttributeChoice(all=True)
    chosen = shape.get("selectiveModeConfiguration") or {}
    names = {member: frozenset(each["fieldName"] for each in fields) for member, fields in chosen.items()}
    return AttributeChoice(included=names.get("fieldsToInclude", frozenset()), excluded=names.get("fieldsToExclude"))


def _most_of_document(fields: Mapping[str, Any], at: str) -> int | None:
    """The tokens behind which a document is cut: the one additional field that is understood."""
    for name in fields.keys() - {"max_tokens_per_doc"}:
        raise Invalid(f"{at}: additionalModelRequestFields.{name}: is not understood. Leave it out.")
    most = fields.get("max_tokens_per_doc")
    if most is not None and (type(most) is not int or most < 1):
        raise Invalid(f"{at}: additionalModelRequestFields.max_tokens_per_doc: expected a whole number of at least 1.")
    return most
