"""A bake-off as plain values: the table, the Pareto front, and the sentence that says what to take."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from outcrop.console.language import said
from outcrop.console.views.interval_bar import DrawnInterval, ends_of, interval_bars

if TYPE_CHECKING:  # it brings numpy, which nobody else needs
    from outcrop.evaluation.bakeoff.front_picture import FrontPicture
    from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, JudgedCell

_MOST_NAMED = 4


class BakeoffRow(NamedTuple):
    """An approach."""

    name: str
    is_taken: bool
    is_on_front: bool
    scores: list[str]
    bar: DrawnInterval | None
    beside: str
    "The difference to the best; empty of the best itself."
    verdict: str
    "The word of a comparison, as its key."
    input: str
    output: str
    seconds: str
    training: str
    memory: str
    cost: str
    command: str
    notes: tuple[str, ...]


class BakeoffPage(NamedTuple):
    """Everything that the page of a bake-off shows."""

    title: str
    measure: str
    higher_is_better: bool
    num_questions: int
    scores: tuple[str, ...]
    rows: list[BakeoffRow]
    failed: list[tuple[str, str]]
    advice: str
    unit: str
    horizon: str
    picture: "FrontPicture | None"


def bakeoff_page(told: Mapping[str, Any], language: str) -> BakeoffPage:
    """The page of what `outcrop bakeoff --json` prints. Raises Invalid for other JSON."""
    from outcrop.evaluation.bakeoff.front_picture import draw
    from outcrop.evaluation.bakeoff.judging import JudgedBakeoff

    judged = JudgedBakeoff.from_json(told)
    ends = [cell.estimates[judged.measure] for cell in judged.cells]
    bars = interval_bars([ends_of(one.mean, one.interval) for one in ends])
    return BakeoffPage(
        title=judged.title,
        measure=judged.measure,
        higher_is_better=judged.higher_is_better,
        num_questions=judged.num_questions,
        scores=judged.scores,
        rows=[_row(judged, cell, bar, language) for cell, bar in zip(judged.cells, bars, strict=True)],
        failed=[(outcome.name, outcome.failure) for outcome in judged.failed],
        advice=advice(judged, language),
        unit=judged.currency,
        horizon=f"{judged.horizon:,}",
        picture=draw(judged),
    )


def advice(judged: "JudgedBakeoff", language: str) -> str:
    """The sentence of `evaluation/bakeoff/recommendation.py`, in the language of the page."""
    from outcrop.evaluation.bakeoff.judging import recommended
    from outcrop.evaluation.bakeoff.recommendation import told_estimate
    from outcrop.evaluation.statistics.comparing import Significance

    taken = recommended(judged)
    if taken is None:
        return said(language, "bakeoff.nothing")
    best, first = next(cell for cell in judged.cells if cell.is_best), judged.cells[0]
    value = told_estimate(judged, taken).replace(" to ", said(language, "bakeoff.to"))
    parts = [
        said(
            language,
            "bakeoff.take",
            name=taken.name,
            measure=judged.measure,
            value=value,
            cost=_told_cost(judged, taken, language),
        )
    ]
    if taken is not best:
        parts.append(said(language, "bakeoff.beside_best", name=best.name, value=f"{judged.quality(best):.2f}"))
    if taken is first and len(judged.cells) > 1:
        parts.append(said(language, "bakeoff.nothing_dearer"))
    elif taken is not first and taken.beside_first is not None:
        told = f"{taken.beside_first.difference:+.2f}{_reach(taken, language)}"
        if taken.beside_first.significance is Significance.BETTER:
            parts.append(said(language, "bakeoff.better_than_first", name=first.name, value=told))
        elif first is not best:
            parts.append(said(language, "bakeoff.level_with_first", name=first.name, value=told))
    names = [cell.name for cell in judged.cells if cell.may_be_best and cell not in (taken, best)]
    if names:
        more = said(language, "bakeoff.more", n=len(names) - _MOST_NAMED) if len(names) > _MOST_NAMED else ""
        parts.append(said(language, "bakeoff.others", names=", ".join(names[:_MOST_NAMED]) + more))
    return said(language, "bakeoff.sentence", parts=said(language, "bakeoff.between").join(parts))


def _told_cost(judged: "JudgedBakeoff", cell: "JudgedCell", language: str) -> str:
    from outcrop.evaluation.bakeoff.recommendation import told_amount

    amount = told_amount(judged, cell.cost)
    told = said(language, "bakeoff.cost_of", amount=amount, unit=judged.currency, n=f"{judged.horizon:,}")
    return told.replace("  ", " ")


def _reach(cell: "JudgedCell", language: str) -> str:
    found = cell.beside_first
    if found is None or found.interval is None:
        return ""
    return f" ({found.interval.low:+.2f}{said(language, 'bakeoff.to')}{found.interval.high:+.2f})"


def _row(judged: "JudgedBakeoff", cell: "JudgedCell", bar: DrawnInterval | None, language: str) -> BakeoffRow:
    from outcrop.evaluation.bakeoff.judging import recommended
    from outcrop.evaluation.bakeoff.recommendation import told_amount, told_estimate
    from outcrop.evaluation.bakeoff.table import told_memory, told_training

    outcome, beside = cell.outcome, cell.beside_best
    reach = beside.interval if beside is not None else None
    between = "" if reach is None else f" ({reach.low:+.2f} – {reach.high:+.2f})"
    return BakeoffRow(
        name=cell.name,
        is_taken=cell is recommended(judged),
        is_on_front=cell.is_on_front,
        scores=[
            told_estimate(judged, cell, score).replace(" to ", said(language, "bakeoff.to")) for score in judged.scores
        ],
        bar=bar,
        beside="" if beside is None else f"{beside.difference:+.2f}{between}",
        verdict="BEST" if cell.is_best else "" if beside is None else beside.significance.name,
        input=f"{outcome.num_input_tokens / outcome.num_answers:,.0f}",
        output=f"{outcome.num_output_tokens / outcome.num_answers:,.0f}",
        seconds=f"{outcome.machine_s / outcome.num_answers:.2f}",
        training=told_training(outcome),
        memory=told_memory(outcome),
        cost=told_amount(judged, cell.cost),
        command=outcome.command,
        notes=outcome.notes,
    )
