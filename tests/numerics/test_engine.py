"""The engine beside `transformers` and PEFT: the same tokens, the same log probabilities, in any company."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from outcrop.errors import Invalid, ModelDamaged, NotFound
from outcrop.inference.engine import Engine
from outcrop.inference.kv_cache import measure
from outcrop.inference.request import EngineRequest, Sampling
from outcrop.inference.scheduler import StepLimits
from outcrop.inference.traced import record
from outcrop.network.adapters.linear import hold_adapters
from outcrop.network.load import load_base
from tests.support.tiny import CONTEXT_LENGTH, VOCAB_SIZE, tiny_model

# Small enough that prompts are read in chunks, and that sequences of several lengths decode beside them.
LIMITS = StepLimits(max_live=5, prompt_tokens_alone=40, prompt_tokens_beside_decoding=16)
CACHE_BYTES = 2**24
# PEFT still asks transformers by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

ADAPTERS = ("red", "green", "blue")


def prompts(lengths: Sequence[int], seed: int = 0) -> list[tuple[int, ...]]:
    numbers = random.Random(seed)
    return [tuple(numbers.randrange(3, VOCAB_SIZE) for _ in range(length)) for length in lengths]


def generate(engine: Engine, requests: Sequence[EngineRequest], *, apart: int = 0) -> list[list[int]]:
    """The token ids generated for each request, when one joins every `apart` steps."""
    made: dict[str, list[int]] = {request.id: [] for request in requests}
    waiting, num_steps = list(requests), 0
    while waiting or engine.busy:
        while waiting and num_steps >= apart * (len(requests) - len(waiting)):
            engine.submit(waiting.pop(0))
        for produced in engine.step():
            made[produced.request_id].append(produced.token)
        num_steps += 1
    return [made[request.id] for request in requests]


def reference(network: Any, prompt_ids: Sequence[int], max_tokens: int, **options: float) -> list[int]:
    ids_1T = torch.tensor([list(prompt_ids)])
    greedy = {"max_new_tokens": max_tokens, "do_sample": False, "eos_token_id": None}
    made = network.generate(ids_1T, attention_mask=torch.ones_like(ids_1T), **greedy, **options)
    return made[0, len(prompt_ids) :].tolist()  # type: ignore[no-any-return]


def logprobs(network: Any, ids: Sequence[int]) -> torch.Tensor:
    with torch.no_grad():
        logits_TV = network(torch.tensor([list(ids)])).logits[0, :-1]
    return torch.log_softmax(logits_TV, dim=-1).gather(1, torch.tensor(ids[1:]).unsqueeze(1)).squeeze(1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices are not worth a second thread, and on a busy machine two wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama, unless the test names another architecture."""
    return tiny_model(tmp_path_factory.mktemp("base"), getattr(request, "param", "llama"))


