"""vLLM as an engine kind, over a server that speaks its HTTP: started, asked, measured, evicted, ended."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.clock import MovableClock
from outcrop.deployments import parity
from outcrop.engines.environments import EngineEnvironments, VllmEnvironment
from outcrop.engines.estimate import VLLM_BYTES, estimated_bytes
from outcrop.engines.launchers import LauncherByKind, LocalLauncher, RemoteLauncher
from outcrop.engines.orders import Order
from outcrop.engines.states import EngineKind, EngineState
from outcrop.engines.vllm_client import VllmClient
from outcrop.engines.vllm_launcher import VllmLauncher, arguments, total
from outcrop.errors import Invalid, MachineTrouble, ModelFailed
from outcrop.inference.client import Delta, EngineAway, GenerationRequest, UnknownAdapter
from outcrop.inference.request import Sampling
from outcrop.machine import memory
from outcrop.network import parity_file
from outcrop.network.parity_file import Generation, ParityRecord, RunnerUp, Sample
from outcrop.settings import Settings
from outcrop.store.store import Store
from tests.support.engines_room import EnginesRoom
from tests.support.patience import PATIENCE_S, eventually
from tests.support.vllm_environment import vllm_environment
from tests.support.vllm_server import VllmServer

LORA = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for sockets, whose paths may have only about 100 characters."""
    folder = Path(tempfile.mkdtemp(prefix="outcrop-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def room(tmp_path: Path) -> EnginesRoom:
    return EnginesRoom(tmp_path, room_for=20)


def chosen(room: EnginesRoom, *models: str, python: Path = Path("/nowhere/python"), **more: Any) -> VllmEnvironment:
    environment = VllmEnvironment(python=python, models=models, **more)
    room.environments.add(environment)
    return environment


def adapter(folder: Path, **more: Any) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({**LORA, **more}))
    return folder


def ask(short: Path, scenario: Callable[[VllmClient, VllmServer], Awaitable[Any]], dtype: str = "bfloat16") -> Any:
    async def asked() -> Any:
        server = VllmServer(name="base")
        client = VllmClient(short / "s", dtype=dtype)
        try:
            async with await asyncio.start_unix_server(server.serve, short / "s"), asyncio.timeout(PATIENCE_S):
                return await scenario(client, server)
        finally:
            await client.aclose()

    return asyncio.run(asked())


def wish(**more: Any) -> GenerationRequest:
    asked = {"model": "base", "prompt_ids": [5, 6, 7], "max_tokens": 3, "sampling": Sampling(), **more}
    return GenerationRequest(**asked)


def test_the_kind_of_an_order_is_the_administrators_choice_for_its_base_model(room: EnginesRoom) -> None:
    chosen(room, "a")
    assert (room.order("a").kind, room.order("b").kind) == (EngineKind.VLLM, EngineKind.EMBEDDED)
    own = replace(room.model("a"), engine="a@custom1", owner="custom1")
    assert room.engines.order(own).kind is EngineKind.VLLM  # a custom model's own network over that base, too
    assert estimated_bytes(room.model("a").folder or Path(), EngineKind.VLLM) == VLLM_BYTES + 4 * 1000


def test_an_engine_whose_kind_has_changed_is_ended_and_started_anew(room: EnginesRoom) -> None:
    room.use("a")
    chosen(room, "a")
    room.engines.forget("a")
    room.use("a")
    assert room.launcher.started == ["a", "a"]
    assert room.launcher.processes["a"].order.kind is EngineKind.VLLM


def test_a_remote_engine_is_ready_holds_nothing_and_pushes_nobody_out(tmp_path: Path) -> None:
    room = EnginesRoom(tmp_path, room_for=1)
    remote = RemoteModel(api=RemoteApi.OPENAI, url="https://api.example.com/v1", model="m")
    base = BaseModel(id="far", context="", name="f", provider="e", context_length=0, engine="far", remote=remote)
    order = room.engines.order(base)
    assert (order.kind, order.state, order.folder, order.host) == (
        EngineKind.REMOTE, EngineState.READY, None, "api.example.com",
    )  # fmt: skip
    room.use("a")
    room.use("b")
    room.rounds(10)
    assert room.states() == {"a": "Evicted", "b": "Ready", "far": "Ready"}
    assert room.launcher.started.count("far") == 1
    assert room.found("far").held_bytes == 0
    moved = replace(base, remote=replace(remote, url="https://other.example.com/v1"))
    assert room.engines.order(moved).host == "other.example.com"


def test_every_kind_is_left_to_its_own_launcher(tmp_path: Path, room: EnginesRoom) -> None:
    settings = Settings(home=tmp_path / "other")
    remote = RemoteLauncher()
    launchers = LauncherByKind(
        {EngineKind.EMBEDDED: LocalLauncher(settings, memory_bytes=2**30), EngineKind.REMOTE: remote}
    )
    order = replace(room.order("a"), kind=EngineKind.REMOTE, folder=None, socket=None, host="h")
    launchers.start(order)
    launchers.keep_alive()
    assert launchers.standings() == remote.standings()
    assert (launchers.standings()["a"].ready, launchers.load(order), launchers.children) == (True, None, [])
    launchers.end("a")
    assert launchers.standings() == {}


def test_the_arguments_are_those_of_vllm_and_the_administrators_come_last(room: EnginesRoom) -> None:
    environment = chosen(room, "a", dtype="float32", arguments=("--max-lora-rank", "128"))
    order = room.engines.order(replace(room.model("a")))
    told = arguments(order, environment)
    assert told[-2:] == ["--max-lora-rank", "128"]
    pairs = dict(pairwise(told[:-2]))
    assert pairs["--uds"] == str(order.socket)
    assert pairs["--served-model-name"] == "a"
    assert pairs["--generation-config"] == "vllm"  # what a request leaves out is neutral, not the model's advice
    assert pairs["--dtype"] == "float32"


def test_ids_come_back_with_the_likeliest_that_were_asked_for(short: Path) -> None:
    async def scenario(client: VllmClient, server: VllmServer) -> None:
        deltas = [delta async for delta in client.generate(wish(logprobs=2))]
        assert [delta.finish_reason for delta in deltas] == [*[None] * (len(deltas) - 1), "length"]
        assert deltas[-1].num_cached == 16, "told behind the end"
        assert [(delta.token_ids, delta.finish_reason) for delta in deltas] == [
            ([8], None), ([9], None), ([10], "length"),
        ]  # fmt: skip
        (first,) = deltas[0].logprobs
        assert (first.token, first.logprob) == (8, -0.008)
        assert first.likeliest == ((8, -0.008), (9, -1.008))
        none = [delta async for delta in client.generate(wish(logprobs=0))]
        assert none[0].logprobs[0].likeliest == ()
        assert server.requests[0]["return_tokens_as_token_ids"] is True
        stopped = await _all(client, wish(stop_token_ids=(9,)))
        assert (stopped[-1].token_ids, stopped[-1].finish_reason) == ([9], "stop")
        assert "logprobs" not in server.requests[-1]

    ask(short, scenario)


def test_scores_and_greedy_answers_are_read_from_its_form(short: Path) -> None:
    async def scenario(client: VllmClient, server: VllmServer) -> None:
        assert await client.score("base", [5, 6, 7]) == [-0.006, -0.007]
        answers = await client.answer_greedily("base", [[5], [8, 9]], num_tokens=2, prompt_tokens_per_step=1)
        assert [(answer.token_ids, answer.logprobs) for answer in answers] == [
            ([6, 7], [-0.006, -0.007]),
            ([10, 11], [-0.01, -0.011]),
        ]
        assert "prompt_tokens_per_step" not in server.requests[-1]
        assert await client.dtype() == "bfloat16"
        assert await client.models() == ["base"]
        assert await client.health()

    ask(short, scenario)


def test_lora_comes_in_and_other_kinds_are_refused_by_name_before_vllm_sees_them(short: Path, tmp_path: Path) -> None:
    async def scenario(client: VllmClient, server: VllmServer) -> None:
        for _ in range(2):  # the second time it is there already
            await client.load_adapter("arn:x", adapter_folder)
        assert await client.models() == ["base", "arn:x"]
        assert [delta.token_ids for delta in await _all(client, wish(model="arn:x"))] == [[8], [9], [10]]
        with pytest.raises(Invalid, match=r"^vLLM takes LoRA adapters, and this one is dora of rank 8"):
            await client.load_adapter("arn:dora", dora)
        with pytest.raises(Invalid, match=r"^vLLM takes LoRA adapters, and this one is oft of block size 4"):
            await client.load_adapter("arn:oft", oft)
        assert list(server.adapters) == ["arn:x"]
        with pytest.raises(UnknownAdapter):
            await _all(client, wish(model="arn:dora"))
        await client.unload_adapter("arn:x")
        with pytest.raises(UnknownAdapter):
            await client.unload_adapter("arn:x")

    adapter_folder = adapter(tmp_path / "lora", use_rslora=True)
    dora = adapter(tmp_path / "dora", use_dora=True)
    oft = tmp_path / "oft"
    oft.mkdir()
    (oft / "adapter_config.json").write_text(json.dumps({"peft_type": "OFT", "oft_block_size": 4, "r": 0}))
    ask(short, scenario)


async def _all(client: VllmClient, request: GenerationRequest) -> list[Delta]:
    return [delta async for delta in client.generate(request)]


def test_what_vllm_cannot_load_fails_with_its_words(short: Path, tmp_path: Path) -> None:
    async def scenario(client: VllmClient, server: VllmServer) -> None:
        folder = adapter(tmp_path / "lora")
        server.updates_adapters = False  # VLLM_ALLOW_RUNTIME_LORA_UPDATING was not set
        with pytest.raises(UnknownAdapter):
            await client.load_adapter("arn:x", folder)

    ask(short, scenario)


@pytest.mark.parametrize(("wrong", "failure"), [(0, None), (7, "the engine generates the token 8 at place 1")])
def test_the_parity_gate_holds_vllm_against_the_trainer_by_its_dtype(
    short: Path, tmp_path: Path, wrong: int, failure: str | None
) -> None:
    logprobs = tuple(-i / 1000 + 0.001 for i in (6, 7))  # bfloat16 rounds away far more than that
    rivals = ((RunnerUp(8, -9.0),), ()) if wrong else ((), ())
    answer = Generation(prompt=(5, 6, 7), ids=(8 + wrong, 9), logprobs=(-0.008, -0.009), rivals=rivals)
    expected = ParityRecord(
        dtype="float32", largest_logit=1.0, samples=(Sample(ids=(5, 6, 7), logprobs=logprobs),), generations=(answer,)
    )
    (tmp_path / parity_file.FILE).write_text(parity_file.text(expected))

    async def scenario(client: VllmClient, _server: VllmServer) -> None:
        found = await parity.compare(client, "base", tmp_path)
        assert found.tolerance == 2.0**-8 * 16.0  # that of bfloat16, not of the trainer's float32
        assert (found.failure or "").startswith(failure or "")
        assert (found.failure is None) == (failure is None)

    ask(short, scenario)


def launched(room: EnginesRoom, short: Path, tmp_path: Path, **more: Any) -> tuple[VllmLauncher, Order]:
    chosen(room, "a", python=vllm_environment(tmp_path / "env"), **more)
    settings = Settings(home=tmp_path / "launched")
    launcher = VllmLauncher(settings, room.environments, memory_bytes=8 * 2**30)
    order = replace(room.order("a"), socket=short / "engine.sock")
    return launcher, order


def test_a_process_starts_serves_is_measured_with_its_children_and_ends(
    room: EnginesRoom, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/this/python")
    launcher, order = launched(room, short, tmp_path, arguments=("--gpu-memory-utilization", "0.5"))
    assert order.socket is not None
    order.socket.touch()  # of one that was killed
    launcher.start(order)
    try:
        assert eventually(lambda: _ready(launcher))
        held = launcher.standings()["a"].held_bytes
        own = memory.resident(launcher.children[0].pid or 0) or 0
        assert held > own + (30 << 20)  # its engine's process holds the most
        load = launcher.load(order)
        assert load is not None
        assert (load.running, load.answered) == (0, 0)

        async def use() -> None:
            client = VllmClient(order.socket or Path(), dtype="bfloat16")
            assert await _all(client, wish(model="a"))
            await client.aclose()

        asyncio.run(use())
        load = launcher.load(order)
        assert load is not None
        assert load.answered == 1
        told = json.loads((tmp_path / "launched" / "logs" / "engine-a.log").read_text().splitlines()[0])
        assert "/of/this/python" not in told["environment"].get("PYTHONPATH", "")
        assert told["environment"]["VLLM_NO_USAGE_STATS"] == told["environment"]["HF_HUB_OFFLINE"] == "1"
        assert told["arguments"][-2:] == ["--gpu-memory-utilization", "0.5"]
        assert launcher.retire("a")
        assert eventually(lambda: launcher.standings()["a"].gone)
        launcher.keep_alive()
        assert launcher.standings()["a"].gone  # one that has left is not started again
    finally:
        launcher.end("a")
    assert launcher.standings() == {}


def _ready(launcher: VllmLauncher) -> bool:
    launcher.keep_alive()
    return launcher.standings()["a"].ready


def test_an_environment_that_runs_no_vllm_is_given_up_with_a_sentence(
    room: EnginesRoom, short: Path, tmp_path: Path
) -> None:
    launcher, order = launched(room, short, tmp_path)
    chosen(room, "a", python=tmp_path / "gone" / "python")
    launcher.start(order)
    try:

        def failure() -> str | None:
            launcher.keep_alive()
            return launcher.standings()["a"].failure

        assert "the Python of vLLM cannot be run (No such file or directory)" in eventually(failure)
    finally:
        launcher.end("a")
    room.environments.remove()
    with pytest.raises(MachineTrouble, match=r"^vLLM's environment is gone\."):
        launcher.start(order)


def test_an_engine_that_is_away_is_asked_again(short: Path) -> None:
    async def away() -> None:
        client = VllmClient(short / "nobody", dtype="bfloat16")
        assert not await client.health()
        with pytest.raises(EngineAway):
            await client.score("base", [1, 2])
        await client.aclose()

    asyncio.run(away())


def test_a_metric_is_summed_over_its_labels() -> None:
    text = 'a_total{x="1"} 2.0\na_total{x="2"} 3.0\na_total_created{x="1"} 9.0\na 7\n'
    assert (total(text, "a_total"), total(text, "a"), total(text, "b")) == (5, 7, 0)


def test_an_environment_is_kept_changed_and_forgotten(tmp_path: Path) -> None:
    store = Store.open(Settings(home=tmp_path))
    environments = EngineEnvironments(store, MovableClock())
    assert environments.vllm() is None
    assert not environments.remove()
    for models in (("a",), ("a", "b")):
        kept = VllmEnvironment(python=Path("/p"), models=models, dtype="float32", arguments=("--x",))
        environments.add(kept)
        assert environments.vllm() == kept
    assert environments.kind_for("b") is EngineKind.VLLM
    assert environments.remove()
    assert environments.kind_for("b") is EngineKind.EMBEDDED
    store.close()


def test_the_memory_of_a_process_is_that_of_all_it_started() -> None:
    assert memory.resident_tree(os.getpid()) >= (memory.resident(os.getpid()) or 0) > 0
    assert memory.resident_tree(2**30) == 0


def test_an_answer_of_vllm_that_is_an_error_says_why(short: Path) -> None:
    async def scenario(client: VllmClient, server: VllmServer) -> None:
        server.has_priorities = False
        with pytest.raises(Invalid, match="Priority scheduling is not enabled"):
            await client._engine._send("POST", "/v1/completions", {"model": "base", "prompt": [1], "priority": 1})
        with pytest.raises((UnknownAdapter, ModelFailed)):
            await client._engine._send("POST", "/v1/unknown", {})

    ask(short, scenario)
