"""A study in a terminal of 80 columns: its trials, the curve of the search, and what it gained."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from outcrop.cli import tables
from outcrop.evaluation.studies.gain import gain_of

_HEIGHT, _WIDTH = 9, 60


def print_study(study: Mapping[str, Any], *, as_json: bool) -> None:
    """The table of trials, the curve, and the gain of the best trial over the job's own hyperparameters."""
    gain = gain_of(study)
    if as_json:
        print(json.dumps({**study, "gain": gain}, indent=2, ensure_ascii=False))
        return
    names = sorted({name for trial in study["trials"] for name in trial["values"]})
    columns = ["trial", *(name.removeprefix("outcrop.") for name in names), "steps", "loss", ""]
    rows = [
        [
            str(trial["number"]),
            *(_short(trial["values"].get(name, "")) for name in names),
            str(trial["steps"]),
            _loss(trial),
            "best" if trial["best"] else "" if trial["end"] == "completed" else str(trial["end"] or "under way"),
        ]
        for trial in study["trials"]
    ]
    print()
    tables.print_rows(columns, rows, as_json=False)
    print("\n".join(["", *curve(study["trials"])]))
    if study["one_after_the_other_because"]:
        print(f"\nTrials were trained one after the other: {study['one_after_the_other_because']}.")
    print(f"\n{gain['sentence']}")


def trial_line(trial: Mapping[str, Any]) -> str:
    """A trial that has ended, in a line."""
    values = ", ".join(f"{name.removeprefix('outcrop.')} {_short(text)}" for name, text in trial["values"].items())
    return f"trial {trial['number']:>3}  {trial['end']:<9}  {_loss(trial):>8}  {values or 'as without a search'}"


def curve(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Losses of the trials, and the lowest so far, drawn in lines of characters; none for fewer than two."""
    losses: list[float] = [trial["loss"] for trial in trials if trial["loss"] is not None]
    if len(losses) < 2 or max(losses) == min(losses):
        return []
    low, high = min(losses), max(losses)

    def row_of(loss: float) -> int:
        return round((high - loss) / (high - low) * (_HEIGHT - 1))

    wide = max(1, _WIDTH // len(losses))
    cells = [[" "] * (wide * len(losses)) for _ in range(_HEIGHT)]
    best = losses[0]
    for place, loss in enumerate(losses):
        best = min(best, loss)
        cells[row_of(best)][place * wide : (place + 1) * wide] = "─" * wide
        cells[row_of(loss)][place * wide + wide // 2] = "●"
    lines = [f"{'loss':>8}   ● a trial, ─ the lowest so far"]
    for number, row in enumerate(cells):
        label = f"{high - (high - low) * number / (_HEIGHT - 1):8.3f}" if number in (0, _HEIGHT - 1) else " " * 8
        lines.append(f"{label} ┤{''.join(row)}".rstrip())
    return [*lines, f"{'':8} └{'─' * (wide * len(losses))} trials"]


def _short(text: str) -> str:
    """A number with few figures, for people."""
    try:
        return text if text.isdigit() or not text else f"{float(text):.3g}"
    except ValueError:
        return text


def _loss(trial: Mapping[str, Any]) -> str:
    return "" if trial["loss"] is None else f"{trial['loss']:.4f}"
