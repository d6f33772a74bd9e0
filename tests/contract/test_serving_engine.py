"""What everybody may rely on who asks an engine: of the embedded one with a real network, of the tests' double, and of
a server that speaks as vLLM does. Remote models take words, not ids: `test_answers.py`."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import peft
import pytest
import torch
import transformers

from outcrop.engines.protocol import ServingEngine
from outcrop.engines.vllm_client import VllmClient
from outcrop.inference.client import EngineClient, GenerationRequest, UnknownAdapter
from outcrop.inference.door import EngineDoor
from outcrop.inference.engine import Engine
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.request import Sampling
from outcrop.inference.unix_http import UnixServer
from tests.support.engine_double import engine_double
from tests.support.patience import PATIENCE_S
from tests.support.tiny import tiny_model
from tests.support.vllm_server import VllmServer

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

BASE, ADAPTER = "base", "arn:custom"
PROMPT = [5, 6, 7]


@dataclass(frozen=True, kw_only=True)
class Files:
    """The folders of a tiny network and an adapter for it."""

    network: Path
    adapter: Path


Serving = Callable[[Files], AbstractAsyncContextManager[ServingEngine]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    network = tiny_model(folder / "network")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(network)
    torch.manual_seed(0)
    shape = peft.LoraConfig(r=4, lora_alpha=32, target_modules="all-linear", init_lora_weights=False)
    peft.get_peft_model(loaded, shape).save_pretrained(folder / "adapter")
    return Files(network=network, adapter=folder / "adapter")


@asynccontextmanager
async def embedded(files: Files) -> AsyncIterator[ServingEngine]:
    thread = EngineThread(lambda: Engine(files.network, cache_bytes=2**24))
    folder = Path(tempfile.mkdtemp(prefix="outcrop-"))  # a socket's path is short
    server = UnixServer(folder / "engine", EngineDoor(thread, base_name=BASE).answer)
    await server.start()
    await thread.loaded
    try:
        async with EngineClient(folder / "engine") as client:
            yield client
    finally:
        await server.close(grace_s=0)
        thread.stop(timeout_s=PATIENCE_S)
        shutil.rmtree(folder)


@asynccontextmanager
async def double(files: Files) -> AsyncIterator[ServingEngine]:
    async with engine_double(lambda _: list(range(10, 30))) as engine, EngineClient(engine.socket) as client:
        yield client


@asynccontextmanager
async def vllm(files: Files) -> AsyncIterator[ServingEngine]:
    folder = Path(tempfile.mkdtemp(prefix="outcrop-"))
    server, client = VllmServer(name=BASE), VllmClient(folder / "engine", dtype="float32")
    async with await asyncio.start_unix_server(server.serve, folder / "engine"):
        yield client
    await client.aclose()
    shutil.rmtree(folder)


@pytest.fixture(params=[embedded, double, vllm], ids=["embedded", "double", "vllm"])
def asking(
    request: pytest.FixtureRequest, files: Files
) -> Callable[[Callable[[ServingEngine], Awaitable[None]]], None]:
    """Runs a scenario against one of them."""

    def run(scenario: Callable[[ServingEngine], Awaitable[None]]) -> None:
        async def asked() -> None:
            serving: Serving = request.param
            async with serving(files) as engine, asyncio.timeout(PATIENCE_S):
                await scenario(engine)

        asyncio.run(asked())

    return run


Asking = Callable[[Callable[[ServingEngine], Awaitable[None]]], None]


def wish(model: str = BASE, max_tokens: int = 6) -> GenerationRequest:
    return GenerationRequest(
        model=model, prompt_ids=PROMPT, max_tokens=max_tokens, sampling=Sampling(), stop_token_ids=(383,)
    )


def test_a_generation_ends_with_its_reason_and_not_beyond_what_was_asked(asking: Asking) -> None:
    async def scenario(engine: ServingEngine) -> None:
        deltas = [delta async for delta in engine.generate(wish())]
        assert [delta.finish_reason for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
        ids = [one for delta in deltas for one in delta.token_ids]
        assert deltas[-1].finish_reason == ("stop" if ids[-1] in (1, 383) else "length")
        assert len(ids) <= 6
        again = [one async for delta in engine.generate(wish()) for one in delta.token_ids]
        assert again == ids  # greedy

    asking(scenario)


def test_a_reader_may_leave_in_the_middle(asking: Asking) -> None:
    async def scenario(engine: ServingEngine) -> None:
        async with aclosing(engine.generate(wish())) as deltas:
            assert (await anext(deltas)).token_ids
        assert await engine.health()

    asking(scenario)


def test_an_adapter_comes_and_goes(asking: Asking, files: Files) -> None:
    async def scenario(engine: ServingEngine) -> None:
        assert await engine.models() == [BASE]
        with pytest.raises(UnknownAdapter):
            _ = [delta async for delta in engine.generate(wish(ADAPTER))]
        for _ in range(2):
            await engine.load_adapter(ADAPTER, files.adapter)
        assert await engine.models() == [BASE, ADAPTER]
        assert [delta async for delta in engine.generate(wish(ADAPTER))]
        await engine.unload_adapter(ADAPTER)
        with pytest.raises(UnknownAdapter):
            await engine.unload_adapter(ADAPTER)
        assert await engine.models() == [BASE]

    asking(scenario)


def test_scores_are_log_probabilities_of_all_but_the_first_id(asking: Asking) -> None:
    async def scenario(engine: ServingEngine) -> None:
        scores = await engine.score(BASE, [5, 6, 7, 8])
        assert len(scores) == 3
        assert all(score <= 0 for score in scores)

    asking(scenario)


def test_greedy_answers_have_the_length_asked_for_whatever_ids_they_hold(asking: Asking) -> None:
    async def scenario(engine: ServingEngine) -> None:
        answers = await engine.answer_greedily(BASE, [PROMPT, [8, 9]], num_tokens=4, prompt_tokens_per_step=2)
        assert [(len(answer.token_ids), len(answer.logprobs)) for answer in answers] == [(4, 4), (4, 4)]
        assert all(logprob <= 0 for answer in answers for logprob in answer.logprobs)

    asking(scenario)


def test_it_says_in_which_numbers_it_computes_or_nothing(asking: Asking) -> None:
    async def scenario(engine: ServingEngine) -> None:
        assert await engine.dtype() in ("float32", None)

    asking(scenario)
