"""vLLM itself, where an environment has it: the launcher's process, adapters at run time, and `transformers`' own numbers.

OUTCROP_TEST_VLLM names the environment's interpreter; a build for processors does.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from outcrop.catalog.base_model import BaseModel
from outcrop.clock import SystemClock
from outcrop.deployments import parity
from outcrop.engines.environments import EngineEnvironments, VllmEnvironment
from outcrop.engines.orders import Engines, Order
from outcrop.engines.vllm_client import VllmClient
from outcrop.engines.vllm_launcher import VllmLauncher
from outcrop.errors import Invalid
from outcrop.inference.client import GenerationRequest, UnknownAdapter
from outcrop.inference.request import Sampling
from outcrop.machine import memory
from outcrop.network import parity_file
from outcrop.network.parity_file import Generation, ParityRecord, Sample
from outcrop.settings import Settings
from outcrop.store.store import Store
from tests.support.patience import eventually
from tests.support.tiny import SIZES, write_tokenizer

PYTHON = os.environ.get("OUTCROP_TEST_VLLM", "")
pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="vLLM is not there: set OUTCROP_TEST_VLLM to its environment's Python"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
BASE, ADAPTER = "local.tiny-v1", "arn:aws:bedrock:us-east-1:123456789012:custom-model/local.tiny-v1:0:1k/abcdefghijkl"
PROMPT = [0, 17, 33, 58, 91, 120]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="outcrop-"))  # a socket's path is short
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def network(folder: Path) -> Any:
    """Heads of 32 numbers, the least that vLLM's attention takes on a processor."""
    torch.manual_seed(0)
    sizes = {**SIZES, "hidden_size": 128}
    made = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(**sizes)).eval()
    made.save_pretrained(folder / "network")
    write_tokenizer(folder / "network")
    return made


@pytest.fixture(scope="module")
def adapted(folder: Path, network: Any) -> Any:
    """The network with an adapter of its own."""
    torch.manual_seed(1)
    again = transformers.AutoModelForCausalLM.from_pretrained(folder / "network").eval()
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    shape = peft.LoraConfig(r=8, lora_alpha=32, target_modules=targets, init_lora_weights=False)
    made = peft.get_peft_model(again, shape).eval()
    made.save_pretrained(folder / "adapter")
    shape = peft.LoraConfig(r=8, lora_alpha=32, target_modules=targets, use_dora=True)
    peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(folder / "network"), shape).save_pretrained(
        folder / "dora"
    )
    return made


@pytest.fixture(scope="module")
def running(folder: Path, network: Any, adapted: Any) -> Iterator[tuple[VllmLauncher, Order]]:
    settings = Settings(home=folder / "home", threads=2)
    store = Store.open(settings)
    environments = EngineEnvironments(store, SystemClock())
    is_cpu = subprocess.run([PYTHON, "-c", "import torch; print(torch.version.cuda)"], capture_output=True, text=True)
    environments.add(
        VllmEnvironment(
            python=Path(PYTHON),
            models=(BASE,),
            dtype="float32",
            arguments=("--enforce-eager", "--max-num-seqs", "8"),
            on_cpu=is_cpu.stdout.strip() == "None",
        )
    )
    base = BaseModel(
        id=BASE, context="1k", name="Tiny", provider="local", context_length=256, folder=folder / "network", engine=BASE
    )
    order = replace(Engines(store, SystemClock(), settings).order(base), socket=folder / "engine.sock")
    launcher = VllmLauncher(settings, environments, memory_bytes=8 * 2**30)
    launcher.start(order)
    try:

        def is_ready() -> bool:
            launcher.keep_alive()
            standing = launcher.standings()[BASE]
            assert standing.failure is None, launcher.children[0].log.read_text()[-4000:]
            return standing.ready

        eventually(is_ready)
        yield launcher, order
    finally:
        launcher.end(BASE)
        store.close()


def ask(order: Order, scenario: Callable[[VllmClient], Awaitable[Any]]) -> Any:
    async def asked() -> Any:
        client = VllmClient(order.socket or Path(), dtype="float32")
        try:
            return await scenario(client)
        finally:
            await client.aclose()

    return asyncio.run(asked())


