"""A sentence of advice from a bake-off, which names what was not significant; and figures as people read them."""

from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, JudgedCell, recommended
from outcrop.evaluation.bakeoff.plan import CostKind
from outcrop.evaluation.statistics.comparing import ScoreDifference, Significance

_MOST_NAMED = 4


def recommendation(judged: JudgedBakeoff) -> str:
    """The sentence: what to take, how good it is, and what cannot be told apart."""
    taken = recommended(judged)
    if taken is None:
        return "Nothing was measured, so nothing can be recommended."
    best = next(cell for cell in judged.cells if cell.is_best)
    told = f"Take {taken.name}: {judged.measure} {told_estimate(judged, taken)}"
    parts = [f"{told} at {told_cost(judged, taken)}", *_beside(judged, taken, best), *_others(judged, taken, best)]
    return f"{'; '.join(parts)}."


def detectable(judged: JudgedBakeoff) -> str:
    """The sentence that says how large a difference so many questions can show; empty where all was significant."""
    unsure = [each.beside_best for each in judged.cells if each.may_be_best and each.beside_best is not None]
    least = [each.detectable for each in unsure if each.detectable]
    if not least:
        return ""
    return (
        f"{judged.num_questions} questions show a difference of about {max(least):.2f} in four of five trials; "
        "ask more for a smaller one."
    )


def told_estimate(judged: JudgedBakeoff, cell: JudgedCell, score: str | None = None) -> str:
    """The mean of a score with its interval: 0.62 (0.50 to 0.74)."""
    found = cell.estimates.get(score or judged.measure)
    if found is None:
        return "-"
    low_high = "" if found.interval is None else f" ({found.interval.low:.2f} to {found.interval.high:.2f})"
    return f"{found.mean:.2f}{low_high}"


def told_cost(judged: JudgedBakeoff, cell: JudgedCell) -> str:
    """The cost of training and of as many answers as the horizon has, with its unit."""
    return f"{told_amount(judged, cell.cost)} {judged.currency} for {judged.horizon:,} answers".replace("  ", " ")


def told_amount(judged: JudgedBakeoff, amount: float) -> str:
    """A cost as digits: whole tokens and seconds, a price to four places."""
    if judged.cost_kind is CostKind.PRICE:
        return f"{amount:,.2f}" if amount >= 1 else f"{amount:.4f}"
    return f"{amount:,.0f}"


def told_beside(found: ScoreDifference | None, *, whole: bool = True) -> str:
    """The difference to another cell, whole with its interval: -0.12 (-0.20 to -0.04) worse."""
    if found is None:
        return ""
    return f"{found.difference:+.2f}{_interval(found) if whole else ''} {found.significance}"


def _beside(judged: JudgedBakeoff, taken: JudgedCell, best: JudgedCell) -> list[str]:
    """Clauses about the best, where another is taken, and about the first."""
    said = []
    if taken is not best:
        said.append(f"it costs less than the best, {best.name} ({judged.quality(best):.2f}), and is not "
                    "significantly apart from it")  # fmt: skip
    first = judged.cells[0]
    if taken is first:
        if len(judged.cells) > 1:
            said.append("nothing dearer was significantly better")
        return said
    beside = taken.beside_first
    assert beside is not None, "both have values"
    if beside.significance is Significance.BETTER:
        said.append(f"it is better than {first.name} by {beside.difference:+.2f}{_interval(beside)}")
    elif first is not best:
        said.append(f"its difference to {first.name}, {beside.difference:+.2f}{_interval(beside)}, is not significant")
    return said


def _others(judged: JudgedBakeoff, taken: JudgedCell, best: JudgedCell) -> list[str]:
    """The cells that cost more than what is taken, and cannot be told apart from the best."""
    names = [cell.name for cell in judged.cells if cell.may_be_best and cell not in (taken, best)]
    if not names:
        return []
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return [f"not significantly apart from the best, and no cheaper: {', '.join(names[:_MOST_NAMED])}{more}"]


def _interval(found: ScoreDifference) -> str:
    return "" if found.interval is None else f" ({found.interval.low:+.2f} to {found.interval.high:+.2f})"
