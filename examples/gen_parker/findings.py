"""Numbers and answers of a run, as tables for people and as JSON for programs."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from line_measures import LineScores
from tune_files import TuneFiles

from outcrop.evaluation.bakeoff.outcome import TrainingNeed


@dataclass(frozen=True, kw_only=True)
class GapAnswer:
    """An answer with its tokens and its time."""

    text: str
    input_tokens: int
    output_tokens: int
    seconds: float


@dataclass(kw_only=True)
class Findings:
    """The answers and numbers of the run so far, by model."""

    bits: dict[str, dict[str, float]] = field(default_factory=lambda: {"base": {}})
    "Bits per note, by test file."
    gaps: dict[str, LineScores] = field(default_factory=dict)
    lines: dict[str, LineScores] = field(default_factory=dict)
    answers: dict[str, list[str]] = field(default_factory=dict)
    gap_answers: dict[str, list[GapAnswer]] = field(default_factory=dict)
    "The same with what they took."
    needs: dict[str, TrainingNeed] = field(default_factory=dict)
    "Of each model's own job."
    shown: dict[str, list[str]] = field(default_factory=dict)
    "Answers to the gaps of the pictures."


def report(findings: Findings) -> str:
    """The numbers as tables in Markdown."""
    parts = [
        "Bits per note of tunes that no model has seen; lower is better.\n",
        _table(
            ("model", "tunes with chords", "without", "gaps"),
            [
                (name, *(_number(of.get(test)) for test in ("test-with-chords", "test-without-chords", "test-gaps")))
                for name, of in findings.bits.items()
                if of
            ],
        ),
        "\nBars that fill a gap between two bars, over given chords.\n",
        _scores(findings.gaps),
        "\nBars played on after the first four of a tune.\n",
        _scores(findings.lines),
    ]
    return "\n".join(parts)


def _scores(scores: Mapping[str, LineScores]) -> str:
    head = (
        "model",
        "bars that fill the metre",
        "chord tones per beat",
        "by chance",
        "copied: prompt",
        "training tunes",
    )
    rows = [
        (
            name,
            _share(each.full),
            _share(each.chords.beats),
            _percent(each.chords.shuffled_chance),
            _share(each.copied_from_prompt),
            _share(each.copied_from_training),
        )
        for name, each in scores.items()
    ]
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _share(counted: Any) -> str:
    return f"{_percent(counted.share)} of {counted.of}" if counted.of else "none"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def as_json(findings: Findings, options: argparse.Namespace, files: TuneFiles, seconds: float) -> dict[str, Any]:
    """The numbers and answers for programs."""
    return {
        "options": {name: str(value) for name, value in vars(options).items()},
        "tunes": files.tunes,
        "notes": files.notes,
        "bits_per_note": findings.bits,
        "gaps": {name: each.to_json() for name, each in findings.gaps.items()},
        "lines": {name: each.to_json() for name, each in findings.lines.items()},
        "answers": [
            {"prompt": gap.prompt, **{name: answers[index] for name, answers in findings.answers.items()}}
            for index, gap in enumerate(files.gaps)
        ],
        "seconds": seconds,
    }
