"""A <note> of MusicXML as a value: what is written (type, dots, tuplet) is held against the duration it claims."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from xml.etree.ElementTree import Element

from outcrop.errors import Invalid
from outcrop.music.keys import SEMITONES, Pitch
from outcrop.music.score import Note, Tuplet

TYPES = {
    "maxima": Fraction(8),
    "long": Fraction(4),
    "breve": Fraction(2),
    "whole": Fraction(1),
    "half": Fraction(1, 2),
    "quarter": Fraction(1, 4),
    "eighth": Fraction(1, 8),
    "16th": Fraction(1, 16),
    "32nd": Fraction(1, 32),
    "64th": Fraction(1, 64),
    "128th": Fraction(1, 128),
    "256th": Fraction(1, 256),
    "512th": Fraction(1, 512),
    "1024th": Fraction(1, 1024),
}
_ROUNDED = Fraction(1, 96)
"Durations of programs that count in coarse ticks differ from what is written by less than this."


@dataclass(frozen=True, kw_only=True)
class Sounding:
    """A <note> read: the note, its duration on the document's clock, and what was not kept of it."""

    note: Note
    duration: Fraction
    is_grace: bool
    left_out: Counter[str]


def read_note(element: Element, duration: Fraction, *, name: str) -> Sounding:
    """One <note>; `duration` is what its <duration> says, in whole notes."""
    is_grace = element.find("grace") is not None
    tuplet = None if is_grace else _tuplet(element)
    written = _written(element)
    pitch = _pitch(element, name)
    held = pitch is not None and any(tie.get("type") == "start" for tie in element.iterfind("tie"))
    left_out = _left_out(element)
    if element.find("unpitched") is not None:
        left_out["unpitched notes, written as rests"] += 1
    note = Note(
        length=(written or Fraction(1, 8)) if is_grace else _length(written, tuplet, duration),
        pitches=(pitch,) if pitch else (),
        tied=(pitch,) if pitch and held else (),
        tuplet=tuplet,
        opens_tuplet=any(each.get("type") == "start" for each in element.iterfind("notations/tuplet")),
        hidden=pitch is None and element.get("print-object") == "no",
    )
    return Sounding(note=note, duration=duration, is_grace=is_grace, left_out=left_out)


def _length(written: Fraction | None, tuplet: Tuplet | None, duration: Fraction) -> Fraction:
    """The written length where the duration only rounds it; else the duration, as in a rest of a whole bar."""
    if written is None:
        return duration
    sounding = written * Fraction(tuplet.normal, tuplet.actual) if tuplet else written
    return sounding if abs(sounding - duration) < _ROUNDED and sounding < 4 * duration else duration


def _written(element: Element) -> Fraction | None:
    kind = TYPES.get((element.findtext("type") or "").strip())
    if kind is None:
        return None
    dots = len(element.findall("dot"))
    return kind * (2 - Fraction(1, 2**dots))


def _tuplet(element: Element) -> Tuplet | None:
    actual = int(element.findtext("time-modification/actual-notes") or 1)
    normal = int(element.findtext("time-modification/normal-notes") or 1)
    return Tuplet(actual, normal) if actual != normal and actual > 0 and normal > 0 else None


def _pitch(element: Element, name: str) -> Pitch | None:
    pitch = element.find("pitch")
    if pitch is None:
        return None
    step = (pitch.findtext("step") or "").strip().upper()
    alter = float(pitch.findtext("alter") or 0)
    octave = (pitch.findtext("octave") or "").strip()
    if step not in SEMITONES or not octave.lstrip("-").isdigit():
        raise Invalid(f"{name}: a pitch of step '{step}' and octave '{octave}'. Export the score again.")
    if alter != int(alter):
        raise Invalid(
            f"{name}: {step}{octave} is altered by {alter} semitones. Quarter tones have no place in ABC 2.1."
        )
    return Pitch(step, int(alter), int(octave))


def _left_out(element: Element) -> Counter[str]:
    found = Counter({"lyrics": len(element.findall("lyric"))})
    for notations in element.iterfind("notations"):
        for child in notations:
            if child.tag not in ("tied", "tuplet"):
                found["slurs" if child.tag == "slur" else child.tag] += 1
    return +found
