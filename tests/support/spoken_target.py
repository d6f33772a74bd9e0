"""A target that says what it is told to say, tokenizer and socket and all, for whatever stands above an engine."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from outcrop.inference.client import EngineClient
from outcrop.invocation.target import Target
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.chat_templates import SPECIAL_TOKENS, TEXT_TOKENS
from tests.support.engine_double import EngineDouble, engine_double
from tests.support.small_tokenizers import CHATML, byte_level


@asynccontextmanager
async def speaking(
    folder: Path, said: str, *, template: str = CHATML, **changes: Any
) -> AsyncIterator[tuple[Target, EngineDouble]]:
    """A target of raw prompts whose engine says `said` and then the end token; `changes` are fields of the target."""
    tokens: dict[str, Any] = {} if template == CHATML else {"special": SPECIAL_TOKENS, "added": TEXT_TOKENS}
    tokenizer = Tokenizer.open(byte_level(folder, chat_template=template, **tokens))
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


def chatting(
    folder: Path, said: str, *, template: str, **changes: Any
) -> AbstractAsyncContextManager[tuple[Target, EngineDouble]]:
    """As `speaking`, a target of conversations in this chat template."""
    room = {"prompt_format": PromptFormat.CHAT, "context_length": 8192, "max_output_tokens": 2048}
    return speaking(folder, said, template=template, **{**room, **changes})
