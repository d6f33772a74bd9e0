"""Hyperparameters by the providers' names: defaults shown, values echoed verbatim, mistakes told all at once."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.customization.choices import rates
from outcrop.customization.choices.hyperparameters import (
    USED,
    filled,
    read_family,
    resolve,
    shown,
    used,
    with_threads,
)
from outcrop.errors import Invalid
from outcrop.network import headers
from outcrop.network.adapters.method import DEFAULT, OFT, Full, LoRA, Method
from outcrop.training.task import TrainingHyper
from tests.support.tiny import tiny_model


def test_defaults_are_filled_in_and_given_values_kept_to_the_letter() -> None:
    assert filled("titan-text", {"learningRate": "0.000005"}) == {
        "epochCount": "5",
        "batchSize": "1",
        "learningRate": "0.000005",
        "learningRateWarmupSteps": "5",
    }


@pytest.mark.parametrize(
    ("family", "given", "message"),
    [
        ("titan-text", {"epochCount": "0"}, "hyperParameters.epochCount: 0 is below the least value 1. Choose 1 to 10 for this base model."),
        ("nova", {"epochCount": "6"}, "hyperParameters.epochCount: 6 is above the greatest value 5. Choose 1 to 5 for this base model."),
        ("llama", {"batchSize": "two"}, "hyperParameters.batchSize: 'two' is no whole number. Choose 1 to 1 for this base model."),
        ("claude", {"learningRateMultiplier": "nan"}, "hyperParameters.learningRateMultiplier: nan is below the least value 0.1. Choose 0.1 to 2 for this base model."),
        ("titan-text", {"learningRate": "fast"}, "hyperParameters.learningRate: 'fast' is no number. Choose 0 to 1 for this base model."),
    ],
)  # fmt: skip
def test_a_bad_value_names_its_range(family: str, given: dict[str, str], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        filled(family, given)
    assert refused.value.message == message


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(Invalid) as refused:
        filled("llama", {"epochs": "3"})
    assert refused.value.message == (
        "hyperParameters.epochs: unknown for this base model. Known are epochCount, batchSize, learningRate, "
        f"{', '.join(read_family('extra').allowed)}."
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"outcrop.method": "qlora"}, "hyperParameters.outcrop.method: 'qlora' is none of them. Choose lora or dora or oft or full."),
        ({"outcrop.rslora": "yes"}, "hyperParameters.outcrop.rslora: 'yes' is none of them. Choose true or false."),
        ({"outcrop.targets": "q_proj,"}, "hyperParameters.outcrop.targets: '' is no layer's name. Name layers as q_proj,v_proj; a name may be the end of a longer one after a dot."),
        ({"outcrop.rank": "0"}, "hyperParameters.outcrop.rank: 0 is below the least value 1. Choose 1 to 1024 for this base model."),
        ({"outcrop.schedule": "wsd"}, "hyperParameters.outcrop.schedule: 'wsd' is none of them. Choose linear or cosine or constant."),
    ],
)  # fmt: skip
def test_a_bad_value_of_ours_names_its_range(given: dict[str, str], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        filled("nova", given)
    assert refused.value.message == message


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(Invalid) as refused:
        filled("titan-text", {"epochCount": "99", "batchSize": "0"})
    assert "epochCount: 99" in refused.value.message
    assert "batchSize: 0" in refused.value.message


@pytest.mark.parametrize(
    ("family", "given", "rate", "note"),
    [
        # As many as the recommended rate is for, and as usual a rate.
        ("titan-text", {"batchSize": "16"}, 0.002, "learningRate 0.00001 is 1 x this family's default: 0.002, where 0.002 is what suits lora on this network in batches of 16"),
        ("titan-text", {"batchSize": "16", "learningRate": "0.00004"}, 0.004, "learningRate 0.00004 is 4 x this family's default, read as 2 x: 0.004, where 0.002 is what suits lora on this network in batches of 16"),
        # The rates of public notebooks: single records, and any multiple.
        ("titan-text", {"learningRate": "0.05"}, 0.001, "learningRate 0.05 is 5000 x this family's default, read as 2 x: 0.001, where 0.0005 is what suits lora on this network in batches of 1"),
        ("nova", {"learningRate": "0.00005"}, 0.001, "learningRate 0.00005 is 5 x this family's default, read as 2 x: 0.001, where 0.0005 is what suits lora on this network in batches of 1"),
        ("llama", {"learningRate": "0.000025"}, 0.00025, "learningRate 0.000025 is 0.25 x this family's default, read as 0.5 x: 0.00025, where 0.0005 is what suits lora on this network in batches of 1"),
        ("nova", {"learningRate": "0.0000001"}, 0.00005, "learningRate 0.0000001 is 0.01 x this family's default, read as 0.1 x: 5e-05, where 0.0005 is what suits lora on this network in batches of 1; so low a rate learns little in few steps, and outcrop.learningRate takes a rate as it is"),
        ("titan-text", {"learningRate": "0"}, 0.0, "the learning rate is 0: nothing will be learned"),
        ("cohere", {"batchSize": "8"}, 0.00141421, "learningRate 0.00001 is 1 x this family's default: 0.00141421, where 0.00141421 is what suits lora on this network in batches of 8"),
        ("cohere", {"batchSize": "32"}, 0.002, "learningRate 0.00001 is 1 x this family's default: 0.002, where 0.002 is what suits lora on this network in batches of 32"),
        ("claude", {"batchSize": "4", "learningRateMultiplier": "2"}, 0.002, "learningRateMultiplier 2 x 0.001, what suits lora on this network in batches of 4"),
        ("outcrop", {"outcrop.learningRateMultiplier": "2"}, 0.004, "learningRateMultiplier 2 x 0.002, what suits lora on this network in batches of 16"),
        ("nova", {"outcrop.learningRateMultiplier": "0.5", "learningRate": "0.00005"}, 0.00025, "learningRateMultiplier 0.5 x 0.0005, what suits lora on this network in batches of 1"),
        ("outcrop", {"batchSize": "1"}, 0.0005, "learningRate 0.0005, what suits lora on this network in batches of 1"),
        ("outcrop", {"outcrop.method": "full"}, 0.0006, "learningRate 0.0006, what suits full on this network in batches of 16"),
        ("llama", {"outcrop.batchSize": "16"}, 0.002, "learningRate 0.0001 is 1 x this family's default: 0.002, where 0.002 is what suits lora on this network in batches of 16"),
    ],
)  # fmt: skip
def test_a_rate_is_read_by_family_and_batch(family: str, given: dict[str, str], rate: float, note: str) -> None:
    resolved = resolve(family, filled(family, given), recommended_rate=0.002)
    assert (resolved.hyper.learning_rate, resolved.notes[-1]) == (rate, note)


@given(times=st.lists(st.floats(1e-9, 1e9), min_size=2, max_size=2), batch_size=st.integers(1, 4096))
def test_more_is_never_less_and_stays_within_bounds(times: list[float], batch_size: int) -> None:
    little, much = (rates.bent(each) for each in sorted(times))
    assert rates.LEAST <= little <= much <= rates.MOST
    assert rates.for_batch(0.003, 1) <= rates.for_batch(0.003, batch_size) <= 0.003


@pytest.mark.parametrize(
    ("family", "given", "told"),
    [
        ("titan-text", {"learningRate": "0.00005"}, {"outcrop.learningRate": "0.001", "outcrop.method": "lora", "outcrop.rank": "16", "outcrop.alpha": "32"}),
        ("nova", {"learningRate": "0.0000001"}, {"outcrop.learningRate": "0.00005", "outcrop.method": "lora", "outcrop.rank": "16", "outcrop.alpha": "32"}),
        ("outcrop", {"outcrop.learningRate": "0.0123", "outcrop.method": "full"}, {}),
        ("outcrop", {"outcrop.method": "oft"}, {"outcrop.learningRate": "0.002", "outcrop.blockSize": "32"}),
        ("claude", {"outcrop.method": "recommended", "outcrop.rank": "4"}, {"outcrop.learningRate": "0.002", "outcrop.method": "lora", "outcrop.alpha": "8"}),
    ],
)  # fmt: skip
def test_what_is_used_is_told_beside_what_was_asked_and_makes_the_same_run(
    family: str, given: dict[str, str], told: dict[str, str]
) -> None:
    values = filled(family, given)
    resolved = resolve(family, values, recommended_rate=0.002)
    found = shown({"hyperParameters": values, USED: used(values, resolved.hyper)})
    assert found == {**values, **told}
    again = resolve(family, filled(family, found), recommended_rate=0.7)
    assert again.hyper == resolved.hyper


def test_a_rate_of_an_open_model_means_what_it_says() -> None:
    resolved = resolve("outcrop", filled("outcrop", {"learningRate": "0.001"}), recommended_rate=0.5)
    assert (resolved.hyper.learning_rate, resolved.notes) == (0.001, ())


def test_claudes_multiplier_multiplies_the_recommended_rate() -> None:
    hyper = resolve(
        "claude", filled("claude", {"learningRateMultiplier": "0.5"}), recommended_rate=0.002
    ).hyper  # by 32
    assert hyper.learning_rate == 0.001
    assert (hyper.patience, hyper.threshold) == (2, 0.001)


@pytest.mark.parametrize("family", ["titan-text", "titan-premier", "cohere", "llama", "claude", "nova", "outcrop"])
def test_our_own_names_go_with_every_family(family: str) -> None:
    given = {
        "outcrop.method": "dora",
        "outcrop.rank": "4",
        "outcrop.alpha": "8",
        "outcrop.dropout": "0.1",
        "outcrop.targets": "v_proj,q_proj",
        "outcrop.rslora": "true",
        "outcrop.learningRate": "0.01",
        "outcrop.learningRateWarmupSteps": "7",
        "outcrop.schedule": "cosine",
        "outcrop.batchSize": "12",
        "outcrop.tokensPerRow": "512",
        "outcrop.gradientCheckpointing": "true",
        "outcrop.threads": "3",
        "outcrop.weightDecay": "0.05",
        "outcrop.maxGradNorm": "0.5",
        "outcrop.seed": "7",
        "outcrop.evaluationsPerEpoch": "2",
        "outcrop.evaluateEverySteps": "50",
        "outcrop.evalPercentage": "10",
        "outcrop.earlyStoppingPatience": "3",
        "outcrop.earlyStoppingThreshold": "0.02",
    }
    hyper = resolve(family, filled(family, given), recommended_rate=0.5).hyper
    assert hyper == TrainingHyper(
        epochs=hyper.epochs,
        batch_size=12,
        learning_rate=0.01,
        warmup_steps=7,
        schedule="cosine",
        method=LoRA(rank=4, alpha=8, dropout=0.1, targets=("q_proj", "v_proj"), stabilized=True, decomposed=True),
        seed=7,
        evaluations_per_epoch=2,
        evaluate_every_steps=50,
        held_out_percentage=10,
        patience=3,
        threshold=0.02,
        weight_decay=0.05,
        max_grad_norm=0.5,
        token_budget=512,
        gradient_checkpointing=True,
        threads=3,
    )


@pytest.mark.parametrize(("asked", "installation", "threads"), [(0, 0, 0), (0, 2, 2), (1, 2, 1), (2, 2, 2), (5, 0, 5)])
def test_a_job_has_the_threads_that_it_asks_for_else_the_installations(
    asked: int, installation: int, threads: int
) -> None:
    hyper = resolve("outcrop", filled("outcrop", {}), recommended_rate=0.002).hyper
    assert with_threads(replace(hyper, threads=asked), installation).threads == threads


def test_more_threads_than_a_job_is_given_are_refused() -> None:
    values = filled("outcrop", {"outcrop.threads": "3"})
    with pytest.raises(Invalid, match=r"outcrop\.threads: 3, and this installation gives a job 2"):
        with_threads(resolve("outcrop", values, recommended_rate=0.002).hyper, 2)


def test_what_is_overruled_is_said() -> None:
    given = {"batchSize": "4", "learningRateMultiplier": "2", "outcrop.batchSize": "3", "outcrop.learningRate": "0.01"}
    assert resolve("claude", filled("claude", given), recommended_rate=0.5).notes == (
        "batchSize 4 is overruled by outcrop.batchSize 3",
        "learningRateMultiplier 2 is overruled by outcrop.learningRate 0.01",
    )


def test_recommended_leaves_the_familys_own() -> None:
    ours = {
        name: "recommended"
        for name, allowed in read_family("extra").allowed.items()
        if allowed.default == "recommended"
    }
    plain = resolve("cohere", filled("cohere", {}), recommended_rate=0.5)
    assert resolve("cohere", filled("cohere", ours), recommended_rate=0.5) == plain
    assert (plain.hyper.held_out_percentage, plain.hyper.patience, plain.hyper.method) == (20, 6, DEFAULT)


@pytest.mark.parametrize(
    ("given", "parent", "method"),
    [
        ({}, None, DEFAULT),
        ({"outcrop.rank": "8"}, None, LoRA(rank=8, alpha=16)),
        ({"outcrop.method": "oft"}, None, OFT(block_size=32)),
        ({"outcrop.method": "full"}, DEFAULT, Full()),
        ({}, Full(), Full()),
        # What is not said stays as the custom model has it.
        ({}, OFT(block_size=8, terms=5), OFT(block_size=8, terms=5)),
        ({}, LoRA(rank=4, alpha=12, targets=("q_proj",)), LoRA(rank=4, alpha=12, targets=("q_proj",))),
        ({"outcrop.rank": "8"}, LoRA(rank=4, alpha=12, decomposed=True), LoRA(rank=8, alpha=16, decomposed=True)),
        ({"outcrop.alpha": "2"}, LoRA(rank=4, alpha=12), LoRA(rank=4, alpha=2)),
        ({"outcrop.method": "lora"}, LoRA(rank=4, alpha=12, decomposed=True), DEFAULT),
        ({"outcrop.targets": "all-linear"}, LoRA(rank=4, alpha=12, targets=("q_proj",)), LoRA(rank=4, alpha=12)),
    ],
)  # fmt: skip
def test_the_method_is_what_is_asked_for_or_the_custom_models(
    given: dict[str, str], parent: Method | None, method: Method
) -> None:
    resolved = resolve("outcrop", filled("outcrop", given), recommended_rate=0.001, parent=parent)
    assert resolved.hyper.method == method


def test_a_value_of_another_method_is_refused() -> None:
    values = filled("outcrop", {"outcrop.method": "full", "outcrop.rank": "8", "outcrop.targets": "q_proj"})
    with pytest.raises(Invalid) as refused:
        resolve("outcrop", values, recommended_rate=0.001)
    assert refused.value.message == (
        "hyperParameters.outcrop.rank: belongs to lora and dora, and this job trains by full. Remove it, or choose "
        "another outcrop.method. "
        "hyperParameters.outcrop.targets: belongs to lora and dora and oft, and this job trains by full. Remove it, "
        "or choose another outcrop.method."
    )


@pytest.mark.parametrize(
    ("architecture", "method", "problem"),
    [
        ("llama", LoRA(rank=1, alpha=1, targets=("q_proj", "c_attn")), "hyperParameters.outcrop.targets: c_attn is no linear layer of this base model. Choose among down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj."),
        ("phi3", LoRA(rank=1, alpha=1, targets=("q_proj",)), "hyperParameters.outcrop.targets: q_proj is no linear layer of this base model. Choose among down_proj, gate_up_proj, o_proj, qkv_proj."),
        ("gpt2", OFT(block_size=8), "hyperParameters.outcrop.method: oft is not to be had for this base model, which keeps its weights transposed: PEFT could not load the adapter. Choose lora, dora or full."),
    ],
)  # fmt: skip
def test_a_method_that_does_not_suit_the_network_is_found_from_its_files(
    architecture: str, method: Method, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(Invalid) as refused:
        headers.check_method(tiny_model(tmp_path, architecture), method)
    assert refused.value.message == problem


def test_a_method_that_suits_is_not_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, "gpt2")
    for method in (DEFAULT, Full(), LoRA(rank=1, alpha=1, targets=("attn.c_proj", "c_fc"))):
        headers.check_method(folder, method)
