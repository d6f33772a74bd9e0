"""An engine under fire: 2,000 requests at least, many given up, adapters that come and go, the process killed.

Whatever happens, an answer is the right one or a beginning of it, and whoever gets none is told. Afterwards the engine
holds nothing of them: no row of its cache, no file, no more memory.

Run by `make soak`. OUTCROP_SOAK_MINUTES says how long it goes on: 30 if nothing is said; in 2 there is time for all of
it. Writes its figures to build/soak/engine.json.
"""

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import httpx
import peft
import psutil
import pytest
import torch
import transformers

from outcrop.errors import NotReady
from outcrop.inference.client import EngineAway, EngineClient, GenerationRequest, UnknownAdapter
from outcrop.inference.request import Sampling
from tests.numerics.test_engine import prompts, reference
from tests.support.engine_process import EngineProcess, until
from tests.support.tiny import SIZES

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]

ROOT = Path(__file__).parent.parent.parent
MINUTES = float(os.environ.get("OUTCROP_SOAK_MINUTES", "30"))
LEAST_REQUESTS = 2000
CLIENTS = 32
BASE = "base"
NUM_TOKENS = 40
LENGTHS = (3, 90, 17, 250, 64, 240, 40, 33, 245, 9, 500, 25)
"Some of the answers outgrow the shortest row of the cache, or the next."
CONTEXT_LENGTH = 1024
KILLS = max(3, min(12, int(MINUTES)))
MOST_GROWTH_BYTES = 48 * 2**20
"Of what the engine holds in the last fifth of the time: what the allocator keeps, not what a leak of each request adds."
AWAY = "the engine is away"
CACHE_BYTES = 2**20
"Some 2,000 positions: too few for 32 requests, so that some give way all the time."


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    shape = transformers.LlamaConfig(**SIZES | {"max_position_embeddings": CONTEXT_LENGTH})
    transformers.AutoModelForCausalLM.from_config(shape).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for rank in range(1, 6):
        torch.manual_seed(rank)
        network = transformers.AutoModelForCausalLM.from_pretrained(base)
        shape = peft.LoraConfig(r=rank, lora_alpha=16 * rank, target_modules="all-linear", init_lora_weights=False)
        folders[f"adapter-{rank}"] = tmp_path_factory.mktemp("adapter")
        peft.get_peft_model(network, shape).save_pretrained(folders[f"adapter-{rank}"])
    return folders


@pytest.fixture(scope="module")
def answers(base: Path, adapters: dict[str, Path]) -> dict[tuple[str, int], list[int]]:
    """What `transformers` and PEFT answer to each prompt, by model and number, up to the end of the text."""
    found = {}
    for model in (BASE, *adapters):
        network = transformers.AutoModelForCausalLM.from_pretrained(base)
        if model != BASE:
            network = peft.PeftModel.from_pretrained(network, adapters[model])
        for number, ids in enumerate(asked_for()):
            found[model, number] = up_to_end(reference(network, ids, NUM_TOKENS))
    return found


def asked_for() -> list[tuple[int, ...]]:
    """Prompts of which every third begins as another."""
    found = prompts(LENGTHS)
    return [(*found[1], *ids)[:520] if number % 3 == 2 else ids for number, ids in enumerate(found)]


def up_to_end(ids: list[int]) -> list[int]:
    end = SIZES["eos_token_id"]
    return ids[: ids.index(end) + 1] if end in ids else ids


@pytest.fixture
def engine(base: Path, tmp_path: Path) -> Iterator[EngineProcess]:
    place = EngineProcess(base, tmp_path, name=BASE, arguments=["--cache-bytes", str(CACHE_BYTES)])
    place.start()
    yield place
    place.kill()


