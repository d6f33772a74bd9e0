"""The encoder of a knowledge base: texts of any length have a vector of length 1, and none of their words is lost."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from outcrop.invocation.target import EncoderTarget
from outcrop.invocation.text_rows import EncoderReader
from outcrop.knowledge.embedding import PassageEncoder
from outcrop.network.model_task import ModelTask
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer
from tests.support.encoder_server import BASE, encoder_server
from tests.support.patience import PATIENCE_S
from tests.support.tiny_encoders import WIDTH, tiny_encoder

PROMPTS = {"query": "query : ", "passage": "passage : "}
MOST = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "vectors", max_length=MOST)


def asked(
    folder: Path, ask: Callable[[PassageEncoder], Coroutine[Any, Any, Any]], dimensions: int | None = None
) -> Any:
    async def whole() -> Any:
        async with encoder_server(folder) as client:
            reader = EncoderReader(tokenizer=EncoderTokenizer.open(folder), max_length=MOST, prompts=PROMPTS)
            target = EncoderTarget(
                model_id="local.vectors",
                base_id=BASE,
                client=client,
                task=ModelTask.EMBEDDING,
                dialect="any",
                reader=reader,
                width=WIDTH,
            )
            return await ask(PassageEncoder(target=target, dimensions=dimensions))

    return asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def length(vector: list[float]) -> float:
    return math.sqrt(sum(number * number for number in vector))


@pytest.mark.parametrize("dimensions", [None, 8])
def test_a_text_that_the_model_reads_in_parts_has_the_mean_of_their_vectors(
    folder: Path, dimensions: int | None
) -> None:
    short, other = "the old house by the river ,", "who built the bridge ?"
    long = f"{short} {other}"

    async def three(encoder: PassageEncoder) -> list[list[float]]:
        assert encoder.most_tokens == MOST - 4  # the prompt's two words, and the special tokens around
        return await encoder.documents([short, other, long * 3])

    vectors = asked(folder, three, dimensions)
    assert [len(vector) for vector in vectors] == [dimensions or WIDTH] * 3
    assert [length(vector) for vector in vectors] == pytest.approx([1.0] * 3, abs=1e-5)


def test_a_query_of_any_length_has_a_vector_behind_the_models_own_prompt(folder: Path) -> None:
    async def both(encoder: PassageEncoder) -> tuple[list[float], list[float], list[list[float]]]:
        return (
            await encoder.query("the sea"),
            await encoder.query("the sea " * 500),
            await encoder.documents(["the sea"]),
        )

    query, long, (document,) = asked(folder, both)
    assert length(query) == pytest.approx(1.0, abs=1e-5)
    assert length(long) == pytest.approx(1.0, abs=1e-5)
    assert query != document
