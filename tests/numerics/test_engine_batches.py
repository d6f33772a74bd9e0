"""Batches of every size answer as `transformers` and PEFT do, on every architecture, whatever the prompts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import peft
import pytest
import torch
import transformers

from outcrop.inference import kv_cache
from outcrop.inference.engine import Engine
from outcrop.inference.request import EngineRequest
from outcrop.inference.scheduler import StepLimits
from tests.numerics.test_engine import generate, prompts, reference
from tests.support.products import product
from tests.support.tiny import ARCHITECTURES, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

LENGTHS = (33, 1, 65, 130, 8, 3, 100, 17, 2, 31, 5, 200, 50, 12, 64, 32)
NUM_TOKENS = 4
SIZES: dict[str, Sequence[int]] = {"some": (4, 16), "every": range(1, 17)}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("architecture", "sizes"), product(ARCHITECTURES, SIZES, daily=lambda _, sizes: sizes == "some")
)
def test_a_batch_answers_as_each_alone(
    architecture: str, sizes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given rows so short that most are outgrown, prompts of all lengths, every third with the beginning of another
    monkeypatch.setattr(kv_cache, "SHORTEST_ROW", 32)
    folder, adapter = tiny_model(tmp_path / "base", architecture), tmp_path / "adapter"
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    asked = prompts(LENGTHS)
    asked = [(*asked[3][:48], *ids)[:230] if number % 3 == 2 else ids for number, ids in enumerate(asked)]
    expected = [reference(network, ids, NUM_TOKENS) for ids in asked]
    # of which every other one is for an adapter
    torch.manual_seed(1)
    shape = peft.LoraConfig(
        r=4,
        lora_alpha=32,
        target_modules="all-linear",
        init_lora_weights=False,
        fan_in_fan_out=network.config.model_type == "gpt2",
    )
    adapted = peft.get_peft_model(network, shape)
    adapted.save_pretrained(adapter)
    for number in range(0, len(asked), 2):
        expected[number] = reference(adapted, asked[number], NUM_TOKENS)
    requests = [
        EngineRequest(id=str(n), prompt_ids=ids, max_tokens=NUM_TOKENS, adapter=None if n % 2 else "mine")
        for n, ids in enumerate(asked)
    ]
    limits = StepLimits(max_live=16, prompt_tokens_alone=150, prompt_tokens_beside_decoding=40)
    engine = Engine(folder, cache_bytes=2**24, limits=limits)
    engine.load_adapter("mine", adapter)
    # then any number of them together are answered as each is alone
    for num in SIZES[sizes]:
        assert generate(engine, requests[:num], apart=num % 2) == expected[:num], f"{num} at once"
