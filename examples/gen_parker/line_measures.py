"""Measures of what the models play, and of the real lines beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

from tune_files import Gap, Opening

from outcrop.music.abc_reading import AbcMusic, read_music
from outcrop.music.measures import (
    ChordTones,
    Counted,
    Phrases,
    bits_per_note,
    chord_tones,
    full_bars,
    over_chords,
)
from outcrop.music.score import Bar

_NOTHING = Counted(0, 0)


@dataclass(frozen=True, kw_only=True)
class LineScores:
    """The measures of some lines: of one model's answers, or of the real ones."""

    full: Counted
    "Bars whose lengths fill the metre."
    chords: ChordTones
    copied_from_prompt: Counted
    "Bars that stand in the prompt, note for note."
    copied_from_training: Counted

    def to_json(self) -> dict[str, Any]:
        told = {
            "full_bars": self.full,
            "chord_tones": self.chords.beats,
            "copied_from_prompt": self.copied_from_prompt,
            "copied_from_training": self.copied_from_training,
        }
        return {name: {"number": each.number, "of": each.of, "share": each.share} for name, each in told.items()} | {
            "chord_tones_by_chance": {"uniform": self.chords.uniform_chance, "shuffled": self.chords.shuffled_chance}
        }


def known(train_bars: Sequence[Sequence[Bar]]) -> Phrases:
    """The bars of the training tunes."""
    phrases = Phrases()
    for bars in train_bars:
        phrases.add(bars)
    return phrases


def first_bar(answer: str) -> str:
    """The notes of the bar that an answer gives, in whatever stands around it."""
    inner = answer.strip().split("\n")[0].lstrip("|")
    return inner.split("|")[0]


def filled(gap: Gap, answer: str) -> AbcMusic:
    """The bar of an answer, in the gap's metre and over its chords."""
    music = read_music(f"{first_bar(answer)}|", metre=gap.metre)
    bars = over_chords(music.part.bars[:1], gap.around.chords_of_gap)
    return replace(music, part=replace(music.part, bars=bars))


def score_gaps(gaps: Sequence[Gap], answers: Sequence[str], training: Phrases) -> LineScores:
    """The measures of answers to gaps; an answer without a bar fills none."""
    music = [filled(gap, answer) for gap, answer in zip(gaps, answers, strict=True)]
    from_prompt = []
    for gap, each in zip(gaps, music, strict=True):
        around = Phrases()
        for bar in (gap.around.first, gap.around.last):
            around.add(read_music(f"{bar}|").part.bars)
        from_prompt.append(around.copied(each.part.bars))
    full = [full_bars(each) if each.part.bars else Counted(0, 1) for each in music]
    return LineScores(
        full=_added(full),
        chords=chord_tones([each.part.bars for each in music]),
        copied_from_prompt=_added(from_prompt),
        copied_from_training=_added([training.copied(each.part.bars) for each in music]),
    )


def is_full(gap: Gap, answer: str) -> bool:
    """Whether an answer's bar fills the metre."""
    music = filled(gap, answer)
    return bool(music.part.bars) and full_bars(music).share == 1


def chord_share(gap: Gap, answer: str) -> float | None:
    """The share of an answer's beats on which a tone of the chord sounds; None where nothing sounds."""
    return chord_tones([filled(gap, answer).part.bars]).beats.share


def score_lines(openings: Sequence[Opening], continuations: Sequence[str], training: Phrases) -> LineScores:
    """The measures of what is played on after the first bars of tunes; these are only listened to."""
    full, chords, from_prompt, from_training = [], [], [], []
    for opening, continuation in zip(openings, continuations, strict=True):
        before = len(read_music(opening.prompt).part.bars)
        music = read_music(opening.prompt + continuation.split("\n")[0])
        played = replace(music.part, bars=music.part.bars[before:])
        broken = tuple(p._replace(bar=p.bar - before) for p in music.problems if p.bar >= before)
        full.append(full_bars(replace(music, part=played, problems=broken), is_cut_off=True))
        chords.append(_with_chord_before(music.part.bars, before))
        around = Phrases()
        around.add(music.part.bars[:before])
        from_prompt.append(around.copied(played.bars))
        from_training.append(training.copied(played.bars))
    return LineScores(
        full=_added(full),
        chords=chord_tones(chords),
        copied_from_prompt=_added(from_prompt),
        copied_from_training=_added(from_training),
    )


def real_continuation(opening: Opening) -> str:
    return opening.real[len(opening.prompt) :]


def bits(held_out: Mapping[str, Any], num_notes: int) -> float:
    """Bits for a note of a test file, by its entry in a job's held_out.json."""
    return bits_per_note(-held_out["loss"] * held_out["tokens"], num_notes)


def _with_chord_before(bars: Sequence[Bar], start: int) -> Sequence[Bar]:
    """The bars from `start` on; the first has the chord that still sounds."""
    rest = bars[start:]
    sounding = [chord for bar in bars[:start] for chord in bar.chords][-1:]
    if not rest or not sounding or (rest[0].chords and rest[0].chords[0].at == 0):
        return rest
    first = replace(rest[0], chords=(sounding[0]._replace(at=rest[0].length * 0), *rest[0].chords))
    return (first, *rest[1:])


def _added(counts: Sequence[Counted]) -> Counted:
    return reduce(add, counts, _NOTHING)
