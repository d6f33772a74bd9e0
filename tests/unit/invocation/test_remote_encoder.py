"""A remote embedding model: vectors as its server makes them, and all else refused by name."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.errors import Invalid, ModelFailed
from outcrop.inference.client import GenerationRequest
from outcrop.inference.encoder_requests import EmbeddingRequest, RankingRequest
from outcrop.inference.request import Sampling
from outcrop.invocation.embedding import Embedded, embed
from outcrop.invocation.remote.credentials import BearerKey
from outcrop.invocation.remote.https import RemoteHttp
from outcrop.invocation.remote.openai_encoder import OpenAiEncoder
from outcrop.invocation.remote.openai_server import OpenAiServer
from outcrop.invocation.target import EncoderTarget
from outcrop.network.model_task import ModelTask
from tests.support.openai_double import Answer, OpenAiDouble, openai_double
from tests.support.patience import PATIENCE_S


def vectors(*made: list[float]) -> Answer:
    told = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(made)]
    return Answer(200, json.dumps({"data": told[::-1]}).encode())  # in whatever order


def ask(double: OpenAiDouble, scenario: Callable[[OpenAiEncoder], Awaitable[Any]]) -> Any:
    async def asked() -> Any:
        remote = RemoteModel(api=RemoteApi.OPENAI, url=double.url, model="embed-1")
        encoder = OpenAiEncoder(OpenAiServer(remote, BearerKey("sk-x"), RemoteHttp(remote.host)), sleep=_at_once)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await scenario(encoder)
        finally:
            await encoder.aclose()

    return asyncio.run(asked())


async def _at_once(_seconds: float) -> None:
    pass


def test_vectors_come_in_the_order_of_the_texts_cut_and_normalized_as_asked_for() -> None:
    sent: list[str] = []

    async def scenario(encoder: OpenAiEncoder) -> Embedded:
        target = EncoderTarget(
            model_id="m", base_id="m", client=encoder, task=ModelTask.EMBEDDING, dialect="any", reader=None, width=None,
            remote=True, host="there", tell_sent=sent.append,
        )  # fmt: skip
        return await embed(target, ["a", "b"], dimensions=2, normalize=True, kind=None)

    with openai_double(answers=[Answer(503, b"{}"), vectors([3.0, 4.0, 9.0], [0.0, 2.0, 9.0])]) as double:
        embedded = ask(double, scenario)
        assert [[round(number, 6) for number in vector] for vector in embedded.vectors] == [[0.6, 0.8], [0.0, 1.0]]
        assert double.requests[1].path == "/v1/embeddings"
        assert double.bodies[1] == {"model": "embed-1", "input": ["a", "b"], "encoding_format": "float"}
        assert sent == ["there"]


@pytest.mark.parametrize("answer", [vectors([1.0]), Answer(200, b"{}"), Answer(200, b"no")])
def test_an_answer_that_is_none_is_the_models_failure(answer: Answer) -> None:
    request = EmbeddingRequest(model="m", texts=("a", "b"), kind=None, rows=())
    with openai_double(answers=[answer]) as double, pytest.raises(ModelFailed):
        ask(double, lambda encoder: encoder.embed(request))


async def _generated(encoder: OpenAiEncoder) -> None:
    request = GenerationRequest(model="m", prompt_ids=[1], max_tokens=1, sampling=Sampling())
    _ = [delta async for delta in encoder.generate(request)]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (_generated, "which makes vectors, and writes no text"),
        (lambda encoder: encoder.score("m", [1, 2]), "which tells no log probabilities"),
        (lambda encoder: encoder.answer_greedily("m", [[1]], num_tokens=1), "which makes vectors, and writes no text"),
        (lambda encoder: encoder.load_adapter("m", Path()), "which takes no adapters"),
        (lambda encoder: encoder.unload_adapter("m"), "which takes no adapters"),
        (
            lambda encoder: encoder.rank(RankingRequest(model="m", query="q", documents=("d",), rows=())),
            "which tells no relevance of documents",
        ),
    ],
)
def test_what_it_cannot_is_refused_by_name_and_nothing_is_sent(asked: Any, words: str) -> None:
    with openai_double() as double:
        with pytest.raises(Invalid, match=words):
            ask(double, asked)
        assert double.requests == []


def test_it_is_registered_by_its_family_or_by_a_word(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    remote = RemoteModel(api=RemoteApi.OPENAI, url="https://h/v1", model="m")
    assert catalog.register_remote("cohere.embed-multilingual-v9", remote).task is ModelTask.EMBEDDING
    assert catalog.register_remote("example.vectors-v1", remote).task is ModelTask.TEXT
    assert catalog.register_remote("example.vectors-v1", remote, task=ModelTask.EMBEDDING).task is ModelTask.EMBEDDING
