"""What the cache does behind an answer changes none of it: growth, giving way, beginnings that others have read."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from outcrop.inference import kv_cache
from outcrop.inference.engine import Engine
from outcrop.inference.kv_cache import measure
from outcrop.inference.prefix_cache import BLOCK
from outcrop.inference.request import EngineRequest, Sampling
from outcrop.inference.scheduler import StepLimits
from outcrop.network.load import load_base
from outcrop.network.run_mode import RunMode
from tests.numerics.test_engine import generate, prompts, reference
from tests.support.tiny import small_family, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

PLENTY = 2**24
SHORT_ROW = 16
LIMITS = StepLimits(max_live=6, prompt_tokens_alone=40, prompt_tokens_beside_decoding=16)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One for all linear layers, and one that leaves keys and values alone."""
    folders = {}
    for name, targets in {"all": "all-linear", "output": ["o_proj"]}.items():
        torch.manual_seed(len(name))
        shape = peft.LoraConfig(r=4, lora_alpha=64, target_modules=targets, init_lora_weights=False)
        network = transformers.AutoModelForCausalLM.from_pretrained(base)
        folders[name] = tmp_path_factory.mktemp(name)
        peft.get_peft_model(network, shape).save_pretrained(folders[name])
    return folders


def asked(name: str, ids: Sequence[int], max_tokens: int = 8, **told: Any) -> EngineRequest:
    return EngineRequest(id=name, prompt_ids=tuple(ids), max_tokens=max_tokens, **told)


def num_cached(engine: Engine, requests: Sequence[EngineRequest]) -> list[int]:
    """How much of each prompt was not read, when all come at once."""
    for request in requests:
        engine.submit(request)
    told: dict[str, int] = {}
    while engine.busy:
        told |= {produced.request_id: produced.num_cached for produced in engine.step()}
    return [told[request.id] for request in requests]


def position_bytes(base: Path) -> int:
    layers = measure(load_base(base)).layers
    return sum(4 * shape.num_heads * (shape.key_width + shape.value_width) for shape in layers)


@pytest.mark.parametrize("architecture", ["gemma3", "gpt2"])
def test_a_prompt_that_begins_as_an_earlier_one_is_answered_as_if_it_were_read_whole(
    architecture: str, tmp_path: Path
) -> None:
    folder = tiny_model(tmp_path, architecture)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    engine = Engine(folder, cache_bytes=PLENTY, limits=LIMITS)
    common, *tails = prompts([90, 7, 1, 60, 30])
    requests = [asked(str(number), (*common, *tail)) for number, tail in enumerate(tails)]
    # a cut of it, too, and what goes on after an answer
    requests.append(asked("cut", common[:70]))
    conversation = (*requests[0].prompt_ids, *reference(network, requests[0].prompt_ids, 8), *tails[2])
    requests.append(asked("next turn", conversation))
    for request in requests:
        assert generate(engine, [request]) == [reference(network, request.prompt_ids, request.max_tokens)]
    assert engine.cache_figures.num_cached_tokens > 300


