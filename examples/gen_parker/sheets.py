"""Answers as sheet music and as sound: the bars of a question with each model's bar between them, as SVG and MIDI."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from line_measures import first_bar
from tune_files import Gap

from outcrop.errors import MachineTrouble
from outcrop.music.abc_reading import read_music
from outcrop.music.engraving import engraved
from outcrop.music.measures import over_chords
from outcrop.music.midi import midi_bytes
from outcrop.music.score import FINAL, PLAIN, Bar, Part


def bars_of(gap: Gap, answer: str) -> tuple[Bar, ...]:
    """The bar before the gap, the answer's bar, and the bar behind it, with the chords of all three."""
    around = gap.around
    read = [
        read_music(f"{text}|", metre=gap.metre).part.bars[:1] for text in (around.first, first_bar(answer), around.last)
    ]
    empty = Bar(number="", notes=(), metre=gap.metre)
    bars = [replace(found[0], line=PLAIN) if found else empty for found in read]
    return over_chords([*bars[:-1], replace(bars[-1], line=FINAL)], around.chords)


def write_sheets(gap: Gap, answers: Mapping[str, str], folder: Path, name: str) -> list[str]:
    """Write an SVG and a MIDI file for each answer; returns what could not be engraved, and why."""
    folder.mkdir(parents=True, exist_ok=True)
    troubles = []
    for model, answer in answers.items():
        bars = bars_of(gap, answer)
        path = folder / f"{name}-{model}"
        if any(bar.length > Fraction(0) for bar in bars):
            path.with_suffix(".mid").write_bytes(midi_bytes(bars))
        try:
            (page, *_) = engraved(Part(name="", bars=bars), title=model, width=900)
            path.with_suffix(".svg").write_text(_on_paper(page), "utf-8")
        except MachineTrouble as trouble:
            troubles.append(f"{path.name}: {trouble.message}")
    return troubles


def _on_paper(page: str) -> str:
    """The picture on white: its notes are black, and a reader's page may be."""
    start = page.index(">", page.index("<svg")) + 1
    return f'{page[:start]}<rect width="100%" height="100%" fill="white"/>{page[start:]}'
