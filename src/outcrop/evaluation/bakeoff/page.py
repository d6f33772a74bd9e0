"""A bake-off as a page: the Pareto front as a picture, the table, and each approach with its worst answers.

No script, no request; every text is escaped, and the page's policy allows its one style sheet by digest.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from outcrop.evaluation.bakeoff.front_picture import draw
from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, JudgedCell, recommended
from outcrop.evaluation.bakeoff.recommendation import (
    detectable,
    recommendation,
    told_amount,
    told_beside,
    told_estimate,
)
from outcrop.evaluation.bakeoff.table import told_memory, told_training
from outcrop.evaluation.report.as_text import contamination_sentences

_MOST_EXAMPLES = 5
_LONGEST = 400


class ShownQuestion(NamedTuple):
    """A question and its reference, as the page shows them."""

    prompt: str
    reference: str


def bakeoff_page(judged: JudgedBakeoff, questions: Sequence[ShownQuestion] = ()) -> str:
    """The whole page; `questions` in the order of the values, for the worst answers of each approach."""
    style = _read("outcrop.datasets.report", "page.css") + _read("outcrop.evaluation.bakeoff", "page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        judged=judged,
        rows=[_row(judged, cell, questions) for cell in judged.cells],
        picture=draw(judged),
        recommendation=recommendation(judged),
        detectable=detectable(judged),
        held_out=[]
        if judged.held_out is None
        else list(contamination_sentences(judged.held_out, judged.num_questions)),
        style=Markup(style),
        style_hash=Markup(f"sha256-{digest}"),
    )


def _row(judged: JudgedBakeoff, cell: JudgedCell, questions: Sequence[ShownQuestion]) -> Mapping[str, Any]:
    outcome = cell.outcome
    return {
        "name": cell.name,
        "is_taken": cell is recommended(judged),
        "is_on_front": cell.is_on_front,
        "scores": [told_estimate(judged, cell, score) for score in judged.scores],
        "beside": "the best" if cell.is_best else told_beside(cell.beside_best),
        "costs": [
            f"{outcome.num_input_tokens / outcome.num_answers:,.0f}",
            f"{outcome.num_output_tokens / outcome.num_answers:,.0f}",
            f"{outcome.machine_s / outcome.num_answers:.2f}",
            told_training(outcome),
            told_memory(outcome),
            told_amount(judged, cell.cost),
        ],
        "notes": outcome.notes,
        "model": outcome.model,
        "command": outcome.command,
        "examples": _worst(judged, cell, questions),
    }


def _worst(judged: JudgedBakeoff, cell: JudgedCell, questions: Sequence[ShownQuestion]) -> list[Mapping[str, str]]:
    """The questions that the approach answered worst."""
    values = cell.outcome.values[judged.measure]
    if len(questions) != len(values) or len(cell.outcome.answers) != len(values):
        return []
    sign = 1.0 if judged.higher_is_better else -1.0
    scored = [(sign * value, place) for place, value in enumerate(values) if value is not None]
    return [
        {
            "question": _shortened(questions[place].prompt),
            "reference": _shortened(questions[place].reference),
            "answer": _shortened(cell.outcome.answers[place]),
            "value": f"{abs(value):.2f}",
        }
        for value, place in sorted(scored)[:_MOST_EXAMPLES]
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read("outcrop.evaluation.bakeoff", "page.html"))


def _read(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
