"""A study in a terminal: the table, the curve, and a gain with its interval."""

import json
from typing import Any

import pytest

from outcrop.cli import study_shown
from outcrop.evaluation.studies.gain import gain_of


def trial(
    number: int, loss: float | None, *, end: str = "completed", best: bool = False, **values: str
) -> dict[str, Any]:
    told = {f"outcrop.{name}": value for name, value in values.items()}
    return {"number": number, "values": told, "end": end, "loss": loss, "steps": 12, "best": best, "curve": []}


def study(**more: Any) -> dict[str, Any]:
    trials = [
        trial(0, 3.0),
        trial(1, 3.4, end="pruned", rank="4", learningRate="0.00012345"),
        trial(2, 2.5, best=True, rank="32", learningRate="0.003"),
        trial(3, None, end="failed", rank="8", learningRate="0.9"),
    ]
    records = {
        "0": [[3.0 + 0.1 * place, 1] for place in range(20)],
        "2": [[2.5 + 0.1 * place, 1] for place in range(20)],
    }
    return {"best": 2, "trials": trials, "records": records, "one_after_the_other_because": None, **more}


def test_the_table_and_the_curve_fit_into_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    study_shown.print_study(study(), as_json=False)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines()[:-1])) <= 80
    assert "2      0.003         32    12     2.5000  best" in shown
    assert "1      0.000123      4     12     3.4000  pruned" in shown
    assert shown.count("●") == 1 + 3, "one in the legend"
    assert "3.400 ┤" in shown


def test_the_gain_has_an_interval() -> None:
    gain = gain_of(study())
    assert gain["significance"] == "better"
    assert gain["difference"] == pytest.approx(-0.5)
    assert gain["interval"] == [pytest.approx(-0.5), pytest.approx(-0.5)]
    assert gain["sentence"].startswith("Loss by record: trial 2 is better than the first, without a search: ")


def test_a_search_that_gained_nothing_says_so() -> None:
    assert gain_of(study(best=0))["sentence"].startswith("No trial was better than the first")
    assert gain_of(study(best=None))["sentence"] == "No trial completed."


def test_a_trial_that_ended_is_a_line() -> None:
    assert study_shown.trial_line(trial(2, 2.5, rank="32")) == "trial   2  completed    2.5000  rank 32"
    assert study_shown.trial_line(trial(0, 3.0)) == "trial   0  completed    3.0000  as without a search"


def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    study_shown.print_study(study(), as_json=True)
    assert json.loads(capsys.readouterr().out)["gain"]["significance"] == "better"
