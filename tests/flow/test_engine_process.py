"""The engine as a real process: its socket, its manners, its end."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import peft
import psutil
import pytest
import torch
import transformers

from outcrop.errors import ModelDamaged
from outcrop.inference.client import Delta, EngineAway, EngineClient, GenerationRequest, UnknownAdapter
from outcrop.inference.request import Sampling
from outcrop.network.fast.decoding.library import library
from tests.support.engine_process import EngineProcess, until
from tests.support.patience import PATIENCE_S
from tests.support.tiny import CONTEXT_LENGTH, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

BASE = "tiny.llama-v1:0"
T = TypeVar("T")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(0)
    network = transformers.AutoModelForCausalLM.from_pretrained(model)
    shape = peft.LoraConfig(r=4, lora_alpha=32, target_modules="all-linear", init_lora_weights=False)
    peft.get_peft_model(network, shape).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def place(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """Where the engine of these tests lives."""
    place = EngineProcess(model, tmp_path_factory.mktemp("engine"), name=BASE)
    place.start()
    try:
        yield place
    finally:
        place.kill()


@pytest.fixture
def engine(place: EngineProcess) -> EngineProcess:
    """A running engine; a test may end it, then the next one finds another in its place."""
    if not place.running:
        place.start()
    place.wait_until_ready()
    return place


@asynccontextmanager
async def http(engine: EngineProcess) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=str(engine.socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=PATIENCE_S) as client:
        yield client


def asking(engine: EngineProcess, ask: Callable[[EngineClient], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with EngineClient(engine.socket) as client:
            return await ask(client)

    return asyncio.run(asked())


def greedy(prompt_ids: list[int], *, max_tokens: int = 8, model: str = BASE) -> GenerationRequest:
    return GenerationRequest(model=model, prompt_ids=prompt_ids, max_tokens=max_tokens, sampling=Sampling())


async def cache_figures(engine: EngineProcess) -> dict[str, int]:
    async with http(engine) as raw:
        figures: dict[str, int] = (await raw.get("/cache")).json()
        return figures


async def whole(client: EngineClient, request: GenerationRequest) -> list[int]:
    return [token for delta in [d async for d in client.generate(request)] for token in delta.token_ids]


def test_tokens_stream_and_the_last_says_why_it_ended(engine: EngineProcess) -> None:
    async def ask(client: EngineClient) -> list[Delta]:
        return [delta async for delta in client.generate(greedy([5, 6, 7]))]

    deltas = asking(engine, ask)
    assert sum(len(delta.token_ids) for delta in deltas) == 8
    assert [delta.finish_reason for delta in deltas] == [None] * (len(deltas) - 1) + ["length"]


def test_a_whole_answer_equals_the_streamed_one(engine: EngineProcess) -> None:
    async def ask(client: EngineClient) -> list[int]:
        async with http(engine) as raw:
            body = {"model": BASE, "prompt": [5, 6, 7], "max_tokens": 8, "temperature": 0}
            answer = (await raw.post("/v1/completions", json=body)).json()
        assert answer["usage"] == {
            "prompt_tokens": 3,
            "completion_tokens": 8,
            "total_tokens": 11,
            "prompt_tokens_details": {"cached_tokens": 0},
        }
        assert answer["choices"][0]["token_ids"] == await whole(client, greedy([5, 6, 7]))
        return []

    asking(engine, ask)


def test_what_was_read_before_is_told_and_not_read_again(engine: EngineProcess) -> None:
    async def ask(client: EngineClient) -> None:
        prompt = [7 + n % 200 for n in range(70)]
        before = await cache_figures(engine)
        first, second = [[delta async for delta in client.generate(greedy(prompt))] for _ in range(2)]
        assert [one for delta in first for one in delta.token_ids] == [
            one for delta in second for one in delta.token_ids
        ]
        assert (first[-1].num_cached, second[-1].num_cached) == (0, 64)
        assert second[0].num_cached == 64  # for whoever does not wait for the end
        # but by whoever wants it read anew
        assert (await client.answer_greedily(BASE, [prompt], num_tokens=1))[0].token_ids == first[0].token_ids[:1]
        figures = await cache_figures(engine)
        assert figures["num_live"] == figures["num_waiting"] == figures["live_bytes"] == 0
        assert figures["num_cached_tokens"] - before["num_cached_tokens"] == 64
        assert 0 < figures["kept_bytes"] <= figures["size_bytes"]

    asking(engine, ask)


def test_a_request_in_the_background_is_answered_too(engine: EngineProcess) -> None:
    async def ask(client: EngineClient) -> None:
        request = greedy([5, 6, 7])
        slow, quick = await asyncio.gather(whole(client, replace(request, background=True)), whole(client, request))
        assert slow == quick

    asking(engine, ask)


def test_a_stop_token_ends_the_answer(engine: EngineProcess) -> None:
    async def ask(client: EngineClient) -> tuple[list[int], list[int], str | None]:
        free = await whole(client, greedy([5, 6, 7]))
        stopped = GenerationRequest(
            model=BASE, prompt_ids=[5, 6, 7], max_tokens=8, sampling=Sampling(), stop_token_ids=(free[2],)
        )
        deltas = [delta async for delta in client.generate(stopped)]
        return free, [token for delta in deltas for token in delta.token_ids], deltas[-1].finish_reason

    free, ids, reason = asking(engine, ask)
    assert ids == free[: free.index(free[2]) + 1]
    assert reason == "stop"


def test_many_at_once_get_what_each_gets_alone(engine: EngineProcess) -> None:
    requests = [greedy(list(range(3, 4 + 5 * number)), max_tokens=24) for number in range(12)]

    async def ask(client: EngineClient) -> tuple[list[list[int]], list[list[int]]]:
        together = await asyncio.gather(*(whole(client, request) for request in requests))
        return together, [await whole(client, request) for request in requests]

    together, alone = asking(engine, ask)
    assert together == alone


def test_hanging_up_aborts_the_generation(engine: EngineProcess) -> None:
    async def aborted() -> bool:
        return any(call["status"] == 499 for call in engine.log_lines("call"))

    async def ask(client: EngineClient) -> None:
        deltas = client.generate(greedy([9, 9], max_tokens=CONTEXT_LENGTH - 2))
        await anext(deltas)
        await deltas.aclose()
        await until(aborted)
        await whole(client, greedy([5, 6, 7]))  # and the engine goes on

    asking(engine, ask)
    (call,) = (call for call in engine.log_lines("call") if call["status"] == 499)
    assert 1 <= int(str(call["completion_tokens"])) < CONTEXT_LENGTH - 2


def test_adapters_come_and_go_while_others_generate(engine: EngineProcess, adapter: Path) -> None:
    async def ask(client: EngineClient) -> None:
        base = await whole(client, greedy([5, 6, 7], max_tokens=100))
        beside = asyncio.create_task(whole(client, greedy([5, 6, 7], max_tokens=100)))
        with pytest.raises(UnknownAdapter):
            await whole(client, greedy([5, 6, 7], model="mine"))
        await client.load_adapter("mine", adapter)
        await client.load_adapter("mine", adapter)  # there already: nothing happens
        assert await client.models() == [BASE, "mine"]
        assert await whole(client, greedy([5, 6, 7], max_tokens=100, model="mine")) != base
        assert await client.score("mine", [5, 6, 7]) != await client.score(BASE, [5, 6, 7])
        await client.unload_adapter("mine")
        with pytest.raises(UnknownAdapter):
            await client.unload_adapter("mine")
        with pytest.raises(UnknownAdapter):
            await client.score("mine", [5, 6, 7])
        with pytest.raises(
            ModelDamaged, match=r"adapter_config\.json: cannot be read \(No such file or directory\)"
        ) as damage:
            await client.load_adapter("nothing", adapter / "nowhere")
        assert str(adapter) not in damage.value.message
        assert await beside == base

    asking(engine, ask)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "The body is not JSON"),
        (b"[]", 400, "The body is JSON, but a list. Send one JSON object."),
        (b'{"model": "nobody", "prompt": [1]}', 404, "The adapter 'nobody' is not loaded."),
        (b'{"model": "nobody", "prompt": [1], "stream": true}', 404, "The adapter 'nobody' is not loaded."),
        (b'{"model": "%b", "prompt": "text"}' % BASE.encode(), 400, "prompt: expected a list of token ids"),
        (
            b'{"model": "%b", "prompt": %b}' % (BASE.encode(), json.dumps([1] * CONTEXT_LENGTH).encode()),
            400,
            "prompt: 256 tokens leave no room for an answer",
        ),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(engine: EngineProcess, body: bytes, status: int, message: str) -> None:
    async def ask(_: EngineClient) -> httpx.Response:
        async with http(engine) as raw:
            return await raw.post("/v1/completions", content=body)

    answer = asking(engine, ask)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)
    assert answer.json()["error"]["message"].startswith(message)


def test_the_longest_text_can_be_scored(engine: EngineProcess) -> None:
    logprobs = asking(engine, lambda client: client.score(BASE, [7] * CONTEXT_LENGTH))
    assert len(logprobs) == CONTEXT_LENGTH - 1


def test_the_socket_is_private_and_the_log_says_nothing_of_what_was_asked(engine: EngineProcess) -> None:
    assert stat.S_IMODE(engine.socket.stat().st_mode) == 0o600
    asking(engine, lambda client: client.score(BASE, [271, 272]))
    told = {"event", "level", "logger", "time", "method", "path", "id", "model", "status", "seconds"}
    told |= {"prompt_tokens", "completion_tokens", "finish_reason", "problem"}
    for call in engine.log_lines("call"):
        assert set(call) <= told
        assert call.get("problem") in (
            None,
            "Invalid",
            "ModelDamaged",
            "NotFound",
            "NotReady",
        )  # the kind, not the words


def test_an_engine_that_was_killed_starts_again_on_the_socket_it_left_behind(engine: EngineProcess) -> None:
    async def ask(client: EngineClient) -> None:
        deltas = client.generate(greedy([9, 9], max_tokens=CONTEXT_LENGTH - 2))
        await anext(deltas)
        engine.kill()
        with pytest.raises(EngineAway):
            _ = [delta async for delta in deltas]

    asking(engine, ask)
    assert engine.socket.exists()
    engine.start()
    engine.wait_until_ready()
    assert len(asking(engine, lambda client: whole(client, greedy([5, 6, 7])))) == 8


def test_an_engine_ends_with_the_process_that_started_it(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "outcrop.inference.serve", "--model", str(model), "--name", BASE]
    script = "import subprocess, sys, time\nprint(subprocess.Popen(sys.argv[1:]).pid, flush=True)\ntime.sleep(600)\n"
    with subprocess.Popen(
        [sys.executable, "-c", script, *command, "--socket", str(tmp_path / "e.sock")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))

        async def listening() -> bool:
            return (tmp_path / "e.sock").exists()

        asyncio.run(until(listening))
        os.kill(parent.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([child], timeout=PATIENCE_S)
    assert not alive


@pytest.mark.parametrize("held_by", ["another engine", "a folder without a model"])
def test_an_engine_that_cannot_start_says_why_and_ends(
    engine: EngineProcess, model: Path, tmp_path: Path, held_by: str
) -> None:
    taken = held_by == "another engine"
    arguments = ["--model", str(model if taken else tmp_path), "--name", BASE]
    arguments += ["--socket", str(engine.socket if taken else tmp_path / "e.sock")]
    ended = subprocess.run(
        [sys.executable, "-m", "outcrop.inference.serve", *arguments], stderr=subprocess.PIPE, timeout=PATIENCE_S
    )
    assert ended.returncode == 1
    problem = "another engine answers there" if taken else "no config.json"
    assert problem in ended.stderr.decode()
    assert asking(engine, lambda client: client.health())


def test_at_sigterm_an_answer_may_still_end_and_the_socket_goes(engine: EngineProcess) -> None:
    async def ask(client: EngineClient) -> int:
        deltas = client.generate(greedy([9, 9], max_tokens=40))
        num_tokens = len((await anext(deltas)).token_ids)
        engine.process.send_signal(signal.SIGTERM)
        return num_tokens + sum([len(delta.token_ids) async for delta in deltas])

    assert asking(engine, ask) == 40
    assert engine.process.wait(PATIENCE_S) == 0
    assert not engine.socket.exists()


def test_an_engine_that_is_retired_takes_no_more_and_ends_with_the_last_of_its_requests(engine: EngineProcess) -> None:
    async def ask(client: EngineClient) -> int:
        async with http(engine) as told:
            await whole(client, greedy([5, 6, 7]))
            load = (await told.get("/load")).json()
            assert (load["server_load"], load["answered"] > 0, load["idle_s"] < PATIENCE_S) == (0, True, True)
            deltas = client.generate(greedy([9, 9], max_tokens=CONTEXT_LENGTH - 2))
            num_tokens = len((await anext(deltas)).token_ids)
            assert (await told.post("/retire")).status_code == 200
            with pytest.raises(EngineAway):
                await whole(client, greedy([5, 6, 7]))
            return num_tokens + sum([len(delta.token_ids) async for delta in deltas])

    assert asking(engine, ask) == CONTEXT_LENGTH - 2
    assert engine.process.wait(PATIENCE_S) == 0
    assert not engine.socket.exists()


def test_weights_in_int8_are_told_and_score_nearly_as_exact_ones_do(
    engine: EngineProcess, model: Path, tmp_path: Path
) -> None:
    if library() is None:
        pytest.skip("no C compiler here, and weights in int8 are for the compiled step")
    rounded = EngineProcess(model, tmp_path, name=BASE, arguments=["--weights", "int8"])
    rounded.start()
    try:
        rounded.wait_until_ready()
        ids = [5, 9, 2, 60, 31, 7, 7, 12]
        exact, found = (asking(each, lambda client: client.score(BASE, ids)) for each in (engine, rounded))
        assert exact != found
        assert max(abs(a - b) for a, b in zip(exact, found, strict=True)) < 0.1
        assert asking(rounded, lambda client: client.dtype()) == "int8"
    finally:
        rounded.kill()
