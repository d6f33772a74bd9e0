"""Embeddings at OpenAI's door: numbers or base64, of texts, by a model that makes vectors."""

import base64
import math
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outcrop.invocation.target import EncoderTarget
from tests.support.encoder_target import encoding
from tests.support.openai_house import STARTER, Json, OpenAiHouse, openai_house, run

ASKED = {"model": STARTER, "input": "the cat"}


@dataclass(frozen=True)
class OneEncoder:
    """Targets of a house whose models all make vectors."""

    target: EncoderTarget

    def find(self, *_asked: Any, **_more: Any) -> EncoderTarget:
        return self.target


@asynccontextmanager
async def encoder_house(folder: Path, **changes: Any) -> AsyncIterator[OpenAiHouse]:
    async with openai_house(folder) as place, encoding(folder / "encoder", **changes) as (target, _):
        place.house.__dict__["targets"] = OneEncoder(target)
        yield place


def test_texts_have_vectors_of_length_one_in_their_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with encoder_house(tmp_path) as place:
            answer = await place.post("/embeddings", model=STARTER, input=["the cat", "the", "the cat"])
            assert (answer["object"], answer["model"]) == ("list", STARTER)
            assert [each["index"] for each in answer["data"]] == [0, 1, 2]
            assert all(each["object"] == "embedding" for each in answer["data"])
            vectors = [each["embedding"] for each in answer["data"]]
            assert vectors[0] == vectors[2] != vectors[1]
            assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-6) for vector in vectors)
            assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0
            (one,) = (await place.post("/embeddings", **ASKED))["data"]
            assert one["embedding"] == vectors[0]

    run(scenario())


def test_base64_holds_the_same_numbers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with encoder_house(tmp_path) as place:
            (plain,) = (await place.post("/embeddings", **ASKED, encoding_format="float"))["data"]
            (packed,) = (await place.post("/embeddings", **ASKED, encoding_format="base64"))["data"]
            read = struct.unpack("<4f", base64.b64decode(packed["embedding"]))
            assert read == pytest.approx(plain["embedding"])

    run(scenario())


def test_fewer_dimensions_are_the_first_ones_again_of_length_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with encoder_house(tmp_path) as place:
            (whole,) = (await place.post("/embeddings", **ASKED))["data"]
            (part,) = (await place.post("/embeddings", **ASKED, dimensions=2))["data"]
            first = whole["embedding"][:2]
            assert part["embedding"] == pytest.approx([each / math.hypot(*first) for each in first])
            assert (await place.refused("POST", "/embeddings", 400, json={**ASKED, "dimensions": 5}))["message"]

    run(scenario())


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"input": [1, 2, 3]}, "input", "unsupported_parameter"),
        ({"input": [[1, 2], [3]]}, "input", "unsupported_parameter"),
        ({"input": []}, "input", "invalid_type"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value"),
        ({"input": ["a", {}]}, "input[1]", "invalid_type"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": ["a"] * 2049}, "input", "invalid_value"),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"dimensions": 0}, "dimensions", "invalid_value"),
        ({"stream": True}, "stream", "unknown_parameter"),
        ({"colour": "red"}, "colour", "unknown_parameter"),
    ],
)
def test_what_is_not_served_or_wrong_is_refused_by_its_name(
    more: Json, param: str, code: str, shared: OpenAiHouse
) -> None:
    async def scenario() -> None:
        error = await shared.refused("POST", "/embeddings", 400, json={**ASKED, **more})
        assert (error["param"], error["code"]) == (param, code)

    run(scenario())


def test_a_text_model_makes_no_vectors_and_a_long_text_is_told(tmp_path: Path, shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        error = await shared.refused("POST", "/embeddings", 400, json=ASKED)
        assert "makes no vectors" in error["message"]
        async with encoder_house(tmp_path) as place:
            error = await place.refused("POST", "/embeddings", 400, json={**ASKED, "input": "the cat " * 9})
            assert (error["code"], error["param"]) == ("context_length_exceeded", "input")

    run(scenario())
