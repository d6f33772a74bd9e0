"""Base models whose engines do not fit together, invoked in turn through the API, with real processes."""

from pathlib import Path

from tests.support.five_models import NAMES, five_models, in_turn


def test_models_that_do_not_fit_together_answer_in_turn(tmp_path: Path) -> None:
    with five_models(tmp_path / "home") as house:
        in_turn(house, [*NAMES, NAMES[-1], NAMES[0]])
