"""A target of vectors or of relevance, tokenizer and socket and all, whose engine is the tests' double."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from outcrop.inference.client import EngineClient
from outcrop.invocation.target import EncoderTarget
from outcrop.invocation.text_rows import EncoderReader
from outcrop.network.model_task import ModelTask
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer
from tests.support.engine_double import EngineDouble, engine_double
from tests.support.word_tokenizers import word_level

PROMPTS = {"query": "query: ", "document": "passage: "}


@asynccontextmanager
async def encoding(
    folder: Path, task: ModelTask = ModelTask.EMBEDDING, *, max_length: int = 8, **changes: Any
) -> AsyncIterator[tuple[EncoderTarget, EngineDouble]]:
    """A target that reads `max_length` tokens; `changes` are fields of the target."""
    reader = EncoderReader(tokenizer=EncoderTokenizer.open(word_level(folder)), max_length=max_length, prompts=PROMPTS)
    async with engine_double(lambda _: []) as engine, EngineClient(engine.socket) as client:
        target = EncoderTarget(
            model_id="amazon.titan-embed-text-v2:0",
            base_id="base",
            client=client,
            task=task,
            dialect="any",
            reader=reader,
            width=4,
        )
        yield replace(target, **changes), engine
