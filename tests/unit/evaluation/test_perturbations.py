"""Prompts are disturbed as people disturb them, in the same way at every run."""

import pytest

from outcrop.evaluation.scores.perturbations import Perturbation, lost, perturbations, perturbed

ENGLISH = "Which river flows through London, and how long is it in 2024?"
JAPANESE = "ロンドンを流れる川はなんですか。2024年のBBCの記事で、ながさもおしえてください。"


@pytest.mark.parametrize("kind", Perturbation)
@pytest.mark.parametrize("text", [ENGLISH, JAPANESE])
def test_a_text_is_disturbed_a_little_the_same_at_every_run_and_its_figures_stay(text: str, kind: Perturbation) -> None:
    other = perturbed(text, kind, seed=3)
    assert other != text
    assert other == perturbed(text, kind, seed=3)
    assert "2024" in other.replace(" ", "").replace("\u3000", "")
    assert abs(len(other) - len(text)) <= len(text) // 4


def test_case_is_width_in_japanese() -> None:
    assert perturbed("Who is IT?", Perturbation.CASE) == "who is it?"
    assert perturbed("BBCのニュース", Perturbation.CASE) == "ｂｂｃのニュース"


def test_another_seed_disturbs_otherwise() -> None:
    assert len({perturbed(ENGLISH, Perturbation.TYPOS, seed=seed) for seed in range(20)}) > 10


def test_butter_fingers_hit_a_neighbouring_key() -> None:
    # q has w beside it and a below; え shares its key with the vowels
    assert {perturbed("q", Perturbation.BUTTER_FINGERS, seed=seed) for seed in range(40)} == {"w", "a"}
    assert {perturbed("え", Perturbation.BUTTER_FINGERS, seed=seed) for seed in range(80)} == set("あいうお")
    assert perturbed("G", Perturbation.BUTTER_FINGERS).isupper()


def test_kinds_that_change_nothing_are_left_out() -> None:
    assert perturbations("12 34").keys() <= {Perturbation.WHITESPACE}
    assert Perturbation.CASE not in perturbations("lower already")


def test_what_is_lost_is_the_mean_of_what_became_worse() -> None:
    assert lost(0.8, [0.8, 0.6, 1.0]) == pytest.approx(0.2 / 3)
    assert lost(0.2, [0.5], higher_is_better=False) == pytest.approx(0.3)
