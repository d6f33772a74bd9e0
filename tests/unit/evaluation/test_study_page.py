"""A study as a page: its pictures, its table, and studies that hold next to nothing."""

import re
from typing import Any

import pytest

from outcrop.evaluation.studies import pictures
from outcrop.evaluation.studies.page import study_page


def trial(number: int, *losses: float, end: str | None = "completed", **values: str) -> dict[str, Any]:
    curve = [[2 * place, loss] for place, loss in enumerate(losses, start=1)]
    return {
        "number": number,
        "values": {f"outcrop.{name}": value for name, value in values.items()},
        "end": end,
        "loss": min(losses, default=None),
        "steps": 2 * len(losses),
        "best_step": 2,
        "best": False,
        "curve": curve,
    }


def study(*trials: dict[str, Any], best: int | None = None) -> dict[str, Any]:
    for each in trials:
        each["best"] = each["number"] == best
    records = {str(number): [[loss + place, 2] for place in range(20)] for number, loss in ((0, 3.0), (best, 2.0))}
    return {"best": best, "trials": list(trials), "records": records, "one_after_the_other_because": None}


SEARCHED = (
    trial(0, 3.5, 3.0),
    trial(1, 3.4, end="pruned", rank="4", learningRate="0.0001", schedule="linear"),
    trial(2, 2.5, 2.0, rank="32", learningRate="0.01", schedule="cosine"),
    trial(3, end="failed", rank="8", learningRate="0.9", schedule="linear") | {"message": "the loss is <inf>"},
    trial(4, 2.6, 2.4, rank="16", learningRate="0.003", schedule="linear"),
)


def test_the_page_has_every_picture_the_table_and_the_gain() -> None:
    page = study_page(study(*SEARCHED, best=2), title="verse", about="FINE_TUNING of a base")
    assert page.startswith("<!doctype html>")
    assert re.findall(r'<section id="(\w+)">', page) == ["search", "curves", "coordinates", "trials"]
    assert "Loss by record: trial 2 is better than the first, without a search" in page
    assert "95 % interval -0.500 to -0.500" in page
    assert page.count("<tr") == 1 + len(SEARCHED)
    assert "5 trials: 3 completed, 1 pruned, 1 failed" in page


def test_the_page_asks_for_nothing_and_escapes_everything() -> None:
    named = trial(1, 2.0, 2.1, rank="<script>alert(1)</script>")
    page = study_page(study(trial(0, 3.0), named, best=1), title="<b>", about="<i>")
    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "failed: the loss is &lt;inf&gt;" in study_page(study(*SEARCHED, best=2), title="")
    assert not re.search(r'(src|href)="(?!data:,)', page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    "given",
    [
        study(),
        study(trial(0, end=None)),
        study(trial(0, 3.0), best=0),
        study(trial(0, float("nan"), end="failed"), trial(1, float("inf"), end="failed", rank="4")),
        study(trial(0, 3.0, 3.0), trial(1, 3.0, 3.0, rank="4"), trial(2, 3.0, 3.0, rank="4"), best=0),
        study(trial(0, 3.0), trial(1, 2.0, rank=""), trial(2, 2.5, rank="4"), best=1),
    ],
    ids=["nothing", "begun", "one", "no numbers", "all alike", "a word among numbers"],
)
def test_a_study_that_holds_next_to_nothing_has_a_page(given: dict[str, Any]) -> None:
    page = study_page(given, title="small")
    assert "nan" not in page
    assert '<section id="trials">' in page


def test_the_lowest_so_far_never_rises() -> None:
    found = pictures.search_picture(study(*SEARCHED, best=2))
    assert found is not None
    heights = [float(corner.split(",")[1]) for corner in found.line.split()]
    # Downwards on the page is upwards in its units; the pruned trial is no corner
    assert heights == sorted(heights)
    assert [point.kind for point in found.points] == ["completed", "pruned", "best", "completed"]


def test_one_that_went_astray_does_not_flatten_the_others() -> None:
    losses = [3.0, 2.9, 2.8, 2.7, 2.6, 900.0]
    found = pictures.search_picture(study(*(trial(number, loss) for number, loss in enumerate(losses)), best=4))
    assert found is not None
    assert found.ceiling is not None
    assert found.ceiling < 4
    heights = [point.y for point in found.points]
    assert heights[-1] == min(heights) > pictures.TOP
    assert heights[4] - heights[0] > 80


def test_hyperparameters_of_numbers_are_axes_and_words_are_places() -> None:
    found = pictures.coordinates_picture(study(*SEARCHED, best=2))
    assert found is not None
    assert [each.name for each in found.axes] == ["learningRate", "rank", "schedule", "loss"]
    assert [tick.told for tick in found.axes[2].ticks] == ["cosine", "linear"]
    assert found.lines[-1].kind == "best"
    assert (len(found.lines), found.left_out) == (3, 2)
    assert all(len(line.points.split()) == 4 for line in found.lines)
