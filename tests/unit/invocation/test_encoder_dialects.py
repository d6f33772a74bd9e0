"""Bodies of embedding models and rerankers: what each takes, what it answers, and the words in which it refuses."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.errors import Invalid
from outcrop.invocation import invoke_encoder, vector_types
from outcrop.invocation.encoder_dialects.dialect import EmbeddingAsked
from outcrop.invocation.encoder_dialects.titan import TITAN_V2
from outcrop.invocation.target import EncoderTarget
from outcrop.network.model_task import ModelTask
from tests.support.encoder_target import encoding
from tests.support.engine_double import EngineDouble
from tests.support.patience import PATIENCE_S
from tests.support.word_tokenizers import FIRST, LAST, ids

Scenario = Callable[[EncoderTarget, EngineDouble], Awaitable[None]]
MALFORMED = "Malformed input request: {}, please reformat your input and try again."
RIVER = {"texts": ["the river"], "input_type": "search_document"}


def run(folder: Path, scenario: Scenario, task: ModelTask = ModelTask.EMBEDDING, **changes: Any) -> None:
    async def whole() -> None:
        async with encoding(folder, task, **changes) as (target, engine):
            await scenario(target, engine)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def answer(folder: Path, body: Any, task: ModelTask = ModelTask.EMBEDDING, **changes: Any) -> dict[str, Any]:
    """The response to one body, and its token count under `counted`."""
    found: dict[str, Any] = {}

    async def scenario(target: EncoderTarget, _engine: EngineDouble) -> None:
        invoked = await invoke_encoder.invoke(target, json.dumps(body).encode())
        found.update(invoked.response, counted=invoked.num_input_tokens)

    run(folder, scenario, task, **changes)
    return found


def refusal(folder: Path, body: Any, task: ModelTask = ModelTask.EMBEDDING, **changes: Any) -> str:
    with pytest.raises(Invalid) as refused:
        answer(folder, body, task, **changes)
    return str(refused.value)


def test_titan_v1_answers_one_text_as_the_models_own_files_say(tmp_path: Path) -> None:
    plain = answer(tmp_path, {"inputText": "the river"}, dialect="titan-embed-v1")
    assert plain == {"embedding": [4.0, FIRST, LAST, 0.0], "inputTextTokenCount": 4, "counted": 4}
    unit = answer(tmp_path, {"inputText": "the river"}, dialect="titan-embed-v1", normalizes=True)
    assert np.linalg.norm(unit["embedding"]) == pytest.approx(1)


def test_titan_v2_answers_in_the_types_that_are_asked_for(tmp_path: Path) -> None:
    usual = answer(tmp_path, {"inputText": "the river"}, dialect="titan-embed-v2")
    assert list(usual["embeddingsByType"]) == ["float"]
    assert usual["embedding"] == usual["embeddingsByType"]["float"]
    assert np.linalg.norm(usual["embedding"]) == pytest.approx(1)
    body = {"inputText": "the river", "embeddingTypes": ["binary"], "normalize": False}
    bits = answer(tmp_path, body, dialect="titan-embed-v2")
    assert bits["embeddingsByType"] == {"binary": [1, 1, 1, 0]}
    assert bits["embedding"] == [4.0, FIRST, LAST, 0.0]


def test_an_id_of_aws_gives_no_more_numbers_than_it_has_usually(tmp_path: Path) -> None:
    async def scenario(target: EncoderTarget, _engine: EngineDouble) -> None:
        dialect, asked = TITAN_V2, EmbeddingAsked(texts=("a",))
        assert invoke_encoder._dimensions(target, dialect, asked) is None
        wide = [EncoderTarget(**{**vars(target), "width": 4096, "dialect": name}) for name in ("titan-embed-v2", "any")]
        assert [invoke_encoder._dimensions(each, dialect, asked) for each in wide] == [1024, None]

    run(tmp_path, scenario, dialect="titan-embed-v2")


def test_cohere_answers_many_texts_as_floats_or_by_type(tmp_path: Path) -> None:
    body = {"texts": ["the river", "book"], "input_type": "search_query"}
    floats = answer(tmp_path, body, dialect="cohere-embed-v3")
    assert (floats["response_type"], floats["texts"]) == ("embeddings_floats", body["texts"])
    assert [np.linalg.norm(one) for one in floats["embeddings"]] == pytest.approx([1, 1])
    assert floats["counted"] == 11  # with the prompt of a query
    kinds = ["ubinary", "int8", "float", "uint8", "binary"]
    by_type = answer(tmp_path, {**body, "embedding_types": kinds}, dialect="cohere-embed-v3")
    assert by_type["response_type"] == "embeddings_by_type"
    assert by_type["embeddings"].keys() == set(kinds)
    assert by_type["embeddings"]["float"] == floats["embeddings"]
    assert by_type["embeddings"]["ubinary"] == [[0b11100000], [0b11100000]]
    assert by_type["embeddings"]["binary"] == [[0b11100000 - 128], [0b11100000 - 128]]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("search_query", "query : book"), ("search_document", "passage : book"), ("clustering", "book")],
)
def test_the_input_type_chooses_the_models_own_words(tmp_path: Path, kind: str, words: str) -> None:
    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        await invoke_encoder.invoke(target, json.dumps({"texts": ["book"], "input_type": kind}).encode())
        assert engine.requests[0]["input"] == [[FIRST, *ids(words), LAST]]

    run(tmp_path, scenario, dialect="cohere-embed-v3")


@pytest.mark.parametrize(
    ("dialect", "truncate", "kept"),
    [
        ("cohere-embed-v3", "END", "one two three four five six"),
        ("cohere-embed-v3", "START", "two three four five six seven"),
        ("cohere-embed-v4", "RIGHT", "one two three four five six"),
        ("cohere-embed-v4", "LEFT", "two three four five six seven"),
    ],
)
def test_a_long_text_is_cut_at_the_end_that_truncate_names(
    tmp_path: Path, dialect: str, truncate: str, kept: str
) -> None:
    long = {"texts": ["one two three four five six seven"], "input_type": "clustering"}

    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        await invoke_encoder.invoke(target, json.dumps({**long, "truncate": truncate}).encode())
        assert engine.requests[0]["input"] == [[FIRST, *ids(kept), LAST]]

    run(tmp_path, scenario, dialect=dialect)
    for body in (long, {**long, "truncate": "NONE"}):
        assert refusal(tmp_path, body, dialect=dialect).startswith(
            "Input is too long for requested model. Text 1 has 9"
        )


def test_the_fourth_version_takes_texts_in_inputs_and_a_limit_of_tokens(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two three"}]
    body = {"inputs": [{"content": parts}], "input_type": "clustering", "max_tokens": 4, "truncate": "RIGHT"}

    async def scenario(target: EncoderTarget, engine: EngineDouble) -> None:
        invoked = await invoke_encoder.invoke(target, json.dumps(body).encode())
        assert engine.requests[0]["input"] == [[FIRST, *ids("one two"), LAST]]
        assert invoked.response["texts"] == ["one\ntwo three"]

    run(tmp_path, scenario, dialect="cohere-embed-v4")


@pytest.mark.parametrize(
    "body",
    [
        {"images": ["data:image/png;base64,AA=="], "input_type": "image"},
        {"texts": ["a"], "input_type": "image"},
        {"images": ["data:image/png;base64,AA=="], "input_type": "search_document", "texts": ["a"]},
        {"inputs": [{"content": [{"type": "image_url", "image_url": "data:,"}]}], "input_type": "search_document"},
    ],
)
@pytest.mark.parametrize("dialect", ["cohere-embed-v3", "cohere-embed-v4", "any"])
def test_pictures_are_refused_by_name(tmp_path: Path, body: dict[str, Any], dialect: str) -> None:
    assert refusal(tmp_path, body, dialect=dialect).startswith("images: embeddings of images are not built in Outcrop")


@pytest.mark.parametrize(
    ("dialect", "body", "problem"),
    [
        ("titan-embed-v1", {}, "#: required key [inputText] not found"),
        ("titan-embed-v1", {"inputText": ""}, "#/inputText: expected minLength: 1, actual: 0"),
        ("titan-embed-v1", {"inputText": "a", "dimensions": 256}, "#: extraneous key [dimensions] is not permitted"),
        ("titan-embed-v2", {"inputText": "a" * 50_001}, "#/inputText: expected maxLength: 50000, actual: 50001"),
        ("titan-embed-v2", {"inputText": "a", "dimensions": 300}, "#/dimensions: 300 is not a valid enum value"),
        ("titan-embed-v2", {"inputText": "a", "dimensions": "256"}, "#/dimensions: expected type: Integer, found: String"),
        ("titan-embed-v2", {"inputText": "a", "normalize": 1}, "#/normalize: expected type: Boolean, found: Integer"),
        ("titan-embed-v2", {"inputText": "a", "embeddingTypes": ["int8"]}, "#/embeddingTypes/0: int8 is not a valid enum value"),
        ("titan-embed-v2", {"inputText": "a", "embeddingTypes": []}, "#/embeddingTypes: expected minimum item count: 1, found: 0"),
        ("titan-embed-v2", {"prompt": "a", "max_gen_len": 3}, "#: required key [inputText] not found#: extraneous key [prompt] is not permitted#: extraneous key [max_gen_len] is not permitted"),
        ("titan-embed-v2", {"inputText": "a", "textGenerationConfig": {}}, "#: extraneous key [textGenerationConfig] is not permitted"),
        ("cohere-embed-v3", {"inputText": "a"}, "#: required key [texts] not found#: required key [input_type] not found#: extraneous key [inputText] is not permitted"),
        ("cohere-embed-v3", {"texts": ["a"] * 97, "input_type": "clustering"}, "#/texts: expected maximum item count: 96, found: 97"),
        ("cohere-embed-v3", {"texts": ["a", "b" * 2049], "input_type": "clustering"}, "#/texts/1: expected maxLength: 2048, actual: 2049"),
        ("cohere-embed-v3", {**RIVER, "input_type": "search"}, "#/input_type: search is not a valid enum value"),
        ("cohere-embed-v3", {**RIVER, "truncate": "LEFT"}, "#/truncate: LEFT is not a valid enum value"),
        ("cohere-embed-v3", {**RIVER, "embedding_types": ["bits"]}, "#/embedding_types/0: bits is not a valid enum value"),
        ("cohere-embed-v3", {**RIVER, "output_dimension": 256}, "#: extraneous key [output_dimension] is not permitted"),
        ("cohere-embed-v4", {"input_type": "clustering"}, "#: expected one of the keys [texts] and [inputs]"),
        ("cohere-embed-v4", {**RIVER, "inputs": []}, "#: expected one of the keys [texts] and [inputs]"),
        ("cohere-embed-v4", {**RIVER, "output_dimension": 100}, "#/output_dimension: 100 is not a valid enum value"),
        ("cohere-embed-v4", {"inputs": [{"content": [{"type": "text"}]}], "input_type": "clustering"}, "#/inputs: a part of type text has no text"),
        ("any", {"prompt": "a"}, "#: none of the keys [inputText], [texts] and [inputs] found"),
    ],
)  # fmt: skip
def test_a_body_that_is_wrong_is_refused_in_the_providers_words(
    tmp_path: Path, dialect: str, body: dict[str, Any], problem: str
) -> None:
    assert refusal(tmp_path, body, dialect=dialect) == MALFORMED.format(problem)


def test_titan_tells_how_many_tokens_were_too_many(tmp_path: Path) -> None:
    body = {"inputText": "one two three four five six seven"}
    for dialect in ("titan-embed-v1", "titan-embed-v2"):
        assert refusal(tmp_path, body, dialect=dialect) == (
            "400 Bad Request: Too many input tokens. Max input tokens: 8, request input token count: 9 "
        )


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"'])
def test_what_is_no_object_is_refused(tmp_path: Path, body: bytes) -> None:
    async def scenario(target: EncoderTarget, _engine: EngineDouble) -> None:
        with pytest.raises(Invalid, match="Malformed input request"):
            await invoke_encoder.invoke(target, body)

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        ({"inputText": "book"}, {"embedding", "embeddingsByType", "inputTextTokenCount"}),
        ({"texts": ["book"], "input_type": "clustering"}, {"embeddings", "id", "response_type", "texts"}),
    ],
)
def test_a_model_under_its_own_id_takes_either_body(tmp_path: Path, body: dict[str, Any], keys: set[str]) -> None:
    assert answer(tmp_path, body).keys() - {"counted"} == keys


@pytest.mark.parametrize(
    ("dialect", "more"),
    [("cohere-rerank", {"api_version": 2}), ("amazon-rerank", {}), ("any", {}), ("any", {"api_version": 2})],
)
def test_a_ranking_is_sorted_and_holds_as_many_as_are_wanted(
    tmp_path: Path, dialect: str, more: dict[str, Any]
) -> None:
    body = {"query": "who wrote", "documents": ["one two", "one"], **more}
    found = answer(tmp_path, body, ModelTask.RERANKING, dialect=dialect)
    assert found["results"] == [{"index": 1, "relevance_score": 0.5**6}, {"index": 0, "relevance_score": 0.5**7}]
    assert found["counted"] == 13
    best = answer(tmp_path, {**body, "top_n": 1}, ModelTask.RERANKING, dialect=dialect)
    assert best["results"] == found["results"][:1]


@pytest.mark.parametrize(
    ("dialect", "body", "problem"),
    [
        ("cohere-rerank", {"prompt": "a"}, "#: required key [query] not found#: required key [documents] not found#: required key [api_version] not found#: extraneous key [prompt] is not permitted"),
        ("cohere-rerank", {"query": "a", "documents": ["b"], "api_version": 1}, "#/api_version: 1 is not greater or equal to 2"),
        ("cohere-rerank", {"query": "a", "documents": [], "api_version": 2}, "#/documents: expected minimum item count: 1, found: 0"),
        ("amazon-rerank", {"query": "", "documents": ["b"]}, "#/query: expected minLength: 1, actual: 0"),
        ("amazon-rerank", {"query": "a", "documents": [{"text": "b"}]}, "#/documents/0: expected type: String, found: JSONObject"),
        ("amazon-rerank", {"query": "a", "documents": ["b"], "top_n": 0}, "#/top_n: 0 is not greater or equal to 1"),
        ("amazon-rerank", {"query": "a", "documents": ["b"], "api_version": 2}, "#: extraneous key [api_version] is not permitted"),
        ("amazon-rerank", {"query": "a", "documents": ["b"] * 1001}, "#/documents: expected maximum item count: 1000, found: 1001"),
    ],
)  # fmt: skip
def test_a_ranking_that_is_wrong_is_refused_in_the_providers_words(
    tmp_path: Path, dialect: str, body: dict[str, Any], problem: str
) -> None:
    assert refusal(tmp_path, body, ModelTask.RERANKING, dialect=dialect) == MALFORMED.format(problem)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=64))
def test_whole_numbers_and_bits_keep_their_ranges_and_signs(vector: list[float]) -> None:
    assert all(-128 <= one <= 127 for one in vector_types.int8(vector))
    assert vector_types.uint8(vector) == [one + 128 for one in vector_types.int8(vector)]
    bits = vector_types.bits(vector)
    assert bits == [int(one > 0) for one in vector]
    packed = vector_types.ubinary(vector)
    assert np.unpackbits(np.array(packed, np.uint8))[: len(vector)].tolist() == bits
    assert vector_types.binary(vector) == [one - 128 for one in packed]


def test_whole_numbers_keep_what_is_near_near() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(40, 384))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors + 0.02 * generator.normal(size=vectors.shape)
    whole = np.array([vector_types.int8(one) for one in vectors], float)
    others = np.array([vector_types.int8(one) for one in near / np.linalg.norm(near, axis=1, keepdims=True)], float)
    cosines = whole @ others.T / np.outer(np.linalg.norm(whole, axis=1), np.linalg.norm(others, axis=1))
    assert (cosines.argmax(1) == np.arange(40)).all()
    exact = vectors @ (near / np.linalg.norm(near, axis=1, keepdims=True)).T
    assert np.abs(cosines - exact).max() < 0.01
