"""A bake-off as text for a terminal: quality and cost of each approach, with marks for the Pareto front."""

import textwrap
from collections.abc import Iterator, Sequence

from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, JudgedCell, recommended
from outcrop.evaluation.bakeoff.outcome import CellOutcome
from outcrop.evaluation.bakeoff.recommendation import (
    detectable,
    recommendation,
    told_amount,
    told_beside,
    told_estimate,
)
from outcrop.evaluation.report.as_text import contamination_sentences

WIDTH = 80
_GAP = "  "
FRONT, TAKEN = "*", ">"


def bakeoff_text(judged: JudgedBakeoff, *, width: int | None = WIDTH) -> str:
    """The tables, and the recommendation beneath; `width` is the terminal's, None where lines may be of any length."""
    return "\n".join(_lines(judged, width))


def _lines(judged: JudgedBakeoff, width: int | None) -> Iterator[str]:
    if judged.title:
        yield judged.title
        yield ""
    if judged.held_out is not None:
        for sentence in contamination_sentences(judged.held_out, judged.num_questions):
            yield from _wrapped(sentence, width)
        yield ""
    if judged.cells:
        direction = "higher is better" if judged.higher_is_better else "lower is better"
        yield f"{judged.measure} over {judged.num_questions} questions, with 95 % intervals; {direction}"
        others = [score for score in judged.scores if score != judged.measure]
        columns = ["approach", judged.measure, *others, "beside the best"]
        rows = [_quality_row(judged, cell, others, whole=True) for cell in judged.cells]
        if not _fits(columns, rows, width):
            rows = [_quality_row(judged, cell, others, whole=False) for cell in judged.cells]
        yield from _table(columns, rows, width)
        yield ""
        costs = ["approach", "in", "out", "s each", "training", "memory", "cost"]
        yield from _table(costs, [_cost_row(judged, cell) for cell in judged.cells], width, are_numbers=True)
        yield ""
        yield f"{FRONT} on the Pareto front: nothing is as good and cheaper.  {TAKEN} recommended."
        unit = f", in {judged.currency}," if judged.currency else ""
        cost = (
            f"In and out are tokens of an answer. Cost{unit} is that of {judged.horizon:,} answers with the training "
            f"before: {judged.cost_note}."
        )
        yield from _wrapped(cost, width)
    for outcome in judged.failed:
        yield f"{outcome.name}: {outcome.failure}"
    yield ""
    yield from _wrapped(recommendation(judged), width)
    yield from _wrapped(detectable(judged), width)


def _wrapped(text: str, width: int | None) -> list[str]:
    """The lines of a sentence; no name in it is broken."""
    if width is None:
        return [text] if text else []
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _marks(judged: JudgedBakeoff, cell: JudgedCell) -> str:
    taken = recommended(judged)
    return f"{FRONT if cell.is_on_front else ' '}{TAKEN if cell is taken else ' '}"


def _quality_row(judged: JudgedBakeoff, cell: JudgedCell, others: Sequence[str], *, whole: bool) -> list[str]:
    """Means of all scores, and the difference to the best; not whole: that without its interval."""
    return [
        f"{_marks(judged, cell)} {cell.name}",
        told_estimate(judged, cell),
        *(told_estimate(judged, cell, score).partition(" ")[0] for score in others),
        "the best" if cell.is_best else told_beside(cell.beside_best, whole=whole),
    ]


def _cost_row(judged: JudgedBakeoff, cell: JudgedCell) -> list[str]:
    outcome = cell.outcome
    return [
        f"{_marks(judged, cell)} {cell.name}",
        f"{outcome.num_input_tokens / outcome.num_answers:,.0f}",
        f"{outcome.num_output_tokens / outcome.num_answers:,.0f}",
        f"{outcome.machine_s / outcome.num_answers:.2f}",
        told_training(outcome),
        told_memory(outcome),
        told_amount(judged, cell.cost),
    ]


def told_training(outcome: CellOutcome) -> str:
    """The time of training, as minutes and seconds; a dash where nothing was trained."""
    seconds = round(outcome.training.seconds)
    return f"{seconds // 60}:{seconds % 60:02}" if seconds or outcome.training.tokens else "-"


def told_memory(outcome: CellOutcome) -> str:
    """The most memory of training; a dash where none was told."""
    return f"{outcome.training.peak_bytes / 2**30:.1f} GiB" if outcome.training.peak_bytes else "-"


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, *, are_numbers: bool = False
) -> Iterator[str]:
    """Rows with aligned columns, numbers to the right. Where they do not fit, names have lines of their own."""
    indented, widths = ["   " + columns[0], *columns[1:]], _widths(columns, rows)

    def aligned(row: Sequence[str]) -> list[str]:
        cells = zip(row[1:], widths[1:], strict=True)
        return [cell.rjust(width) if are_numbers else cell.ljust(width) for cell, width in cells]

    if _fits(columns, rows, width):
        for row in (indented, *rows):
            yield _GAP.join([row[0].ljust(widths[0]), *aligned(row)]).rstrip()
        return
    for row in (indented, *rows):
        yield row[0]
        yield "     " + _GAP.join(aligned(row)).rstrip()


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> bool:
    widths = _widths(columns, rows)
    return width is None or sum(widths) + len(_GAP) * (len(widths) - 1) <= width


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, cells)) for cells in zip(["   " + columns[0], *columns[1:]], *rows, strict=True)]
