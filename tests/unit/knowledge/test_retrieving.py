"""Retrieval plans read from requests, and passages put into a new order by a reranker."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from outcrop.errors import Invalid
from outcrop.knowledge import retrieving
from outcrop.knowledge.passage_index import SearchQuery, SearchType
from outcrop.knowledge.passages import Found
from outcrop.knowledge.retrieving import PassageSearch, RetrievalPlan, read_plan, read_query
from outcrop.network.model_task import ModelTask
from tests.support.encoder_target import encoding
from tests.support.found_passages import found

RERANKER = "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0"


@dataclass
class GivenIndex:
    """An index that finds what it was given."""

    passages: list[Found]
    asked: list[SearchQuery] = field(default_factory=list)

    def search(self, query: SearchQuery) -> list[Found]:
        self.asked.append(query)
        return self.passages[: query.most]


def vector(**config: Any) -> dict[str, Any]:
    return {"vectorSearchConfiguration": config}


def reranking(**config: Any) -> dict[str, Any]:
    own = {"modelConfiguration": {"modelArn": RERANKER}, **config}
    return vector(
        rerankingConfiguration={"type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration": own},
    )


def test_nothing_given_is_bedrocks_default() -> None:
    assert read_plan(None, at="x") == RetrievalPlan(most=5, search_type=SearchType.HYBRID)


def test_everything_given_is_read() -> None:
    plan = read_plan(
        {
            "vectorSearchConfiguration": {
                "numberOfResults": 9,
                "overrideSearchType": "SEMANTIC",
                "filter": {"equals": {"key": "a", "value": 1}},
                **reranking(numberOfRerankedResults=3)["vectorSearchConfiguration"],
            }
        },
        at="x",
    )
    assert (plan.most, plan.search_type) == (9, SearchType.SEMANTIC)
    assert plan.filter is not None
    assert plan.filter.matches({"a": 1})
    assert plan.reranking is not None
    assert (plan.reranking.model_arn, plan.reranking.most) == (RERANKER, 3)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"selectionMode": "ALL"}, {"a", "b"}),
        (None, set()),
        (
            {"selectionMode": "SELECTIVE", "selectiveModeConfiguration": {"fieldsToInclude": [{"fieldName": "a"}]}},
            {"a"},
        ),
        (
            {"selectionMode": "SELECTIVE", "selectiveModeConfiguration": {"fieldsToExclude": [{"fieldName": "a"}]}},
            {"b"},
        ),
    ],
)
def test_the_attributes_that_a_reranker_reads_are_chosen(config: dict[str, Any] | None, told: set[str]) -> None:
    given = {"metadataConfiguration": config} if config else {}
    plan = read_plan(reranking(**given), at="x")
    assert plan.reranking is not None
    assert {name for name in ("a", "b") if name in plan.reranking.is_shown} == told


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (
            vector(rerankingConfiguration={"type": "BEDROCK_RERANKING_MODEL"}),
            "x.vectorSearchConfiguration.rerankingConfiguration.bedrockRerankingConfiguration: missing, where type is "
            "BEDROCK_RERANKING_MODEL.",
        ),
        (
            reranking(modelConfiguration={"modelArn": RERANKER, "additionalModelRequestFields": {"top_n": 1}}),
            "x.vectorSearchConfiguration.rerankingConfiguration: additionalModelRequestFields.top_n: is not understood. "
            "Leave it out.",
        ),
        (
            vector(implicitFilterConfiguration={"modelArn": RERANKER}),
            "x.vectorSearchConfiguration.implicitFilterConfiguration: filters that a model makes of the question are not "
            "built in Outcrop. Write them as filter.",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(shape: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_plan(shape, at="x")
    assert refused.value.message == sentence


@pytest.mark.parametrize("shape", [{}, {"text": ""}, {"text": " \n"}])
def test_a_query_without_words_is_refused(shape: dict[str, str]) -> None:
    with pytest.raises(Invalid, match=r"retrievalQuery\.text: missing or blank"):
        read_query(shape)


def test_a_search_is_asked_for_what_the_plan_says() -> None:
    index = GivenIndex([found("a")])
    plan = RetrievalPlan(most=7, search_type=SearchType.SEMANTIC)
    asyncio.run(retrieving.retrieve(PassageSearch(index=cast(Any, index)), "why", plan))
    assert index.asked == [SearchQuery(text="why", vector=None, most=7, search_type=SearchType.SEMANTIC)]


@pytest.mark.parametrize("most", [None, 2])
def test_a_reranker_puts_passages_into_its_own_order_and_reads_long_ones_in_parts(
    tmp_path: Path, most: int | None
) -> None:
    passages = [
        found("the sea " * 40, number=0),
        found("the old house by the river", number=1),
        found("the sea", number=2),
    ]
    plan = read_plan(reranking(**({"numberOfRerankedResults": most} if most else {})), at="x")

    async def rank() -> tuple[list[Found], list[int]]:
        async with encoding(tmp_path, ModelTask.RERANKING, max_length=48) as (target, engine):
            search = PassageSearch(index=cast(Any, GivenIndex(passages)), reranker=target)
            ranked = await retrieving.retrieve(search, "who built the bridge ?", plan)
            return ranked, [len(row) for request in engine.requests for row in request["input"]]

    ranked, lengths = asyncio.run(rank())
    scores = [one.score for one in ranked]
    assert scores == sorted(scores, reverse=True)
    assert len({one.passage.chunk_id for one in ranked}) == len(ranked) == (most or 3)
    assert max(lengths) <= 48
    assert len(lengths) > 3


def test_a_question_that_leaves_a_reranker_no_room_is_refused(tmp_path: Path) -> None:
    async def rank() -> None:
        async with encoding(tmp_path, ModelTask.RERANKING, max_length=24) as (target, _):
            search = PassageSearch(index=cast(Any, GivenIndex([found("the sea")])), reranker=target)
            await retrieving.retrieve(search, "the bridge " * 20, read_plan(reranking(), at="x"))

    with pytest.raises(Invalid, match="The question is too long for the reranking model, which reads 24 tokens"):
        asyncio.run(rank())
