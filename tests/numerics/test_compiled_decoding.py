"""The decoding step in C beside the network itself, in any company, with adapters of every rank."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from outcrop.errors import Invalid
from outcrop.inference import compiled, scoring, step_proof
from outcrop.inference.cache_pool import CachePool
from outcrop.inference.compiled import CompiledDecoding, StepPart
from outcrop.inference.engine import Engine
from outcrop.inference.forward import Forward
from outcrop.inference.kv_cache import measure
from outcrop.inference.step_layout import SequencePiece, StepLayout
from outcrop.inference.step_proof import ProofNote, proven_step
from outcrop.inference.traced import CLOSE, apart
from outcrop.network import load, rotary_lengths
from outcrop.network.adapters import linear
from outcrop.network.adapters.linear import AdapterSpan, Routing
from outcrop.network.adapters.lora import LoRAUpdate
from outcrop.network.fast.decoding.library import library
from outcrop.network.fast.decoding.packed import Crew, PackedLinear
from outcrop.network.weight_precision import WeightPrecision
from tests.support.tiny import ARCHITECTURES, tiny_model

pytestmark = pytest.mark.skipif(library() is None, reason="no C compiler here, or the C kernels are switched off")

FAMILY = ("llama", "llama3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "smollm3")
LENGTHS = (3, 70, 1, 17, 33, 5, 64, 16, 15, 2, 40, 9, 31, 8, 22, 50, 12)
RANKS = {"one": 1, "four": 4, "sixteen": 16, "many": 37}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(before)


class Decoder:
    """A tiny network twice: as it is loaded, and with its compiled step."""

    def __init__(self, folder: Path, *, num_threads: int = 1) -> None:
        self.plain, self.routing = _held(folder)
        self.network, _ = _held(folder)
        self.shape = measure(self.plain)
        found = proven_step(self.network, self.shape, num_threads=num_threads)
        assert found is not None
        self.step: CompiledDecoding = found

    def pool(self, lengths: Sequence[int]) -> CachePool:
        """Sequences of these lengths; a sequence's memory depends on its length alone."""
        made = CachePool(80, self.shape.layers, torch.empty(0))
        made.resize(len(lengths))
        for row, length in enumerate(lengths):
            generator = torch.Generator().manual_seed(length)
            for stored in (*made.k_RSKD, *made.v_RSKD):
                stored[row, :length] = torch.randn(stored[row, :length].shape, generator=generator)
            made.take().length = length
        return made

    def rows(self, lengths: Sequence[int], adapters: Sequence[str | None] = ()) -> list[StepPart]:
        names = adapters or [None] * len(lengths)
        slots = self.pool(lengths).slots
        return [StepPart((7 + slot.length,), slot, name) for slot, name in zip(slots, names, strict=True)]

    def logits(self, lengths: Sequence[int], adapters: Sequence[str | None] = ()) -> Tensor:
        found = self.step.logits(self.rows(lengths, adapters))
        assert found is not None
        return found

    def expected(self, lengths: Sequence[int], adapters: Sequence[str | None] = ()) -> Tensor:
        """The logits of the network itself, row by row."""
        found = []
        for row in (self.rows([length], [name])[0] for length, name in zip(lengths, adapters, strict=True)):
            layout = StepLayout([SequencePiece(row.slot, 1, row.slot.length + 1)], torch.device("cpu"))
            row_2M = torch.tensor([row.tokens, [row.slot.length]])
            self.routing.spans = [AdapterSpan(0, 1, row.adapter)] if row.adapter else []
            found.append(load.logits(self.plain, row_2M[:1], row_2M[1:], layout, at_N=torch.tensor([0])))
        return torch.cat(found)

    def usual(self, length: int) -> bool:
        """Whether a sequence of this length has the angles that the step was tried with."""
        return rotary_lengths.rotary_rules_of(self.plain).usual(length)

    def adapt(self, name: str, rank: int, *, every: int = 1) -> None:
        """An adapter with random numbers at every so many layers, in both networks."""
        generator = torch.Generator().manual_seed(rank)
        pairs = zip(linear.layers(self.plain), linear.layers(self.network), strict=True)
        for number, ((_, one), (_, other)) in enumerate(pairs):
            if number % every:
                continue
            num_inputs, num_outputs = one.widths
            a_RI = torch.randn(rank, num_inputs, generator=generator) * 0.1
            b_OR = torch.randn(num_outputs, rank, generator=generator) * 0.1
            one.updates[name] = other.updates[name] = LoRAUpdate(a_RI=a_RI, b_OR=b_OR, scale=0.7)