class Campaign:
    """Clients that ask without end, what becomes of their requests, and what is wrong with any."""

    def __init__(
        self, engine: EngineProcess, answers: dict[tuple[str, int], list[int]], adapters: dict[str, Path]
    ) -> None:
        self.engine = engine
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.num_served = 0
        self._answers = answers
        self._adapters = adapters
        self._prompts = asked_for()

    async def ask_for(self, seconds: float, *, least: int, kills: int = 0) -> None:
        """Everybody asks for so long, and until so many more requests have ended."""
        ends, enough = time.monotonic() + seconds, self.num_served + least
        over = asyncio.Event()
        async with EngineClient(self.engine.socket) as client, asyncio.TaskGroup() as group:
            group.create_task(self._come_and_go(client, over))
            group.create_task(self._kill(kills, seconds, over))
            for number in range(CLIENTS):
                group.create_task(self._client(client, random.Random(f"{number} {enough}"), over))
            while time.monotonic() < ends or self.num_served < enough:
                await asyncio.sleep(0.1)
            over.set()

    async def figures(self) -> dict[str, int]:
        """What the engine holds once nobody asks any more."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.engine.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=60) as http:

            async def quiet() -> bool:
                told = (await http.get("/cache")).json()
                return bool(told["num_live"] == told["num_waiting"] == 0)

            await until(quiet)
            cache: dict[str, int] = (await http.get("/cache")).json()
        process = psutil.Process(self.engine.process.pid)
        files = []
        for _ in range(20):  # connections that were just closed are still there for a moment
            files.append(process.num_fds())
            await asyncio.sleep(0.1)
        held = {"files": min(files), "threads": process.num_threads(), "memory": process.memory_info().rss}
        return cache | held

    async def _client(self, client: EngineClient, chance: random.Random, over: asyncio.Event) -> None:
        while not over.is_set():
            outcome = await self._request(client, chance)
            self.outcomes[outcome] += 1
            if outcome == AWAY:
                await asyncio.sleep(0.1)
            else:
                self.num_served += 1

    async def _request(self, client: EngineClient, chance: random.Random) -> str:
        """How a request ended; what is wrong with its answer is noted."""
        model, number = chance.choice([BASE, *self._adapters]), chance.randrange(len(self._prompts))
        request = GenerationRequest(
            model=model,
            prompt_ids=list(self._prompts[number]),
            max_tokens=chance.randint(1, NUM_TOKENS),
            sampling=Sampling(),
            background=chance.random() < 0.2,
        )
        expected = self._answers[model, number][: request.max_tokens]
        got: list[int] = []
        try:
            async with asyncio.timeout(chance.uniform(0, 0.3) if chance.random() < 0.15 else None):
                outcome = await _answered(client, request, got, chance)
        except TimeoutError:
            outcome = "given up while it waited"
        except UnknownAdapter:
            outcome = "the adapter is away"
        except EngineAway:
            outcome = AWAY
        whole = outcome == "answered"
        if got != expected[: len(got)] or (whole and len(got) != len(expected)):
            self.wrong.append(f"{outcome}: {request} got {got}, not {expected}")
        return outcome

    async def _come_and_go(self, client: EngineClient, over: asyncio.Event) -> None:
        chance = random.Random(7)
        while not over.is_set():
            name = chance.choice(list(self._adapters))
            with suppress(NotReady):  # it is not there, or the engine is away
                if chance.random() < 0.35:
                    await client.unload_adapter(name)
                else:
                    await client.load_adapter(name, self._adapters[name])
            await asyncio.sleep(chance.uniform(0, 0.1))

    async def _kill(self, num: int, seconds: float, over: asyncio.Event) -> None:
        chance = random.Random(num)
        for _ in range(num):
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), chance.uniform(0.5, 1) * seconds / num)
            await asyncio.to_thread(self.engine.kill)
            self.outcomes["kills"] += 1
            self.engine.start()
            async with EngineClient(self.engine.socket) as client:
                await until(client.health)


async def _answered(client: EngineClient, request: GenerationRequest, got: list[int], chance: random.Random) -> str:
    leaves_after = chance.randint(1, request.max_tokens) if chance.random() < 0.2 else None
    async with aclosing(client.generate(request)) as deltas:
        async for delta in deltas:
            got += delta.token_ids
            if delta.finish_reason is not None:
                return "answered"
            if leaves_after is not None and len(got) >= leaves_after:
                return "given up in the middle"
    return "lost"


def test_no_answer_is_mixed_none_is_lost_and_nothing_is_left(
    engine: EngineProcess, answers: dict[tuple[str, int], list[int]], adapters: dict[str, Path]
) -> None:
    campaign = Campaign(engine, answers, adapters)
    seconds = 60 * MINUTES

    async def run() -> tuple[dict[str, int], dict[str, int]]:
        async with EngineClient(engine.socket) as client:
            await until(client.health)
        await campaign.ask_for(0.6 * seconds, least=LEAST_REQUESTS // 2, kills=KILLS)
        await campaign.ask_for(0.2 * seconds, least=LEAST_REQUESTS // 4)  # the last life of the process warms up
        before = await campaign.figures()
        await campaign.ask_for(0.2 * seconds, least=LEAST_REQUESTS // 4)
        return before, await campaign.figures()

    before, after = asyncio.run(run())
    note({"minutes": MINUTES, "outcomes": dict(campaign.outcomes), "before": before, "after": after})
    assert campaign.wrong == []
    assert campaign.outcomes["lost"] == 0
    assert campaign.outcomes["kills"] == KILLS
    assert min(campaign.outcomes[outcome] for outcome in EXPECTED) > 0
    assert after["num_preempted"] > before["num_preempted"]
    assert after["num_cached_tokens"] > before["num_cached_tokens"]
    assert after["live_bytes"] == 0
    assert after["size_bytes"] <= CACHE_BYTES
    assert after["files"] <= before["files"]
    assert after["threads"] <= before["threads"]
    assert after["memory"] - before["memory"] < MOST_GROWTH_BYTES


EXPECTED = (
    "answered",
    "given up in the middle",
    "given up while it waited",
    "the adapter is away",
    AWAY,
)


def note(figures: dict[str, Any]) -> None:
    path = ROOT / "build" / "soak" / "engine.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
