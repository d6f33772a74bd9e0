"""What everybody may rely on who asks a model for text: of one whose tokens are made here, and of remote ones."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.engines.vllm_client import VllmClient
from outcrop.errors import NotReady
from outcrop.invocation.exchange import AnswerPiece, ChatPrompt, Finish, Finished, InvocationRequest, SamplingOptions
from outcrop.invocation.generate import complete_text, plan_aside, stream_answer
from outcrop.invocation.remote.bedrock import BedrockEngine, BedrockRelay
from outcrop.invocation.remote.https import RemoteHttp
from outcrop.invocation.remote.openai import OpenAiEngine
from outcrop.invocation.remote.openai_server import OpenAiServer
from outcrop.invocation.target import RemoteTarget, Target, TextEngine, TextTarget
from outcrop.protocol.eventstream import encode_event
from outcrop.tokens.prompt_format import PromptFormat
from tests.support.bedrock_double import Recorded, bedrock_double, frames
from tests.support.openai_double import openai_double
from tests.support.patience import PATIENCE_S
from tests.support.spoken_target import speaking
from tests.support.vllm_server import VllmServer

SAID = "the 猫 said: stop here, not there"
USAGE = {"inputTokens": 8, "outputTokens": 3, "totalTokens": 11}
Speaking = Callable[[Path, str], AbstractAsyncContextManager[TextTarget]]


@asynccontextmanager
async def engine(folder: Path, said: str) -> AsyncIterator[TextTarget]:
    async with speaking(folder, said, prompt_format=PromptFormat.CHAT, context_length=256, max_output_tokens=96) as (
        target,
        _,
    ):
        yield target


@asynccontextmanager
async def vllm(folder: Path, said: str) -> AsyncIterator[TextTarget]:
    place = Path(tempfile.mkdtemp(prefix="outcrop-"))  # a socket's path is short
    async with engine(folder, said) as target:
        assert isinstance(target, Target)
        tokenizer = target.tokenizer
        ids = [*tokenizer.encode(said, begin=False), tokenizer.eos_id]
        server, client = VllmServer(name="base", script=ids), VllmClient(place / "s", dtype="float32")
        async with await asyncio.start_unix_server(server.serve, place / "s"):
            yield replace(target, client=client)
        await client.aclose()
    shutil.rmtree(place)


def remote(text_engine: TextEngine) -> RemoteTarget:
    return RemoteTarget(model_id="far", base_id="far", engine=text_engine, relay=None, host="host", dialect="any")


@asynccontextmanager
async def openai(_folder: Path, said: str) -> AsyncIterator[TextTarget]:
    with openai_double(said=said, piece=3) as double:
        place = RemoteModel(api=RemoteApi.OPENAI, url=double.url, model="m")
        text_engine = OpenAiEngine(OpenAiServer(place, None, RemoteHttp(place.host)), sleep=_at_once)
        yield remote(text_engine)
        await text_engine.aclose()


@asynccontextmanager
async def bedrock(_folder: Path, said: str) -> AsyncIterator[TextTarget]:
    """Real Bedrock stops at stop sequences itself, and says so."""
    stopped = said.partition("stop h")[0]
    reason = "stop_sequence"
    told = {
        "output": {"message": {"role": "assistant", "content": [{"text": stopped}]}},
        "stopReason": reason, "usage": USAGE, "metrics": {"latencyMs": 1},
    }  # fmt: skip
    events: list[dict[str, Any]] = [
        *({"contentBlockDelta": {"delta": {"text": letter}, "contentBlockIndex": 0}} for letter in stopped),
        {"messageStop": {"stopReason": reason}},
        {"metadata": {"usage": USAGE, "metrics": {"latencyMs": 1}}},
    ]
    stream = frames(
        *(encode_event(name, json.dumps(value).encode()) for each in events for name, value in each.items())
    )
    whole = Recorded(pieces=(json.dumps(told).encode(),))
    with bedrock_double(whole, stream) as double:
        place = RemoteModel(api=RemoteApi.BEDROCK, url=double.url, model="m", region="us-east-1")
        relay = BedrockRelay(place, None, RemoteHttp(place.host))
        yield remote(BedrockEngine(relay))
        await relay.aclose()


async def _at_once(_seconds: float) -> None:
    pass


def ask(serving: Speaking, folder: Path, scenario: Callable[[TextTarget], Awaitable[None]]) -> None:
    async def asked() -> None:
        async with serving(folder, SAID) as target, asyncio.timeout(PATIENCE_S):
            await scenario(target)

    asyncio.run(asked())


def asked(**sampling: object) -> InvocationRequest:
    options = {"max_tokens": None, "temperature": 1.0, "top_p": 1.0, **sampling}
    prompt = ChatPrompt(messages=[{"role": "user", "content": "hi"}])
    return InvocationRequest(prompt=prompt, sampling=SamplingOptions(**options))  # type: ignore[arg-type]


async def read(target: TextTarget, request: InvocationRequest) -> tuple[list[AnswerPiece], Finished]:
    generation = await plan_aside(target, request)
    async with aclosing(stream_answer(target, generation)) as items:
        *pieces, last = [item async for item in items]
    assert isinstance(last, Finished)
    told = [piece for piece in pieces if isinstance(piece, AnswerPiece)]
    assert len(told) == len(pieces)
    return told, last


@pytest.mark.parametrize("serving", [engine, vllm, openai])
def test_the_pieces_of_a_stream_are_the_whole_answer(serving: Speaking, tmp_path: Path) -> None:
    async def scenario(target: TextTarget) -> None:
        pieces, last = await read(target, asked())
        whole = await complete_text(target, await plan_aside(target, asked()))
        assert "".join(piece.text for piece in pieces) == last.text == whole.text == SAID
        assert [piece.first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
        assert (last.finish, whole.finish) == (Finish.END, Finish.END)
        assert last.num_output_tokens == whole.num_output_tokens > 0

    ask(serving, tmp_path, scenario)


@pytest.mark.parametrize("serving", [engine, vllm, openai, bedrock])
def test_nothing_from_a_stop_sequence_on_is_shown(serving: Speaking, tmp_path: Path) -> None:
    async def scenario(target: TextTarget) -> None:
        request = asked(stop_sequences=("stop h",))
        whole = await complete_text(target, await plan_aside(target, request))
        pieces, last = await read(target, request)
        assert "".join(piece.text for piece in pieces) == last.text == whole.text == "the 猫 said: "
        assert last.finish is whole.finish is Finish.STOP_SEQUENCE

    ask(serving, tmp_path, scenario)


@pytest.mark.parametrize("serving", [engine, vllm, openai])
def test_a_reader_may_leave_in_the_middle_and_come_again(serving: Speaking, tmp_path: Path) -> None:
    async def scenario(target: TextTarget) -> None:
        async with aclosing(stream_answer(target, await plan_aside(target, asked()))) as items:
            first = await anext(items)
            assert isinstance(first, AnswerPiece)
            assert SAID.startswith(first.text)
        assert (await complete_text(target, await plan_aside(target, asked()))).text == SAID

    ask(serving, tmp_path, scenario)


def test_a_model_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    async def away(target: TextTarget) -> None:
        generation = await plan_aside(target, asked())
        with pytest.raises(NotReady):
            await complete_text(target, generation, patience_s=0)

    async def scenarios() -> None:
        async with engine(tmp_path, SAID) as target:
            assert isinstance(target, Target)
            gone = VllmClient(tmp_path / "nobody", dtype="float32")
            await away(replace(target, client=gone))
            await gone.aclose()
        place = RemoteModel(api=RemoteApi.OPENAI, url="http://127.0.0.1:9/v1", model="m")
        text_engine = OpenAiEngine(OpenAiServer(place, None, RemoteHttp(place.host)), sleep=_at_once)
        await away(remote(text_engine))
        await text_engine.aclose()

    asyncio.run(scenarios())
