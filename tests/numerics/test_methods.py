"""Every method of training on every architecture: the numbers are PEFT's, and files go both ways."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from outcrop.errors import Invalid
from outcrop.inference.engine import Engine
from outcrop.inference.request import EngineRequest
from outcrop.network import load
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import AdapterSpan, Routing
from outcrop.network.adapters.method import OFT, Adapter, LoRA, read_adapter
from outcrop.network.attention import Packed
from outcrop.training.weights import TrainedWeights
from tests.support.tiny import ARCHITECTURES, VOCAB_SIZE, tiny_model

pytestmark = [
    # PEFT asks transformers for properties that its newest version has renamed.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),
    pytest.mark.filterwarnings("ignore:Invalid `oft_block_size`"),
]

ADAPTER = "learned"
METHODS: dict[str, Adapter] = {
    "lora": LoRA(rank=3, alpha=12),
    "rslora": LoRA(rank=3, alpha=4, stabilized=True),
    "dora": LoRA(rank=3, alpha=12, decomposed=True),
    "oft": OFT(block_size=16),
    "exact oft": OFT(block_size=24, terms=None),  # divides none of the widths
    "chosen": LoRA(rank=2, alpha=8, targets=("q_proj", "mlp.down_proj")),
}
GRID = [
    (architecture, method)
    for architecture in sorted(ARCHITECTURES)
    for method in ("lora", "dora", "oft")
    if (architecture, method) != ("gpt2", "oft")
]
MORE = [("llama", "rslora"), ("llama", "exact oft"), ("llama", "chosen")]
LENGTHS = [37, 5, 22]  # one longer than the sliding windows


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices are not worth a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: tiny_model(tmp_path_factory.mktemp(name), name) for name in ARCHITECTURES}


def ours(base: Path, method: Adapter, *, seed: int = 1) -> tuple[nn.Module, Routing, list[nn.Parameter]]:
    """A network with an adapter whose every weight is some way from its beginning, so that every gradient is alive."""
    network = load.load_base(base)
    routing = linear.hold_adapters(network)
    generator = torch.Generator().manual_seed(seed)
    parameters = adapter_files.add_new(network, ADAPTER, method, generator)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network, routing, parameters


def theirs(base: Path, adapter: Path) -> Any:
    network = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    return peft.PeftModel.from_pretrained(network, adapter, is_trainable=True).eval()


def records() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(6, VOCAB_SIZE, (length,), generator=generator) for length in LENGTHS]


def packed_logits(network: nn.Module, routing: Routing, adapter: str | None = ADAPTER) -> Tensor:
    layout = Packed(lengths=LENGTHS)
    routing.spans = [AdapterSpan(0, sum(LENGTHS), adapter)]
    row_1T = torch.cat(records()).unsqueeze(0)
    return load.logits(network, row_1T, layout.positions(), layout, at_N=torch.arange(sum(LENGTHS)))


def padded_logits(network: Any) -> Tensor:
    """The same records, one below the other, of transformers' own making; the padding is left out."""
    ids_BT = nn.utils.rnn.pad_sequence(records(), batch_first=True)
    mask_BT = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)
    logits_BTV = network(input_ids=ids_BT, attention_mask=mask_BT.long()).logits
    return logits_BTV[mask_BT]  # type: ignore[no-any-return]


def loss_of(logits_TV: Tensor) -> Tensor:
    """Every token from the one before it, none from another record."""
    parts = zip(torch.split(logits_TV, LENGTHS), records(), strict=True)
    sums = [cross_entropy(logits[:-1], ids[1:], reduction="sum") for logits, ids in parts]
    return torch.stack(sums).sum() / (sum(LENGTHS) - len(LENGTHS))


def assert_close(found: Tensor, wanted: Tensor) -> None:
    assert (found - wanted).abs().max() <= 1e-4 * max(1.0, float(wanted.detach().abs().max()))


