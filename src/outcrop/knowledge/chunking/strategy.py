"""Chunking strategies of a data source: read from the request once, and applied to each document."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from outcrop.errors import Invalid
from outcrop.knowledge.chunking.document_text import DocumentText
from outcrop.knowledge.chunking.packing import PackingLimits, TextSpan, pack
from outcrop.knowledge.chunking.semantic import Embed, breaks_of
from outcrop.knowledge.chunking.text_units import units_of
from outcrop.knowledge.chunking.token_counts import TokenCounts

DEFAULT_TOKENS = 300
"As Bedrock's own default."
_MOST_OVERLAP = 99


class ChunkingStrategy(StrEnum):
    """How a document is cut into passages, in Bedrock's words."""

    DEFAULT = "DEFAULT"
    "For a data source that says nothing."
    FIXED_SIZE = "FIXED_SIZE"
    HIERARCHICAL = "HIERARCHICAL"
    SEMANTIC = "SEMANTIC"
    NONE = "NONE"


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """A strategy with its numbers; those that it does not use are 0."""

    strategy: ChunkingStrategy = ChunkingStrategy.DEFAULT
    most_tokens: int = DEFAULT_TOKENS
    "Of a passage; in hierarchical chunking of a child."
    overlap_tokens: int = 0
    parent_tokens: int = 0
    buffer: int = 0
    percentile: int = 0


@dataclass(frozen=True, kw_only=True)
class Chunks:
    """The passages of a document as spans, and in hierarchical chunking their parents."""

    spans: list[TextSpan]
    parents: list[TextSpan]
    parent_of: list[int | None]
    "Of each span, the number of its parent."


def read_chunking(configuration: Mapping[str, Any] | None) -> Chunking:
    """The chunking of a member chunkingConfiguration. Raises Invalid for a configuration that cannot be."""
    if configuration is None:
        return Chunking()
    strategy = ChunkingStrategy(configuration["chunkingStrategy"])
    if strategy is ChunkingStrategy.NONE:
        return Chunking(strategy=strategy)
    member = _MEMBERS[strategy]
    settings: Mapping[str, Any] | None = configuration.get(member)
    if settings is None:
        raise Invalid(f"chunkingConfiguration: {member} is missing, where chunkingStrategy is {strategy}.")
    if strategy is ChunkingStrategy.FIXED_SIZE:
        most = settings["maxTokens"]
        overlap = most * min(_MOST_OVERLAP, settings["overlapPercentage"]) // 100
        return Chunking(strategy=strategy, most_tokens=most, overlap_tokens=overlap)
    if strategy is ChunkingStrategy.HIERARCHICAL:
        return _hierarchical(settings)
    return Chunking(
        strategy=strategy,
        most_tokens=settings["maxTokens"],
        buffer=settings["bufferSize"],
        percentile=settings["breakpointPercentileThreshold"],
    )


def chunks_of(document: DocumentText, chunking: Chunking, counts: TokenCounts, embed: Embed | None) -> Chunks:
    """The chunks of a document. `embed` is needed by semantic chunking alone."""
    match chunking.strategy:
        case ChunkingStrategy.NONE:
            return _alone(_whole(document.text))
        case ChunkingStrategy.HIERARCHICAL:
            return _with_parents(document, chunking, counts)
        case ChunkingStrategy.SEMANTIC:
            assert embed is not None, "semantic chunking was refused where there is no encoder"
            return _alone(_by_meaning(document.text, chunking, counts, embed))
        case ChunkingStrategy.FIXED_SIZE:
            return _alone(_packed(document, chunking, counts))
        case ChunkingStrategy.DEFAULT:
            # A heading or a rule begins a passage of its own, but no heap of scraps: a quarter is enough of a passage.
            return _alone(_packed(document, chunking, counts, least=chunking.most_tokens // 4))


_MEMBERS = {
    ChunkingStrategy.FIXED_SIZE: "fixedSizeChunkingConfiguration",
    ChunkingStrategy.HIERARCHICAL: "hierarchicalChunkingConfiguration",
    ChunkingStrategy.SEMANTIC: "semanticChunkingConfiguration",
}


def _hierarchical(settings: Mapping[str, Any]) -> Chunking:
    parent, child = (level["maxTokens"] for level in settings["levelConfigurations"])
    overlap = settings["overlapTokens"]
    if parent <= child:
        raise Invalid(
            f"levelConfigurations: the second level has {child} tokens, and the first {parent}. A parent holds its "
            "children: give the first level more."
        )
    if overlap >= child:
        raise Invalid(f"overlapTokens: {overlap} is not below the {child} tokens of the second level. Choose fewer.")
    return Chunking(
        strategy=ChunkingStrategy.HIERARCHICAL, most_tokens=child, parent_tokens=parent, overlap_tokens=overlap
    )


def _alone(spans: list[TextSpan]) -> Chunks:
    return Chunks(spans=spans, parents=[], parent_of=[None] * len(spans))


def _whole(text: str) -> list[TextSpan]:
    start = len(text) - len(text.lstrip())
    return [TextSpan(start, len(text.rstrip()))] if text.strip() else []


def _packed(
    document: DocumentText, chunking: Chunking, counts: TokenCounts, least: int | None = None
) -> list[TextSpan]:
    units = units_of(document.text, counts, chunking.most_tokens)
    limits = PackingLimits(
        most_tokens=chunking.most_tokens,
        overlap_tokens=chunking.overlap_tokens,
        borders=document.borders if least is not None else (),
        least_tokens=least or 0,
    )
    return pack(document.text, units, counts, limits)


def _with_parents(document: DocumentText, chunking: Chunking, counts: TokenCounts) -> Chunks:
    text = document.text
    units = units_of(text, counts, chunking.parent_tokens)
    limits = PackingLimits(most_tokens=chunking.parent_tokens, overlap_tokens=chunking.overlap_tokens)
    parents = pack(text, units, counts, limits)
    spans: list[TextSpan] = []
    parent_of: list[int | None] = []
    inner = PackingLimits(most_tokens=chunking.most_tokens, overlap_tokens=chunking.overlap_tokens)
    for number, parent in enumerate(parents):
        parts = units_of(text[parent.start : parent.end], counts, chunking.most_tokens, start=parent.start)
        # What the parent before holds too is found there: a passage stands in the index once.
        repeated_until = parents[number - 1].end if number else 0
        children = [child for child in pack(text, parts, counts, inner) if child.end > repeated_until]
        spans += children
        parent_of += [number] * len(children)
    return Chunks(spans=spans, parents=parents, parent_of=parent_of)


def _by_meaning(text: str, chunking: Chunking, counts: TokenCounts, embed: Embed) -> list[TextSpan]:
    units = units_of(text, counts, chunking.most_tokens)
    breaks = breaks_of(text, units, embed, buffer=chunking.buffer, percentile=chunking.percentile)
    limits = PackingLimits(most_tokens=chunking.most_tokens, borders=frozenset(breaks))
    return pack(text, units, counts, limits)
