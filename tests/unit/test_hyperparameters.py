"""Hyperparameters by the providers' names: defaults shown, values echoed verbatim, mistakes told all at once."""

import pytest

from outcrop.customization.hyperparameters import filled, resolve
from outcrop.errors import Invalid


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
        "outcrop.loraRank, outcrop.loraAlpha, outcrop.seed, outcrop.evaluationsPerEpoch."
    )


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(Invalid) as refused:
        filled("titan-text", {"epochCount": "99", "batchSize": "0"})
    assert "epochCount: 99" in refused.value.message
    assert "batchSize: 0" in refused.value.message


def test_a_rate_of_a_closed_model_is_read_relative_to_its_default() -> None:
    hyper = resolve("titan-text", filled("titan-text", {"learningRate": "0.00002"}), recommended_rate=0.002)
    assert hyper.learning_rate == pytest.approx(0.004)
    assert hyper.notes == ("learningRate 0.00002 is 2 x this family's default: 0.004 for LoRA on this network",)


def test_a_rate_of_an_open_model_means_what_it_says() -> None:
    assert resolve("outcrop", filled("outcrop", {"learningRate": "0.001"}), recommended_rate=0.5).learning_rate == 0.001


def test_claudes_multiplier_multiplies_the_recommended_rate() -> None:
    hyper = resolve("claude", filled("claude", {"learningRateMultiplier": "0.5"}), recommended_rate=0.002)
    assert hyper.learning_rate == 0.001
    assert (hyper.patience, hyper.threshold) == (2, 0.001)


def test_our_own_names_go_with_every_family() -> None:
    given = {"outcrop.loraRank": "4", "outcrop.loraAlpha": "8", "outcrop.seed": "7", "outcrop.evaluationsPerEpoch": "2"}
    hyper = resolve("cohere", filled("cohere", given), recommended_rate=0.001)
    assert (hyper.rank, hyper.alpha, hyper.seed, hyper.evaluations_per_epoch) == (4, 8.0, 7, 2)