@pytest.mark.parametrize(("architecture", "name"), [*GRID, *MORE])
def test_loss_and_gradients_are_those_of_peft_for_the_files_we_write(
    architecture: str, name: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    base, method = bases[architecture], METHODS[name]
    network, routing, _ = ours(base, method)
    adapter_files.save(tmp_path, network, ADAPTER, method, base="tiny")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Invalid `oft_block_size`")
        reference = theirs(base, tmp_path)

    logits_TV, wanted_TV = packed_logits(network, routing), padded_logits(reference)
    assert_close(logits_TV, wanted_TV)
    loss, wanted = loss_of(logits_TV), loss_of(wanted_TV)
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-6 * max(1.0, wanted.item()))

    torch.autograd.backward(loss)
    torch.autograd.backward(wanted)
    gradients = {
        f"{layer}.{part.removesuffix('.weight')}": parameter.grad
        for layer, held in linear.layers(network)
        if ADAPTER in held.updates
        for part, parameter in held.updates[ADAPTER].parameters().items()
    }
    theirs_by_name = {
        parameter_name.removeprefix("base_model.model.").replace(".default.weight", ""): parameter.grad
        for parameter_name, parameter in reference.named_parameters()
        if parameter.requires_grad
    }
    assert gradients.keys() == theirs_by_name.keys()
    for which, gradient in gradients.items():
        assert gradient is not None
        assert (gradient - theirs_by_name[which]).abs().max() <= 1e-4 * theirs_by_name[which].abs().max(), which


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_training_in_full_has_the_gradients_of_transformers(architecture: str, bases: dict[str, Path]) -> None:
    network = load.load_base(bases[architecture], trainable=True).requires_grad_(True)
    reference = transformers.AutoModelForCausalLM.from_pretrained(bases[architecture], attn_implementation="eager")
    torch.autograd.backward(loss_of(packed_logits(network, Routing())))
    torch.autograd.backward(loss_of(padded_logits(reference.eval())))
    wanted = {name: parameter.grad for name, parameter in reference.named_parameters()}
    assert wanted.keys() == {name for name, _ in network.named_parameters()}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert (parameter.grad - wanted[name]).abs().max() <= 1e-4 * max(1e-3, float(wanted[name].abs().max())), name


def test_weight_decay_is_adamw_s_and_for_matrices_only() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(3,), (4, 3), (2, 4), (5,), (2, 2)]
    parameters = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    same = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    matrices, others = [p for p in same if p.ndim == 2], [p for p in same if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.3}, {"params": others, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.01)
    weights = TrainedWeights(parameters, weight_decay=0.3)
    for _ in range(4):
        weights.forget_gradient()
        for ours_, theirs_ in zip(parameters, same, strict=True):
            gradient = torch.randn(ours_.shape, generator=generator)
            assert ours_.grad is not None
            ours_.grad += gradient
            theirs_.grad = gradient
        weights.update(0.01)
        reference.step()
    for ours_, theirs_ in zip(parameters, same, strict=True):
        torch.testing.assert_close(ours_, theirs_)