def test_what_was_not_read_is_told(base: Path) -> None:
    engine = Engine(base, cache_bytes=PLENTY, limits=LIMITS)
    common, tail = prompts([90, 20])
    first, second = asked("a", common), asked("b", (*common, *tail))
    assert num_cached(engine, [first]) == [0]
    # a part in blocks that were kept, and all but the last of what the other is reading
    assert num_cached(engine, [second, first]) == [90 // BLOCK * BLOCK, 89]
    # of a generation that was kept, only what was read
    assert num_cached(engine, [asked("c", (*common, *generate(engine, [first])[0], 5, 6))])[0] >= 96


def test_adapters_share_with_themselves_alone(base: Path, adapters: dict[str, Path]) -> None:
    (ids,) = prompts([100])
    engine = Engine(base, cache_bytes=PLENTY, limits=LIMITS)
    for name, folder in adapters.items():
        engine.load_adapter(name, folder)
    requests = [asked(str(name), ids, adapter=name) for name in (None, *adapters)]
    answers = [generate(engine, [request])[0] for request in requests]
    for name, answer in zip(adapters, answers[1:], strict=True):
        network = transformers.AutoModelForCausalLM.from_pretrained(base)
        assert answer == reference(peft.PeftModel.from_pretrained(network, adapters[name]), ids, 8)
    assert engine.cache_figures.num_cached_tokens == 0
    assert num_cached(engine, requests) == [96, 96, 96]
    assert [generate(engine, [request])[0] for request in requests] == answers
    # Another adapter of the same name has read nothing yet.
    engine.load_adapter("all", adapters["output"])
    assert generate(engine, [replace(requests[1], id="new")]) == [answers[2]]


def test_several_answers_to_a_prompt_read_it_once_and_are_those_of_each_seed(base: Path) -> None:
    (ids,) = prompts([70])
    several = [asked(str(seed), ids, 12, sampling=Sampling(temperature=1.0, seed=seed)) for seed in range(5)]
    alone = [generate(Engine(base, cache_bytes=PLENTY, limits=LIMITS), [one])[0] for one in several[:2]]
    engine = Engine(base, cache_bytes=PLENTY, limits=LIMITS)
    together = generate(engine, several)
    assert together[:2] == alone
    assert len(set(map(tuple, together))) == 5
    assert engine.cache_figures.num_cached_tokens == 4 * 69


@pytest.mark.parametrize("rows", [6, 12])
def test_whoever_gives_way_goes_on_where_it_was(base: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a cache that six requests fill, and outgrow
    monkeypatch.setattr(kv_cache, "SHORTEST_ROW", SHORT_ROW)
    network = transformers.AutoModelForCausalLM.from_pretrained(base)
    asked_for = [
        asked(str(number), ids, 30, sampling=Sampling(temperature=float(number % 2), seed=number))
        for number, ids in enumerate(prompts([9, 14, 3, 20, 5, 11]))
    ]
    engine = Engine(base, cache_bytes=rows * SHORT_ROW * position_bytes(base), limits=LIMITS)
    made = generate(engine, asked_for)
    # then those that gave way have the answers they have alone
    assert engine.cache_figures.num_preempted > 0
    assert engine.cache_figures.live_bytes == 0
    plenty = Engine(base, cache_bytes=PLENTY, limits=LIMITS)
    assert made == [generate(plenty, [one])[0] for one in asked_for]
    greedy = [(one, ids) for one, ids in zip(asked_for, made, strict=True) if not one.sampling.temperature]
    assert all(ids == reference(network, one.prompt_ids, 30) for one, ids in greedy)


def test_a_network_that_takes_one_request_a_row_gives_way_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_cache, "SHORTEST_ROW", SHORT_ROW)
    folder = small_family(tmp_path / "model", "lfm2")
    plenty = Engine(folder, cache_bytes=PLENTY, limits=LIMITS, way=RunMode.ONE_RECORD_A_ROW, context=128)
    forward: Any = plenty._forward
    requests = [asked(str(number), ids, 20) for number, ids in enumerate(prompts([9, 14, 3, 20, 9]))]
    requests[4] = replace(requests[4], prompt_ids=requests[0].prompt_ids)
    expected = [generate(plenty, [one])[0] for one in requests]
    tight = Engine(
        folder,
        cache_bytes=5 * SHORT_ROW * forward.position_bytes(),
        limits=LIMITS,
        way=RunMode.ONE_RECORD_A_ROW,
        context=128,
    )
    assert generate(tight, requests) == expected
    assert tight.cache_figures.num_preempted > 0
    remembered: Any = tight._forward
    assert len(remembered._remembered) == 0


def test_the_background_waits_for_others_and_loses_nothing(base: Path) -> None:
    network = transformers.AutoModelForCausalLM.from_pretrained(base)
    slow, quick = (asked(name, ids, 12) for name, ids in zip(("slow", "quick"), prompts([30, 40]), strict=True))
    engine = Engine(base, cache_bytes=PLENTY, limits=LIMITS)
    engine.submit(replace(slow, background=True))
    order: list[str] = []
    made: dict[str, list[int]] = {"slow": [], "quick": []}
    for number in range(200):
        if number == 5:
            engine.submit(quick)
        for produced in engine.step():
            order.append(produced.request_id)
            made[produced.request_id].append(produced.token)
    assert made == {one.id: reference(network, one.prompt_ids, 12) for one in (slow, quick)}
    first = order.index("quick")
    assert order[first : first + 12] == ["quick"] * 12