def greedy(made: Any, prompt: list[int], num: int) -> tuple[list[int], list[float]]:
    """The likeliest ids by a plain forward over the whole text for each, with their log probabilities."""
    ids, logprobs = list(prompt), []
    with torch.no_grad():
        for _ in range(num):
            told = made(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            ids.append(int(told.argmax()))
            logprobs.append(float(told.max()))
    return ids[len(prompt) :], logprobs


def scored(made: Any, ids: list[int]) -> list[float]:
    with torch.no_grad():
        told = made(torch.tensor([ids])).logits[0].log_softmax(-1)
    return [float(told[at, token]) for at, token in enumerate(ids[1:])]


def wish(model: str, **more: Any) -> GenerationRequest:
    asked = {"prompt_ids": PROMPT, "max_tokens": 12, "sampling": Sampling(), **more}
    return GenerationRequest(model=model, **asked)


async def generated(client: VllmClient, request: GenerationRequest) -> list[int]:
    return [token async for delta in client.generate(request) for token in delta.token_ids]


def record_of(made: Any) -> ParityRecord:
    """What a trainer would have left beside this model."""
    ids, logprobs = greedy(made, PROMPT, 8)
    with torch.no_grad():
        largest = float(made(torch.tensor([[*PROMPT, *ids]])).logits.abs().max())
    sample = [*PROMPT, 200, 210, 220]
    return ParityRecord(
        dtype="float32",
        largest_logit=largest,
        samples=[Sample(ids=sample, logprobs=scored(made, sample))],
        generations=[Generation(prompt=PROMPT, ids=ids, logprobs=logprobs, rivals=[[] for _ in ids])],
    )


def test_the_base_model_and_an_adapter_beside_it_pass_the_parity_gate(
    running: tuple[VllmLauncher, Order], folder: Path, network: Any, adapted: Any
) -> None:
    async def scenario(client: VllmClient) -> None:
        assert await client.health()
        with pytest.raises(UnknownAdapter):
            await generated(client, wish(ADAPTER))
        for _ in range(2):
            await client.load_adapter(ADAPTER, folder / "adapter")
        assert await client.models() == [BASE, ADAPTER]
        for name, made in ((BASE, network), (ADAPTER, adapted)):
            place = folder / f"record-{name == BASE}"
            place.mkdir()
            (place / parity_file.FILE).write_text(parity_file.text(record_of(made)))
            found = await parity.compare(client, name, place)
            assert found.failure is None, found
            assert found.num_tokens > 20
        # Side by side, neither takes the other's weights.
        both = await asyncio.gather(*(generated(client, wish(name)) for name in (BASE, ADAPTER) * 3))
        ends = {1}
        for answer, made in zip(both, (network, adapted) * 3, strict=True):
            ids = greedy(made, PROMPT, 12)[0]
            cut = next((at + 1 for at, token in enumerate(ids) if token in ends), len(ids))
            assert answer == ids[:cut]
        # Another model's record does not pass.
        failure = (await parity.compare(client, BASE, folder / "record-False")).failure
        assert failure is not None
        await client.unload_adapter(ADAPTER)
        assert await client.models() == [BASE]

    ask(running[1], scenario)


def test_log_probabilities_sampling_and_refusals_are_read_from_its_form(
    running: tuple[VllmLauncher, Order], folder: Path, network: Any
) -> None:
    async def scenario(client: VllmClient) -> None:
        ids, expected = greedy(network, PROMPT, 1)
        deltas = [delta async for delta in client.generate(wish(BASE, max_tokens=1, logprobs=3))]
        (told,) = [one for delta in deltas for one in delta.logprobs]
        assert told.token == ids[0]
        assert told.logprob == pytest.approx(expected[0], abs=1e-4)
        assert len(told.likeliest) == 3
        assert told.likeliest[0][0] == ids[0]
        assert deltas[-1].finish_reason == "length"
        sampling = Sampling(temperature=1.0, top_p=0.9, top_k=20, seed=7, repetition_penalty=1.1, min_p=0.01)
        first = await generated(client, wish(BASE, sampling=sampling))
        assert first == await generated(client, wish(BASE, sampling=sampling))
        stopped = [delta async for delta in client.generate(wish(BASE, stop_token_ids=(ids[0],)))]
        assert ([token for delta in stopped for token in delta.token_ids], stopped[-1].finish_reason) == (ids, "stop")
        with pytest.raises(Invalid, match="vLLM takes LoRA adapters, and this one is dora"):
            await client.load_adapter("arn:dora", folder / "dora")
        with pytest.raises(Invalid):
            await generated(client, wish(BASE, prompt_ids=[5] * 300))

    ask(running[1], scenario)


def test_its_memory_load_and_end_are_those_of_all_its_processes(running: tuple[VllmLauncher, Order]) -> None:
    launcher, order = running
    held = launcher.standings()[BASE].held_bytes
    assert held > (memory.resident(launcher.children[0].pid or 0) or 0)
    load = launcher.load(order)
    assert load is not None
    assert load.running == 0
    before = load.answered
    ask(order, lambda client: generated(client, wish(BASE)))
    load = launcher.load(order)
    assert load is not None
    assert load.answered == before + 1
    assert launcher.retire(BASE)
    assert eventually(lambda: launcher.standings()[BASE].gone)