def _held(folder: Path) -> tuple[Any, Routing]:
    network = load.load_base(folder)
    return network, linear.hold_adapters(network)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"), "llama")


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_family_that_llama_began_is_compiled_and_others_go_without(architecture: str, tmp_path: Path) -> None:
    engine = Engine(tiny_model(tmp_path, architecture), cache_bytes=2**22)
    forward = engine._forward
    assert isinstance(forward, Forward)
    assert (forward._compiled is not None) == (architecture in FAMILY)
    assert (forward._traced is None) == (architecture in FAMILY)


@pytest.mark.parametrize("architecture", FAMILY)
@pytest.mark.parametrize("num_threads", [1, 3])
def test_every_row_has_the_networks_logits(architecture: str, num_threads: int, tmp_path: Path) -> None:
    decoder = Decoder(tiny_model(tmp_path, architecture), num_threads=num_threads)
    found, expected = decoder.logits(LENGTHS), decoder.expected(LENGTHS, [None] * len(LENGTHS))
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    assert torch.equal(found.argmax(dim=-1), expected.argmax(dim=-1))


def test_a_row_has_the_same_bits_in_any_company_and_on_any_number_of_threads(llama: Path) -> None:
    decoders = [Decoder(llama, num_threads=num) for num in (1, 2, 5)]
    for name, rank in RANKS.items():
        for decoder in decoders:
            decoder.adapt(name, rank)
    names = [[*RANKS, None][number % 5] for number in range(len(LENGTHS))]
    whole = decoders[0].logits(LENGTHS, names)
    for decoder in decoders:
        for num in range(1, len(LENGTHS) + 1):
            some = decoder.logits(LENGTHS[-num:], names[-num:])
            assert torch.equal(some, whole[-num:]), f"{num} rows on {decoder.step._crew.num_threads} threads"


@pytest.mark.parametrize("every", [1, 3])
def test_adapters_of_several_ranks_side_by_side_answer_as_in_the_network(llama: Path, every: int) -> None:
    decoder = Decoder(llama, num_threads=2)
    for name, rank in RANKS.items():
        decoder.adapt(name, rank, every=every)
    names = [[*RANKS, None][number % 5] for number in range(len(LENGTHS))]
    expected = decoder.expected(LENGTHS, names)
    torch.testing.assert_close(decoder.logits(LENGTHS, names), expected, rtol=0, atol=5e-5)
    without = decoder.expected(LENGTHS, [None] * len(LENGTHS))
    assert not torch.allclose(without[0], expected[0], atol=1e-2)


def test_an_adapter_that_was_forgotten_is_read_anew(llama: Path) -> None:
    decoder = Decoder(llama)
    decoder.adapt("one", 4)
    before = decoder.logits([5], ["one"])
    for _, layer in linear.layers(decoder.network):
        del layer.updates["one"]
    decoder.step.forget("one")
    assert torch.equal(decoder.logits([5], ["one"]), decoder.logits([5]))
    assert not torch.equal(before, decoder.logits([5]))


def test_rows_of_several_pools_are_one_step(llama: Path) -> None:
    decoder = Decoder(llama)
    apart = [row for length in LENGTHS[:4] for row in decoder.rows([length])]
    found = decoder.step.logits(apart)
    assert found is not None
    assert torch.equal(found, decoder.logits(LENGTHS[:4]))


def test_a_prompt_has_the_same_bits_however_it_is_cut_and_in_any_company(llama: Path) -> None:
    decoders = [Decoder(llama, num_threads=num) for num in (1, 2, 3)]
    for decoder in decoders:
        decoder.adapt("four", 4)
    tokens = torch.randint(3, 250, (70,), generator=torch.Generator().manual_seed(1)).tolist()
    whole, remembered = read(decoders[0], tokens, [70])
    for decoder in decoders:
        for cuts in ([1] * 70, [8] * 8 + [6], [13, 57], [69, 1]):
            for beside in (0, 3):
                logits, found = read(decoder, tokens, cuts, beside=beside)
                assert torch.equal(logits, whole), cuts
                assert all(torch.equal(a, b) for a, b in zip(found, remembered, strict=True)), cuts


