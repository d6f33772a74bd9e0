"""A target that says what it is told to say, tokenizer and socket and all, for whatever stands above an engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from outcrop.inference.client import EngineClient
from outcrop.invocation.target import Target
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.engine_double import EngineDouble, engine_double
from tests.support.small_tokenizers import CHATML, byte_level


@asynccontextmanager
async def speaking(folder: Path, said: str, **changes: Any) -> AsyncIterator[tuple[Target, EngineDouble]]:
    """A target of raw prompts whose engine says `said` and then the end token; `changes` are fields of the target."""
    tokenizer = Tokenizer.open(byte_level(folder, chat_template=CHATML))
    ids = [*tokenizer.encode(said, begin=False), tokenizer.eos_id]
    async with engine_double(lambda _: ids) as engine, EngineClient(engine.socket) as client:
        target = Target(
            model_id="arn:custom",
            base_id="base",
            client=client,
            adapter=None,
            tokenizer=tokenizer,
            prompt_format=PromptFormat.TEXT,
            dialect="any",
            frames_prompts=False,
            context_length=64,
            max_output_tokens=48,
        )
        yield replace(target, **changes), engine
