"""A hundred adapters of one base, invoked at random by 32 clients: none fails, and each answers as itself.

Run by `make soak`; prints how long answers took and what the engine held, and writes it to build/soak/adapters.json.
The base has the shape of the bundled model: 26 million parameters. OUTCROP_SOAK_MINUTES below 30 asks for less.
"""

import asyncio
import json
import os
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import peft
import psutil
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bench.train_data import SHAPES
from outcrop.engines.holding import HoldingClient
from outcrop.inference.client import EngineClient, GenerationRequest
from outcrop.inference.request import Sampling
from tests.support.engine_process import EngineProcess, until

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]

ROOT = Path(__file__).parent.parent.parent
ADAPTERS = 100
CLIENTS = 32
RANK = 8
PROMPT_TOKENS, NEW_TOKENS = 64, 32
REQUESTS = 1600 if float(os.environ.get("OUTCROP_SOAK_MINUTES", "30")) >= 30 else 320
BASE = "base"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    # Larger weights than usual, or a network that has learnt nothing repeats its prompt's last token, whoever adapts it.
    described = SHAPES["small"] | {"initializer_range": 0.1, "eos_token_id": 1}
    shape = transformers.AutoConfig.for_model(described.pop("model_type"), **described)
    transformers.AutoModelForCausalLM.from_config(shape).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Adapters of other weights each, which PEFT has written one of."""
    network = transformers.AutoModelForCausalLM.from_pretrained(base)
    shape = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", init_lora_weights=False)
    first = tmp_path_factory.mktemp("adapter")
    peft.get_peft_model(network, shape).save_pretrained(first)
    weights, config = load_file(first / "adapter_model.safetensors"), (first / "adapter_config.json").read_text()
    folders = {}
    for number in range(ADAPTERS):
        generator = torch.Generator().manual_seed(number)
        folder = folders[f"adapter-{number}"] = tmp_path_factory.mktemp("adapter")
        drawn = {name: torch.randn(x.shape, generator=generator) * 0.05 for name, x in weights.items()}
        save_file(drawn, folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text(config)
    return folders


@pytest.fixture
def engine(base: Path, tmp_path: Path) -> Iterator[EngineProcess]:
    place = EngineProcess(base, tmp_path, name=BASE, arguments=["--threads", "2"])
    place.start()
    yield place
    place.kill()


@dataclass(kw_only=True)
class Asked:
    """What became of all requests."""

    to_first_s: list[float] = field(default_factory=list)
    to_last_s: list[float] = field(default_factory=list)
    answers: dict[str, set[tuple[int, ...]]] = field(default_factory=dict)
    "By adapter: all have one prompt, so each has one."


def test_a_hundred_adapters_invoked_at_random_answer_each_as_itself(
    engine: EngineProcess, adapters: dict[str, Path]
) -> None:
    asked = Asked()
    began = time.monotonic()
    held = asyncio.run(ask(engine, adapters, asked))
    seconds = time.monotonic() - began
    assert len(asked.to_last_s) == REQUESTS
    assert all(len(answers) == 1 for answers in asked.answers.values())
    assert len({answer for answers in asked.answers.values() for answer in answers}) == len(asked.answers)
    note(asked, seconds, held)


async def ask(engine: EngineProcess, adapters: dict[str, Path], asked: Asked) -> int:
    """The most memory that the engine held."""
    chance = random.Random(0)
    names = iter([chance.choice(list(adapters)) for _ in range(REQUESTS)])
    async with EngineClient(engine.socket) as plain:
        await until(plain.health)
        client = HoldingClient(plain, adapters.get, damaged=never, wish=lambda: None)
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(one_client(client, names, asked))
    held: int = psutil.Process(engine.process.pid).memory_info().rss
    return held


def never(adapter: str, why: str) -> None:
    raise AssertionError(f"{adapter}: {why}")


async def one_client(client: HoldingClient, names: Iterator[str], asked: Asked) -> None:
    for name in names:
        request = GenerationRequest(
            model=name,
            prompt_ids=[3 + 7 * place % 30_000 for place in range(PROMPT_TOKENS)],
            max_tokens=NEW_TOKENS,
            sampling=Sampling(),
        )
        began, got = time.monotonic(), list[int]()
        async with aclosing(client.generate(request)) as deltas:
            async for delta in deltas:
                if not got:
                    asked.to_first_s.append(time.monotonic() - began)
                got += delta.token_ids
        asked.to_last_s.append(time.monotonic() - began)
        asked.answers.setdefault(name, set()).add(tuple(got))


def note(asked: Asked, seconds: float, held: int) -> None:
    figures = {
        "requests": REQUESTS,
        "adapters used": len(asked.answers),
        "tokens a second": round(REQUESTS * NEW_TOKENS / seconds),
        **{f"{name} {share}": round(percentile(times, share), 2) for name, times in (
            ("first token, s, p", asked.to_first_s), ("answer, s, p", asked.to_last_s)
        ) for share in (50, 99)},
        "memory of the engine, MB": round(held / 1e6),
    }  # fmt: skip
    path = ROOT / "build" / "soak" / "adapters.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


def percentile(times: list[float], share: int) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[share - 1]
