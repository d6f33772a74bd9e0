"""Random starts: which jobs may have one, with which sizes, and at which rate; refused word for word."""

import json
from pathlib import Path

import pytest

from outcrop.catalog.base_model import BaseModel, Customization
from outcrop.customization import from_zero, memory
from outcrop.customization.choices import initialize
from outcrop.customization.choices.hyperparameters import filled, resolve, used
from outcrop.customization.choices.initialize import RandomStart
from outcrop.errors import Invalid
from outcrop.network import sizes
from outcrop.network.adapters.method import Full
from tests.support.small_tokenizers import BUNDLED

STARTER = BaseModel(
    id="outcrop.starter-v1",
    context="2k",
    name="S",
    provider="O",
    context_length=2048,
    folder=BUNDLED,
    learning_rate=0.5,
)
PRE_TRAINING, FINE_TUNING = Customization.CONTINUED_PRE_TRAINING, Customization.FINE_TUNING
NAME = "hyperParameters.outcrop"


@pytest.mark.parametrize(
    ("customization", "given", "message"),
    [
        (FINE_TUNING, {}, f"{NAME}.initialize: random goes with CONTINUED_PRE_TRAINING, since a network that knows nothing reads texts first. Pre-train it, then fine-tune the custom model that comes of it."),
        (PRE_TRAINING, {"outcrop.layers": "9"}, f"{NAME}.layers: 9 is more than the 8 of the base model. Choose at most 8, or a larger base model."),
        (PRE_TRAINING, {"outcrop.width": "512"}, f"{NAME}.width: 512 is more than the 256 of the base model. Choose at most 256, or a larger base model."),
        (PRE_TRAINING, {"outcrop.width": "100"}, f"{NAME}.width: 100 is no multiple of 8. Choose 96 or 104."),
        (PRE_TRAINING, {"outcrop.tokenizerSize": "261"}, f"{NAME}.tokenizerSize: 261 is below 262: the 256 bytes, and 6 special tokens of outcrop.starter-v1. Choose at least 262."),
    ],
)  # fmt: skip
def test_a_random_start_that_cannot_be_is_refused(
    customization: Customization, given: dict[str, str], message: str
) -> None:
    values = {"outcrop.initialize": "random", **given}
    with pytest.raises(Invalid) as refused:
        initialize.check(values, STARTER, parent=None, customization=customization)
    assert refused.value.message == message


def test_all_that_is_wrong_is_told_together() -> None:
    values = {"outcrop.initialize": "random", "outcrop.layers": "9", "outcrop.tokenizerSize": "258"}
    with pytest.raises(Invalid) as refused:
        initialize.check(values, STARTER, parent=None, customization=FINE_TUNING)
    assert [part in refused.value.message for part in (".initialize:", ".layers:", ".tokenizerSize:")] == [True] * 3


@pytest.mark.parametrize("name", ["outcrop.layers", "outcrop.width", "outcrop.tokenizerSize"])
def test_sizes_without_a_random_start_are_refused(name: str) -> None:
    for more in ({}, {"outcrop.initialize": "base"}):
        with pytest.raises(Invalid) as refused:
            initialize.check({name: "8", **more}, STARTER, parent=None, customization=PRE_TRAINING)
        assert refused.value.message == (
            f"hyperParameters.{name}: belongs to a network that begins at random, and this job begins with the weights "
            "of its base model. Remove it, or set outcrop.initialize to random."
        )


@pytest.mark.parametrize("method", ["lora", "dora", "oft"])
def test_an_adapter_on_random_weights_is_refused(method: str) -> None:
    values = filled("outcrop", {"outcrop.initialize": "random", "outcrop.method": method})
    with pytest.raises(Invalid) as refused:
        resolve("outcrop", values, recommended_rate=0.001)
    assert refused.value.message == (
        f"hyperParameters.outcrop.method: {method} learns beside weights that are kept, and random ones are not worth "
        "keeping. Remove it, or choose full, or another outcrop.initialize."
    )


@pytest.mark.parametrize("family", ["outcrop", "titan-text", "nova", "claude", "cohere", "llama"])
def test_a_random_start_trains_every_weight_at_a_rate_of_its_own(family: str) -> None:
    values = filled(family, {"outcrop.initialize": "random", "outcrop.batchSize": "16"})
    start = initialize.random_start(values)
    rate = memory.suitable_rate(STARTER, start)
    resolved = resolve(family, values, recommended_rate=rate)
    assert isinstance(resolved.hyper.method, Full)
    # and not at the catalogue's rate, which suits what was trained already
    assert resolved.hyper.learning_rate == rate < 0.01
    assert "what suits random weights on this network" in resolved.notes[-2]
    assert (resolved.hyper.warmup_steps, resolved.notes[-1]) == (20, "20 steps of warmup, which suit random weights")
    assert used(values, resolved.hyper)["outcrop.method"] == "full"


@pytest.mark.parametrize(
    ("family", "given", "steps"),
    [
        ("outcrop", {"learningRateWarmupSteps": "0"}, 0),
        ("outcrop", {"outcrop.learningRateWarmupSteps": "10"}, 10),
        ("llama", {"outcrop.learningRateWarmupSteps": "0"}, 0),
        ("nova", {"learningRateWarmupSteps": "50"}, 50),
    ],
)
def test_a_warmup_that_is_asked_for_is_kept(family: str, given: dict[str, str], steps: int) -> None:
    values = filled(family, {"outcrop.initialize": "random", **given})
    assert resolve(family, values, recommended_rate=0.001).hyper.warmup_steps == steps


def test_narrower_networks_learn_at_higher_rates() -> None:
    rates = [RandomStart(layers=None, width=width, tokenizer_size=None).learning_rate(BUNDLED) for width in (256, 128)]
    assert rates[0] < rates[1]


@pytest.mark.parametrize(
    ("layers", "width", "told"),
    [
        (None, None, "8 layers of width 256, 4 heads of 64, 2 for keys and values, inner width 704"),
        (3, None, "3 layers of width 256, 4 heads of 64, 2 for keys and values, inner width 704"),
        (None, 128, "8 layers of width 128, 2 heads of 64, 1 for keys and values, inner width 352"),
        (2, 96, "2 layers of width 96, 2 heads of 48, 1 for keys and values, inner width 264"),
        (1, 8, "1 layer of width 8, 1 head of 8, inner width 24"),
    ],
)
def test_heads_and_inner_width_go_with_the_width(layers: int | None, width: int | None, told: str) -> None:
    assert str(sizes.scaled(BUNDLED, layers=layers, width=width)) == told


def test_memory_asked_for_is_that_of_the_small_network_not_of_its_base() -> None:
    start = RandomStart(layers=2, width=64, tokenizer_size=300)
    small, whole = (memory.need(BUNDLED, method=Full(), start=each) for each in (start, None))
    assert small.weights < whole.weights / 50


def test_a_large_file_is_sampled_evenly_for_the_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps({"input": f"{n:03d}"}) + "\n" for n in range(100)))
    assert len(list(from_zero.texts_of(path))) == 100
    sampled = list(from_zero.texts_of(path, sample_bytes=path.stat().st_size // 4))
    assert sampled == [f"{n:03d}" for n in range(0, 100, 4)]


def test_lines_that_are_no_records_teach_the_tokenizer_nothing(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"input": "a"}\n{"prompt": "b"}\nnothing\n{"input": "c"}\n')
    assert list(from_zero.texts_of(path)) == ["a", "c"]