@pytest.mark.parametrize(("architecture", "name"), [*GRID, *MORE])
def test_an_adapter_that_peft_saved_answers_as_there(
    architecture: str, name: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    base = transformers.AutoModelForCausalLM.from_pretrained(bases[architecture], attn_implementation="eager")
    torch.manual_seed(3)
    saved = peft.get_peft_model(base, peft_config(METHODS[name], transposed=architecture == "gpt2")).eval()
    with torch.no_grad():  # DoRA's magnitudes have no random beginning
        for parameter in (p for p in saved.parameters() if p.requires_grad):
            parameter.mul_(1.1)
    saved.save_pretrained(tmp_path, save_embedding_layers=False)

    network = load.load_base(bases[architecture])
    routing = linear.hold_adapters(network)
    adapter_files.load(network, ADAPTER, tmp_path)
    with torch.no_grad():
        assert_close(packed_logits(network, routing), padded_logits(saved))
        linear.merge(network, ADAPTER)
        assert_close(packed_logits(network, routing, None), padded_logits(saved))


def peft_config(method: Adapter, *, transposed: bool) -> Any:
    targets = list(method.targets) or "all-linear"
    if isinstance(method, OFT):
        return peft.OFTConfig(
            task_type="CAUSAL_LM",
            oft_block_size=method.block_size,
            target_modules=targets,
            init_weights=False,
            use_cayley_neumann=method.terms is not None,
        )
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=method.rank,
        lora_alpha=method.alpha,
        target_modules=targets,
        use_rslora=method.stabilized,
        use_dora=method.decomposed,
        init_lora_weights=False,
        fan_in_fan_out=transposed,
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_fresh_adapter_changes_nothing(name: str, bases: dict[str, Path]) -> None:
    network = load.load_base(bases["qwen2"])
    routing = linear.hold_adapters(network)
    adapter_files.add_new(network, ADAPTER, METHODS[name], torch.Generator())
    with torch.no_grad():
        assert_close(packed_logits(network, routing), packed_logits(network, routing, None))


@pytest.mark.parametrize("name", ["lora", "dora", "oft"])
def test_adapters_of_several_methods_in_one_row_answer_as_each_alone(name: str, bases: dict[str, Path]) -> None:
    # Given a network that holds an adapter of every method, and a row whose middle record is one's
    network, routing, _ = ours(bases["qwen2"], METHODS["lora"])
    for other in ("dora", "oft"):
        parameters = adapter_files.add_new(network, other, METHODS[other], torch.Generator())
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(0.05)
    adapter = ADAPTER if name == "lora" else name
    with torch.no_grad():
        wanted = [torch.split(packed_logits(network, routing, a), LENGTHS) for a in ("oft", adapter, "dora")]
        # when the others are the others'
        layout = Packed(lengths=LENGTHS)
        ends = [0, 37, 42, 64]
        routing.spans = [AdapterSpan(*span) for span in zip(ends, ends[1:], ("oft", adapter, "dora"), strict=False)]
        row_1T = torch.cat(records()).unsqueeze(0)
        found_TV = load.logits(network, row_1T, layout.positions(), layout, at_N=torch.arange(64))
    # then each answers as if the row were its own
    for number, part in enumerate(torch.split(found_TV, LENGTHS)):
        assert_close(part, wanted[number][number])


def test_an_engine_serves_them_side_by_side_as_each_alone(bases: dict[str, Path], tmp_path: Path) -> None:
    # Given an engine with an adapter of each method
    engine = Engine(bases["qwen2"], cache_bytes=2**24)
    for name in ("lora", "dora", "oft"):
        network, _, _ = ours(bases["qwen2"], METHODS[name])
        adapter_files.save(tmp_path / name, network, ADAPTER, METHODS[name], base="tiny")
        engine.load_adapter(name, tmp_path / name)
    # when each of them and the base generate in one batch
    adapters_used: list[str | None] = ["lora", "dora", "oft", None, "dora"]
    requests = [
        EngineRequest(id=str(n), prompt_ids=tuple(records()[n % 3].tolist()), max_tokens=12, adapter=adapter)
        for n, adapter in enumerate(adapters_used)
    ]
    # then each answers as it does alone
    assert generated(engine, requests) == [generated(engine, [request])[0] for request in requests]


def generated(engine: Engine, requests: list[EngineRequest]) -> list[list[int]]:
    made: dict[str, list[int]] = {request.id: [] for request in requests}
    for request in requests:
        engine.submit(request)
    while engine.busy:
        for produced in engine.step():
            made[produced.request_id].append(produced.token)
    return list(made.values())


@pytest.mark.parametrize("name", ["lora", "dora"])
def test_dropped_inputs_are_dropped_as_in_peft(name: str, bases: dict[str, Path], tmp_path: Path) -> None:
    """One layer, since the two draw their random numbers in another order in a whole network."""
    plain = METHODS[name]
    assert isinstance(plain, LoRA)
    method = LoRA(rank=3, alpha=12, dropout=0.5, decomposed=plain.decomposed, targets=("layers.0.self_attn.q_proj",))
    network, routing, _ = ours(bases["qwen2"], method)
    adapter_files.save(tmp_path, network, ADAPTER, method, base="tiny")
    assert read_adapter(tmp_path) == method
    reference = theirs(bases["qwen2"], tmp_path).train()
    layer = dict(linear.layers(network))["model.layers.0.self_attn.q_proj"]
    x_BTI = torch.randn(1, 7, 64)
    routing.spans = [AdapterSpan(0, 7, ADAPTER)]
    torch.manual_seed(5)
    found = layer(x_BTI)
    torch.manual_seed(5)
    assert_close(found, reference.base_model.model.model.layers[0].self_attn.q_proj(x_BTI))
    with torch.no_grad():
        assert not torch.equal(layer(x_BTI), found)  # nothing is dropped where nothing is learned


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"peft_type": "LOHA"}, "peft_type LOHA is not supported. Save the adapter as LoRA, DoRA or OFT."),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern is not supported. Save the adapter as plain LoRA, DoRA or OFT."),
        ({"bias": "all"}, "bias 'all' is not supported. Save the adapter as plain LoRA, DoRA or OFT."),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa' is not supported. Save the adapter as plain LoRA, DoRA or OFT."),
        ({"peft_type": "OFT", "oft_block_size": 8, "r": 0, "num_cayley_neumann_terms": 3}, "num_cayley_neumann_terms 3 is not supported. Use 4 or more."),
    ],
)  # fmt: skip
def test_an_adapter_that_would_be_misread_is_refused(changed: dict[str, Any], problem: str, tmp_path: Path) -> None:
    import json

    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]} | changed))
    with pytest.raises(Invalid) as refused:
        read_adapter(tmp_path)
    assert refused.value.message == f"adapter_config.json: {problem}"


def test_a_target_that_no_layer_answers_to_is_refused(bases: dict[str, Path]) -> None:
    with pytest.raises(Invalid) as refused:
        ours(bases["llama"], LoRA(rank=2, alpha=4, targets=("q_proj", "query")))
    assert refused.value.message == (
        "outcrop.targets: query is no linear layer of this base model. Choose among down_proj, gate_proj, k_proj, "
        "o_proj, q_proj, up_proj, v_proj."
    )


def test_oft_is_refused_where_peft_has_none(bases: dict[str, Path]) -> None:
    with pytest.raises(Invalid, match="oft is not to be had for this base model, which keeps its weights transposed"):
        ours(bases["gpt2"], METHODS["oft"])
