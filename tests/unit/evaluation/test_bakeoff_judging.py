"""Cells judged: front, costs, what is significantly apart, and the sentence; then the table and the page."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, Judging, recommended
from outcrop.evaluation.bakeoff.outcome import CellOutcome, TrainingNeed
from outcrop.evaluation.bakeoff.page import ShownQuestion, bakeoff_page
from outcrop.evaluation.bakeoff.plan import CostKind
from outcrop.evaluation.bakeoff.recommendation import recommendation
from outcrop.evaluation.bakeoff.table import bakeoff_text
from outcrop.evaluation.scores import table

F1 = table.find("token_f1")
NUM = 40


def cell(name: str, mean: float, *, tokens: int, trained: int = 0, failure: str = "") -> CellOutcome:
    random = Random(name)
    values = tuple(min(1.0, max(0.0, mean + random.uniform(-0.1, 0.1))) for _ in range(NUM))
    return CellOutcome(
        name=name,
        values={} if failure else {F1.name: values},
        num_answers=0 if failure else NUM,
        num_input_tokens=tokens * NUM,
        training=TrainingNeed(seconds=60.0, tokens=trained, peak_bytes=2**30) if trained else TrainingNeed(),
        machine_s=float(NUM),
        base="outcrop.starter-v1",
        command=f"outcrop bakeoff plan.toml --cell {name}",
        answers=("an answer",) * NUM,
        failure=failure,
    )


def judged(*cells: CellOutcome, **options: object) -> JudgedBakeoff:
    return Judging(measures=(F1,), **options).judge(cells, title="test")  # type: ignore[arg-type]


def test_the_cheapest_that_is_not_apart_from_the_best_is_recommended() -> None:
    found = judged(
        cell("plain", 0.2, tokens=10),
        cell("few", 0.5, tokens=100),
        cell("tuned", 0.51, tokens=10, trained=100_000),
        cell("worst", 0.1, tokens=500),
    )
    taken = recommended(found)
    assert taken is not None
    assert taken.name == "few"
    assert [each.is_on_front for each in found.cells] == [True, True, True, False]
    assert [each.cost for each in found.cells] == [10_000, 100_000, 310_000, 500_000]
    said = recommendation(found)
    assert said.startswith("Take few: token_f1 0.5")
    assert "it costs less than the best, tuned" in said
    assert "it is better than plain by +0." in said
    assert said.count(". ") == 0, "one sentence"


def test_nothing_better_than_the_first_is_said_to_be_nothing() -> None:
    found = judged(cell("plain", 0.3, tokens=10), cell("dear", 0.32, tokens=900))
    assert recommendation(found).endswith("answers; it costs less than the best, dear (0.31), and is not significantly "
                                          "apart from it; nothing dearer was significantly better.")  # fmt: skip


def test_equal_cells_are_never_apart_and_the_first_is_taken() -> None:
    found = judged(*(cell("same", 0.3, tokens=10) for _ in range(3)))
    assert found.cells[0].is_best
    assert recommended(found) is found.cells[0]
    assert all(each.may_be_best for each in found.cells)


def test_a_result_is_read_back_from_its_json_as_it_was() -> None:
    found = judged(
        cell("plain", 0.2, tokens=10),
        cell("tuned", 0.51, tokens=10, trained=9_000),
        cell("broken", 0, tokens=1, failure="no model"),
    )
    told = json.loads(json.dumps(found.to_json()))
    read = JudgedBakeoff.from_json(told)
    assert recommendation(read) == recommendation(found)
    assert bakeoff_text(read) == bakeoff_text(found)
    assert read.to_json() == found.to_json()


@pytest.mark.parametrize("told", [{}, [], {"cells": 3}, {"cells": [{"cell": "x"}]}, None])
def test_json_of_something_else_is_no_result(told: Any) -> None:
    with pytest.raises(Invalid, match=r"No result of a bake-off: .*`outcrop bakeoff PLAN --json` prints one\."):
        JudgedBakeoff.from_json(told)


def test_many_comparisons_hold_together() -> None:
    cells = [cell(f"c{number}", 0.3, tokens=10) for number in range(11)]
    beside = [each.beside_best for each in judged(*cells).cells if each.beside_best is not None]
    assert [each.confidence for each in beside] == [pytest.approx(0.995)] * 10


def test_cost_is_by_the_price_list_where_it_has_every_model(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "USD"\n["*"]\nper_1000_tokens = 0.5\nper_1000_input_tokens = 0.2\nper_hour = 36\n')
    found = judged(cell("tuned", 0.5, tokens=10, trained=1000), prices=prices, horizon=100)
    # 1,000 trained tokens, a minute of training, 100 answers of 10 tokens and a second each, at 0.01 a second
    assert found.cells[0].cost == pytest.approx(0.5 + 0.6 + 0.2 + 1.0)
    assert (found.cost_kind, found.currency) == (CostKind.PRICE, "USD")
    gone = judged(cell("tuned", 0.5, tokens=10), prices=tmp_path / "gone.toml")
    assert gone.cost_kind is CostKind.TOKENS
    assert gone.cost_note.startswith("no price list: write prices.toml")
    assert judged(cell("tuned", 0.5, tokens=10), cost=CostKind.SECONDS).cells[0].cost == 1000.0


def test_a_failed_cell_is_told_and_the_others_are_judged() -> None:
    found = judged(cell("plain", 0.3, tokens=10), cell("ft", 0.0, tokens=0, failure="the job x ended as Failed: why"))
    text = bakeoff_text(found)
    assert "ft: the job x ended as Failed: why" in text
    assert [each.name for each in found.cells] == ["plain"]
    assert judged().cells == ()
    assert "Nothing was measured" in bakeoff_text(judged())


def test_the_table_fits_a_terminal_of_80_columns() -> None:
    names = [
        f"{prompt} / {retrieval} / cpt-then-ft"
        for prompt in ("zero-shot", "few-shot")
        for retrieval in ("none", "rules")
    ]
    text = bakeoff_text(judged(*(cell(name, 0.3, tokens=10) for name in names)))
    assert max(map(len, text.splitlines())) <= 80
    assert all(name in text for name in names)


def test_the_page_draws_the_front_and_escapes_what_it_shows() -> None:
    found = judged(cell("plain", 0.2, tokens=10), cell("<b>dear</b>", 0.5, tokens=900))
    page = bakeoff_page(found, [ShownQuestion("<script>alert(1)</script>", "ref")] * NUM)
    assert "<polyline" in page
    assert page.count("<circle") == 2
    assert "<script>" not in page
    assert "<b>dear" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "outcrop bakeoff plan.toml --cell plain" in page