@pytest.fixture
def engine(base: Path) -> Engine:
    return Engine(base, cache_bytes=CACHE_BYTES, limits=LIMITS)


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three adapters of different rank, as PEFT saves them."""
    folders = {}
    for rank, name in enumerate(ADAPTERS, start=2):
        torch.manual_seed(rank)
        network = transformers.AutoModelForCausalLM.from_pretrained(base)
        shape = peft.LoraConfig(
            r=rank,
            lora_alpha=8 * rank,
            target_modules="all-linear",
            init_lora_weights=False,
            fan_in_fan_out=network.config.model_type == "gpt2",
        )
        folders[name] = tmp_path_factory.mktemp(name)
        peft.get_peft_model(network, shape).save_pretrained(folders[name])
    return folders


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "mistral", "gemma2", "gemma3", "gpt_neox", "gpt2"])
def test_greedy_tokens_equal_transformers_in_a_batch_that_changes_all_the_time(
    architecture: str, tmp_path: Path
) -> None:
    folder = tiny_model(tmp_path, architecture)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    engine = Engine(folder, cache_bytes=CACHE_BYTES, limits=LIMITS)
    requests = [
        EngineRequest(id=str(number), prompt_ids=ids, max_tokens=8 + 4 * number)
        for number, ids in enumerate(prompts([3, 50, 17, 130, 1, 30, 120]))
    ]
    made = generate(engine, requests, apart=3)
    assert made == [reference(network, request.prompt_ids, request.max_tokens) for request in requests]


def test_penalized_greedy_tokens_equal_transformers_beside_plain_ones(base: Path, engine: Engine) -> None:
    network = transformers.AutoModelForCausalLM.from_pretrained(base)
    asked = prompts([9, 9, 20])
    penalties = (1.0, 1.5, 3.0)
    requests = [
        EngineRequest(id=str(n), prompt_ids=ids, max_tokens=24, sampling=Sampling(repetition_penalty=penalty))
        for n, (ids, penalty) in enumerate(zip(asked, penalties, strict=True))
    ]
    theirs = [
        reference(network, ids, 24, repetition_penalty=penalty) for ids, penalty in zip(asked, penalties, strict=True)
    ]
    assert generate(engine, requests, apart=2) == theirs
    assert theirs[1] != reference(network, asked[1], 24)


def test_log_probabilities_of_what_is_taken_and_of_the_likeliest_are_the_networks(base: Path, engine: Engine) -> None:
    network = transformers.AutoModelForCausalLM.from_pretrained(base)
    asked = EngineRequest(
        id="a", prompt_ids=prompts([9])[0], max_tokens=6, logprobs=3, sampling=Sampling(temperature=2.0, seed=1)
    )
    engine.submit(asked)
    made = []
    while engine.busy:
        made += [produced.logprob for produced in engine.step() if produced.logprob is not None]
    ids = [*asked.prompt_ids, *(one.token for one in made)]
    torch.testing.assert_close(
        torch.tensor([one.logprob for one in made]), logprobs(network, ids)[-6:], atol=1e-4, rtol=0
    )
    with torch.no_grad():
        theirs = torch.log_softmax(network(torch.tensor([ids])).logits[0, -7:-1], dim=-1).topk(3)
    assert [[token for token, _ in one.likeliest] for one in made] == theirs.indices.tolist()
    values = torch.tensor([[value for _, value in one.likeliest] for one in made])
    torch.testing.assert_close(values, theirs.values, atol=1e-4, rtol=0)


def test_a_bias_for_a_token_that_is_none_is_refused(engine: Engine) -> None:
    asked = EngineRequest(id="a", prompt_ids=(1,), max_tokens=2, sampling=Sampling(logit_bias={10**6: 1.0}))
    with pytest.raises(Invalid, match=r"logit_bias: token id 1000000 is not in 0 to"):
        engine.submit(asked)


def test_a_prompt_may_be_read_token_by_token(base: Path) -> None:
    engine = Engine(base, cache_bytes=2**24, limits=StepLimits(prompt_tokens_alone=1, prompt_tokens_beside_decoding=1))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(base)
    asked = prompts([5, 3])
    requests = [EngineRequest(id=str(n), prompt_ids=prompt, max_tokens=6) for n, prompt in enumerate(asked)]
    assert generate(engine, requests) == [reference(theirs, prompt, 6) for prompt in asked]


@pytest.mark.parametrize("architecture", ["qwen3", "mistral", "gemma2", "phi3", "olmo2", "gpt_neox", "gpt2"])
def test_decoding_can_be_recorded_for_every_kind_of_network(architecture: str, tmp_path: Path) -> None:
    network = load_base(tiny_model(tmp_path, architecture))
    routing = hold_adapters(network)
    measures = measure(network)
    assert record(network, routing, measures.layers, measures.windows) is not None


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma2"])
def test_a_text_scores_as_in_transformers(architecture: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, architecture)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    (ids,) = prompts([CONTEXT_LENGTH])
    found = torch.tensor(Engine(folder, cache_bytes=CACHE_BYTES).score(ids))
    torch.testing.assert_close(found, logprobs(network, ids), atol=1e-4, rtol=0)


@pytest.mark.parametrize("base", ["llama", "gpt2"], indirect=True)  # GPT-2 keeps its weights transposed
def test_adapters_side_by_side_answer_as_each_alone_and_as_peft(
    engine: Engine, base: Path, adapters: dict[str, Path]
) -> None:
    # Given three adapters in one engine
    for name, folder in adapters.items():
        engine.load_adapter(name, folder)
    # when each of them and the base generate side by side, twice
    models: list[str | None] = [*ADAPTERS, None, *ADAPTERS, None]
    requests = [
        EngineRequest(id=str(number), prompt_ids=ids, max_tokens=16, adapter=adapter)
        for number, (ids, adapter) in enumerate(zip(prompts([9, 40, 3, 21, 60, 8, 5, 33]), models, strict=True))
    ]
    together = generate(engine, requests)
    # then each answers as it does alone, and as PEFT does
    assert together == [generate(engine, [request])[0] for request in requests]
    for adapter in models[:4]:
        network = transformers.AutoModelForCausalLM.from_pretrained(base)
        if adapter is not None:
            network = peft.PeftModel.from_pretrained(network, adapters[adapter])
        expected = [reference(network, request.prompt_ids, 16) for request in requests if request.adapter == adapter]
        assert [m for m, request in zip(together, requests, strict=True) if request.adapter == adapter] == expected
        (ids,) = prompts([50], seed=1)
        torch.testing.assert_close(torch.tensor(engine.score(ids, adapter)), logprobs(network, ids), atol=1e-4, rtol=0)


def test_the_same_seed_gives_the_same_tokens_in_any_company(engine: Engine) -> None:
    first, second, third = prompts([5, 30, 12])
    wanted, other_seed = (
        EngineRequest(
            id="x", prompt_ids=first, max_tokens=20, sampling=Sampling(temperature=1.0, top_p=0.95, seed=seed)
        )
        for seed in (4, 5)
    )
    (alone,) = generate(engine, [wanted])
    others = [
        EngineRequest(id=str(number), prompt_ids=ids, max_tokens=20, sampling=Sampling(temperature=1.0, seed=number))
        for number, ids in enumerate([second, third])
    ]
    beside = generate(engine, [others[0], wanted, others[1]], apart=2)[1]
    assert beside == alone
    assert generate(engine, [other_seed]) != [alone]


def test_a_generation_keeps_the_weights_it_began_with(engine: Engine, adapters: dict[str, Path]) -> None:
    engine.load_adapter("mine", adapters["red"])
    (ids,) = prompts([10])
    request = EngineRequest(id="a", prompt_ids=ids, max_tokens=12, adapter="mine")
    (expected,) = generate(engine, [request])
    # When, in the middle of an answer, another adapter takes the name, and then the name goes
    engine.submit(request)
    made = [produced.token for _ in range(4) for produced in engine.step()]
    engine.load_adapter("mine", adapters["blue"])
    made += [produced.token for _ in range(2) for produced in engine.step()]
    engine.unload_adapter("mine")
    made += [produced.token for _ in range(6) for produced in engine.step()]
    # then the answer is that of the first
    assert made == expected
    with pytest.raises(NotFound):
        engine.submit(request)


def test_an_aborted_request_leaves_its_neighbours_alone(engine: Engine) -> None:
    requests = [
        EngineRequest(id=str(number), prompt_ids=ids, max_tokens=12) for number, ids in enumerate(prompts([5, 9, 20]))
    ]
    expected = generate(engine, requests)
    for request in requests:
        engine.submit(request)
    made: dict[str, list[int]] = {request.id: [] for request in requests}
    for number in range(12):
        if number == 5:
            engine.abort("0")
        for produced in engine.step():
            made[produced.request_id].append(produced.token)
    assert made == {"0": expected[0][:5], "1": expected[1], "2": expected[2]}
    assert engine.step() == []  # puts away what has ended
    assert not engine.busy


def test_an_answer_ends_with_the_context_as_length(engine: Engine) -> None:
    (ids,) = prompts([CONTEXT_LENGTH - 3])
    engine.submit(EngineRequest(id="a", prompt_ids=ids, max_tokens=100))
    produced = [produced for _ in range(12) for produced in engine.step()]
    assert [p.finish_reason for p in produced] == [None, None, "length"]


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        ((), "prompt: is empty. Give it at least one token id."),
        ((1, VOCAB_SIZE), "prompt: a token id is not in 0 to 383. Use this model's tokenizer."),
        ((1, -1), "prompt: a token id is not in 0 to 383. Use this model's tokenizer."),
        (
            (1,) * CONTEXT_LENGTH,
            "prompt: 256 tokens leave no room for an answer in this model's context of 256 tokens. Shorten the prompt.",
        ),
    ],
    ids=["empty", "beyond the vocabulary", "negative", "as long as the context"],
)
def test_a_prompt_that_cannot_be_read_is_refused_before_it_can_hurt_others(
    engine: Engine, ids: tuple[int, ...], problem: str
) -> None:
    with pytest.raises(Invalid) as refused:
        engine.submit(EngineRequest(id="a", prompt_ids=ids, max_tokens=4))
    assert str(refused.value) == problem


def test_a_broken_adapter_is_refused_and_leaves_nothing_behind(
    engine: Engine, adapters: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "adapter_config.json").write_text((adapters["red"] / "adapter_config.json").read_text())
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x10")
    with pytest.raises(
        ModelDamaged, match=r"adapter_model\.safetensors: is no safetensors file, or cut short"
    ) as damage:
        engine.load_adapter("broken", tmp_path)
    assert str(tmp_path) not in damage.value.message
    assert engine.adapters == []