def test_many_rows_have_the_bits_of_each_sequence_alone(llama: Path) -> None:
    # Given prompts, and so many sequences that decode that whole layers have many rows, the last one too
    decoders = [Decoder(llama, num_threads=num) for num in (1, 2, 5)]
    for decoder in decoders:
        decoder.adapt("four", 4)
    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(3, 250, (num,), generator=generator).tolist() for num in (70, 33, 64, 80, 71)]
    decode = [LENGTHS[number % len(LENGTHS)] for number in range(75)]
    names = [("four", None)[number % 2] for number in range(len(decode) + len(prompts))]

    def parts(decoder: Decoder) -> list[StepPart]:
        beginnings = [
            StepPart(tokens, slot, None) for tokens, slot in zip(prompts, decoder.pool([0] * 5).slots, strict=True)
        ]
        all_parts = [*decoder.rows(decode), *beginnings]
        return [part._replace(adapter=name) for part, name in zip(all_parts, names, strict=True)]

    # When one thread takes each alone, and several take all of them
    alone = [decoders[0].step.logits([part]) for part in parts(decoders[0])]
    expected = torch.cat([one for one in alone if one is not None])
    # Then the logits are the same
    for decoder in decoders:
        found = decoder.step.logits(parts(decoder))
        assert found is not None
        assert torch.equal(found, expected), decoder.step._crew.num_threads


def read(
    decoder: Decoder, tokens: Sequence[int], cuts: Sequence[int], *, beside: int = 0
) -> tuple[Tensor, list[Tensor]]:
    """The logits after a prompt that is read in parts, beside sequences that decode, and what is remembered of it."""
    others = decoder.pool([5] * beside).slots if beside else []
    pool = CachePool(80, decoder.shape.layers, torch.empty(0))
    pool.resize(1)
    slot, at, found = pool.take(), 0, None
    for num in cuts:
        part = StepPart(tokens[at : at + num], slot, "four")
        found = decoder.step.logits([*(StepPart((9,), other, None) for other in others), part])
        slot.length = at = at + num
    assert found is not None
    return found[-1], [stored[0, :at].clone() for stored in (*pool.k_RSKD, *pool.v_RSKD)]


