"""Vectors and rankings of texts, from a real tokenizer and an engine that answers with what it was given."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from outcrop.clock import MovableClock
from outcrop.errors import Invalid, Throttled
from outcrop.inference.client import EngineAway
from outcrop.invocation.admission import Admission, Allowance, ReservedCapacity
from outcrop.invocation.embedding import embed
from outcrop.invocation.ranking import RankedDocument, rank
from outcrop.invocation.target import EncoderTarget
from outcrop.invocation.text_rows import CausalReader, EncoderReader, Reading
from outcrop.network.model_task import ModelTask
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer, TextTooLong, Truncate
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.encoder_target import encoding
from tests.support.engine_double import EngineDouble
from tests.support.patience import PATIENCE_S
from tests.support.small_tokenizers import byte_level
from tests.support.word_tokenizers import FIRST, LAST, ids, word_level

Scenario = Callable[[EncoderTarget, EngineDouble], Awaitable[None]]


def run(folder: Path, scenario: Scenario, task: ModelTask = ModelTask.EMBEDDING, **changes: Any) -> None:
    async def whole() -> None:
        async with encoding(folder, task, **changes) as (target, engine):
            await scenario(target, engine)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def test_each_text_has_its_vector_and_every_token_is_counted(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        found = await embed(target, ["the river", "book"], dimensions=None, normalize=False, kind=None)
        assert found.vectors == [[4.0, FIRST, LAST, 0.0], [3.0, FIRST, LAST, 0.0]]
        assert found.num_input_tokens == 7
        assert engine.requests[0]["model"] == "base"

    run(tmp_path, scenario)


def test_a_cut_vector_is_brought_to_length_one_again(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, _engine: EngineDouble) -> None:
        (whole,) = (await embed(target, ["the river"], dimensions=None, normalize=True, kind=None)).vectors
        (cut,) = (await embed(target, ["the river"], dimensions=2, normalize=True, kind=None)).vectors
        (plain,) = (await embed(target, ["the river"], dimensions=2, normalize=False, kind=None)).vectors
        assert (len(whole), len(cut), plain) == (4, 2, [4.0, 2.0])
        assert math.dist(cut, [4 / math.sqrt(20), 2 / math.sqrt(20)]) < 1e-7
        assert [math.hypot(*whole), math.hypot(*cut)] == pytest.approx([1, 1])

    run(tmp_path, scenario)


def test_more_dimensions_than_the_model_has_are_refused_before_it_is_asked(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        with pytest.raises(Invalid) as refused:
            await embed(target, ["book"], dimensions=256, normalize=True, kind=None)
        assert str(refused.value) == (
            "dimensions: 256 are asked for, and the model behind amazon.titan-embed-text-v2:0 makes vectors of 4. Ask "
            "for 4 or fewer, or let a wider model stand behind this id."
        )
        assert engine.requests == []

    run(tmp_path, scenario)


def test_an_engine_that_tells_the_width_with_its_answer_is_held_to_it_too(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, _engine: EngineDouble) -> None:
        with pytest.raises(Invalid, match="makes vectors of 4"):
            await embed(target, ["book"], dimensions=5, normalize=True, kind=None)

    run(tmp_path, scenario, width=None)


@pytest.mark.parametrize(("kind", "words"), [("query", "query : book"), ("document", "passage : book"), (None, "book")])
def test_the_models_words_stand_before_a_text_of_each_kind(tmp_path: Path, kind: Any, words: str) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        await embed(target, ["book"], dimensions=None, normalize=True, kind=kind)
        assert engine.requests[0]["input"] == [[FIRST, *ids(words), LAST]]

    run(tmp_path, scenario)


def test_a_default_prompt_is_for_texts_that_have_none_of_their_own(tmp_path: Path) -> None:
    tokenizer = EncoderTokenizer.open(word_level(tmp_path))
    prompts = {"query": "query: ", "Clustering": "topic: "}
    reader = EncoderReader(tokenizer=tokenizer, max_length=9, prompts=prompts, default_prompt="query")
    assert reader.prompt_for(None) == "query: "
    assert reader.prompt_for("query") == "query: "
    assert reader.prompt_for("document") == ""
    assert reader.prompt_for("clustering") == "topic: "
    assert reader.prompt_for("classification") == "query: "


def test_no_texts_ask_no_engine(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        found = await embed(target, [], dimensions=None, normalize=True, kind=None)
        assert (found.vectors, found.num_input_tokens, engine.requests) == ([], 0, [])

    run(tmp_path, scenario)


def test_a_text_beyond_the_limit_is_refused_or_cut_where_that_is_wished(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        long = "one two three four five six seven"
        with pytest.raises(TextTooLong):
            await embed(target, [long], dimensions=None, normalize=True, kind=None)
        with pytest.raises(TextTooLong):
            await embed(target, ["one two three"], dimensions=None, normalize=True, kind=None, most_tokens=4)
        await embed(target, [long], dimensions=None, normalize=True, kind=None, truncate=Truncate.END)
        assert engine.requests[0]["input"] == [[FIRST, *ids("one two three four five six"), LAST]]

    run(tmp_path, scenario)


def test_a_request_waits_for_an_engine_that_dies_and_is_asked_again(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        engine.die_after = [0]
        found = await embed(target, ["book"], dimensions=None, normalize=False, kind=None)
        assert found.vectors == [[3.0, FIRST, LAST, 0.0]]
        assert len(engine.requests) == 2

    run(tmp_path, scenario)


def test_an_engine_that_stays_away_is_told_of(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        await engine.stop()
        with pytest.raises(EngineAway):
            await embed(target, ["book"], dimensions=None, normalize=False, kind=None)

    run(tmp_path, scenario, patience_s=0.1)


def test_a_request_is_held_against_its_limits_by_its_tokens(tmp_path: Path) -> None:
    units = ReservedCapacity(arn="arn:a", name="small", num_units=1, tokens_per_minute=10)
    allowance = Allowance(admission=Admission(None, MovableClock()), capacity=units)

    async def scenario(target: EncoderTarget, _engine: EngineDouble) -> None:
        await embed(target, ["one two three", "four"], dimensions=None, normalize=True, kind=None)
        with pytest.raises(Throttled, match="small has 1 model unit: 10 tokens a minute"):
            await embed(target, ["five"], dimensions=None, normalize=True, kind=None)

    run(tmp_path, scenario, allowance=allowance)


def test_documents_come_back_the_most_relevant_first(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        found = await rank(target, "who", ["one two three", "one", "two"])
        assert found.documents == [
            RankedDocument(1, 0.5**5),
            RankedDocument(2, 0.5**5),
            RankedDocument(0, 0.5**7),
        ]
        assert found.num_input_tokens == 17
        assert engine.requests[0]["token_type_ids"][1] == [0, 0, 0, 1, 1]

    run(tmp_path, scenario, ModelTask.RERANKING)


def test_a_document_is_cut_where_that_is_wished(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        with pytest.raises(TextTooLong):
            await rank(target, "who wrote", ["one two three four"])
        await rank(target, "who wrote", ["one two three four"], most_of_document=2)
        assert engine.requests[0]["input"] == [[FIRST, *ids("who wrote"), LAST, *ids("one two"), LAST]]

    run(tmp_path, scenario, ModelTask.RERANKING)


def test_neither_does_the_others_work(tmp_path: Path) -> None:
    async def vectors(target: EncoderTarget, _engine: EngineDouble) -> None:
        with pytest.raises(Invalid, match="tells no relevance of documents"):
            await rank(target, "who", ["one"])

    async def relevance(target: EncoderTarget, _engine: EngineDouble) -> None:
        with pytest.raises(Invalid, match="makes no vectors of text"):
            await embed(target, ["one"], dimensions=None, normalize=True, kind=None)

    run(tmp_path, vectors)
    run(tmp_path, relevance, ModelTask.RERANKING)


def test_a_text_model_that_stands_in_reads_texts_as_it_always_does(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(byte_level(tmp_path))
    reader = CausalReader(tokenizer=tokenizer, max_length=6)
    rows = reader.rows(["hi", ""], Reading(kind="query"))
    assert rows[0].ids == tokenizer.encode("hi", begin=True)
    assert rows[1].ids  # a text without words has a vector all the same
    with pytest.raises(TextTooLong):
        reader.rows(["hi", "a text that is too long"], Reading())
    whole = tokenizer.encode("a text that is too long", begin=True)
    (start,) = reader.rows(["a text that is too long"], Reading(truncate=Truncate.START))
    (end,) = reader.rows(["a text that is too long"], Reading(truncate=Truncate.END, most_tokens=4))
    assert (start.ids, end.ids) == (whole[-6:], whole[:4])