@pytest.mark.parametrize("architecture", FAMILY)
def test_a_long_prompt_has_the_networks_logits(architecture: str, tmp_path: Path) -> None:
    decoder = Decoder(tiny_model(tmp_path, architecture), num_threads=2)
    num = 75 if decoder.usual(75) else 20
    tokens = torch.randint(3, 250, (num,), generator=torch.Generator().manual_seed(1)).tolist()
    decoder.adapt("four", 4)
    found, _ = read(decoder, tokens, [num])
    decoder.routing.spans = [AdapterSpan(0, num, "four")]
    pool = decoder.pool([0])
    layout = StepLayout([SequencePiece(pool.slots[0], num, num)], torch.device("cpu"))
    row_2M = torch.tensor([tokens, list(range(num))])
    expected = load.logits(decoder.plain, row_2M[:1], row_2M[1:], layout, at_N=torch.tensor([num - 1]))[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_more_rows_than_a_call_takes_are_several_calls(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Decoder(llama)
    whole = decoder.logits(LENGTHS)
    tokens = list(range(3, 73))
    expected, _ = read(decoder, tokens, [70])
    monkeypatch.setattr(compiled, "_MOST_ROWS", 5)
    assert torch.equal(decoder.logits(LENGTHS), whole)
    found, _ = read(decoder, tokens, [70])
    assert torch.equal(found, expected)


def test_packed_weights_are_given_back_bit_for_bit(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _ = _held(llama)
    network, _ = _held(llama)
    monkeypatch.setattr(step_proof, "CLOSE", -1.0)
    assert proven_step(network, measure(network), num_threads=1) is None
    found, before = network.state_dict(), plain.state_dict()
    assert found.keys() == before.keys()
    assert all(torch.equal(found[name], before[name]) for name in before)
    assert not any(isinstance(module, PackedLinear) for module in network.modules())


def test_what_is_proven_is_noted_until_a_file_changes(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(llama, tmp_path / "network")
    note = ProofNote(tmp_path / "engine.proof", folder)
    tried: list[int] = []
    own = step_proof._trials

    def trials(*given: Any) -> Any:
        tried.append(1)
        return own(*given)

    monkeypatch.setattr(step_proof, "_trials", trials)

    def starts(*, num_threads: int = 1, weights: WeightPrecision = WeightPrecision.FP32) -> int:
        network, _ = _held(folder)
        tried.clear()
        found = proven_step(network, measure(network), num_threads=num_threads, weights=weights, note=note)
        assert found is not None
        return len(tried)

    assert [starts(), starts()] == [1, 0]
    assert starts(num_threads=2) == 1
    assert starts(weights=WeightPrecision.INT8) == 1
    assert [starts(), starts()] == [1, 0]
    (folder / "config.json").touch()
    assert [starts(), starts()] == [1, 0]
    (tmp_path / "engine.proof").write_bytes(b"\xff")
    assert [starts(), starts()] == [1, 0]
    (tmp_path / "engine.proof").unlink()
    (tmp_path / "engine.proof").mkdir()
    assert [starts(), starts()] == [1, 1]


def test_what_is_not_proven_is_not_noted(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = ProofNote(tmp_path / "engine.proof", llama)
    monkeypatch.setattr(step_proof, "CLOSE", -1.0)
    network, _ = _held(llama)
    assert proven_step(network, measure(network), num_threads=1, note=note) is None
    assert not (tmp_path / "engine.proof").exists()


@pytest.mark.parametrize("num_threads", [1, 2, 4])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (7, 33), (64, 32), (65, 31), (128, 384), (50, 1000)])
def test_a_packed_layer_gives_the_products_of_a_plain_one(inputs: int, outputs: int, num_threads: int) -> None:
    found = library()
    assert found is not None
    generator = torch.Generator().manual_seed(inputs)
    layer = torch.nn.Linear(inputs, outputs)
    packed = PackedLinear(layer, Crew(found, num_threads))
    assert torch.equal(packed.weight, layer.weight)
    for rows in (0, 1, 2, 3, 7, 8, 9, 40):
        x = torch.randn(1, rows, 2 * inputs, generator=generator)[..., ::2]
        expected = functional.linear(x, layer.weight, layer.bias)
        torch.testing.assert_close(packed(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "llama3", "qwen2", "gemma3"])
def test_int8_weights_answer_as_the_network_with_its_weights_rounded(architecture: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, architecture)
    engine = Engine(folder, cache_bytes=2**22, weights=WeightPrecision.INT8)
    rounded, plain = load.load_base(folder), load.load_base(folder)
    for name, module in rounded.named_modules():
        if isinstance(module, torch.nn.Linear):
            scale_O1 = module.weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-30) / 127
            whole = (module.weight / scale_O1).round() * scale_O1
            assert 0 < float((whole - module.weight).abs().max()) <= float(scale_O1.max()) / 2 * 1.001, name
            module.weight = torch.nn.Parameter(whole, requires_grad=False)  # an embedding that shared it keeps its own
    ids = [5, 90, 3, 44, 17, 250, 8]
    found = engine.score(ids)
    assert found == pytest.approx(_scores(rounded, ids), abs=1e-5)
    assert found == pytest.approx(_scores(plain, ids), abs=0.2)
    assert engine.weights is WeightPrecision.INT8


def _scores(network: Any, ids: Sequence[int]) -> list[float]:
    scored: list[float] = scoring.score(network, ids)
    return scored


@pytest.mark.parametrize("architecture", ["gpt2", "phi3"])
def test_int8_weights_are_refused_where_the_step_is_not_compiled(architecture: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, architecture)
    with pytest.raises(Invalid, match="weights in int8 are for networks of Llama's family"):
        Engine(folder, cache_bytes=2**22, weights=WeightPrecision.INT8)


def test_a_difference_is_held_against_the_size_of_the_numbers() -> None:
    # of 30 layers with numbers of some hundreds, rounding alone differs by hundredths
    assert apart([torch.tensor([300.02, 1.0])], [torch.tensor([300.0, 1.0])]) < CLOSE
    assert apart([torch.tensor([0.002])], [torch.tensor([0.0])]) > CLOSE
    assert apart([torch.tensor([300.0])], [torch.tensor([310.0])]) > CLOSE
