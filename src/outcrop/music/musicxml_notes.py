"""A <note> of MusicXML as a value: what is written (type, dots, tuplet) is held against the duration it claims."""

import re
from collections import Counter
from fractions import Fraction
from functools import lru_cache
from xml.etree.ElementTree import Element

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

_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,9})?")
MOST_ALTER = 2


def read_note(element: Element, duration: Fraction, *, tick: Fraction) -> Note:
    """A <note> read; `duration` is what its <duration> says, and `tick` one division, in whole notes."""
    is_grace = element.find("grace") is not None
    pitch = _pitch(element)
    held = pitch is not None and any(tie.get("type") == "start" for tie in element.iterfind("tie"))
    tuplet = None if is_grace else _tuplet(element)
    rest = element.find("rest")
    of_whole_bar = rest is not None and rest.get("measure") == "yes"
    written = None if of_whole_bar else _written(element)
    return Note(
        length=(written or Fraction(1, 8)) if is_grace else _length(written, tuplet, duration, tick),
        pitches=(pitch,) if pitch else (),
        tied=(pitch,) if pitch and held else (),
        tuplet=tuplet,
        opens_tuplet=tuplet is not None
        and any(each.get("type") == "start" for each in element.iterfind("notations/tuplet")),
        hidden=pitch is None and element.get("print-object") == "no",
    )


def left_out(element: Element) -> Counter[str]:
    """Counts of whatever a <note> holds beyond itself: lyrics, slurs, articulations, …"""
    found: Counter[str] = Counter()
    for child in element:
        if child.tag == "lyric":
            found["lyrics"] += 1
        elif child.tag == "unpitched":
            found["unpitched notes, written as rests"] += 1
        elif child.tag == "notations":
            kinds = (each.tag for each in child if each.tag not in ("tied", "tuplet"))
            found.update("slurs" if kind == "slur" else kind for kind in kinds)
    return found


@lru_cache(maxsize=4096)
def _length(written: Fraction | None, tuplet: Tuplet | None, duration: Fraction, tick: Fraction) -> Fraction:
    """The written length where the duration rounds it to ticks; else the duration."""
    if written is None:
        return duration
    sounding = written * Fraction(tuplet.normal, tuplet.actual) if tuplet else written
    return sounding if abs(sounding - duration) < tick or duration <= 0 else duration


def _written(element: Element) -> Fraction | None:
    return _dotted((element.findtext("type") or "").strip(), len(element.findall("dot")))


@lru_cache(maxsize=256)
def _dotted(kind: str, dots: int) -> Fraction | None:
    return TYPES[kind] * (2 - Fraction(1, 2**dots)) if kind in TYPES else None


def _tuplet(element: Element) -> Tuplet | None:
    modification = element.find("time-modification")
    if modification is None:
        return None
    actual = whole_number(modification.findtext("actual-notes") or "1")
    normal = whole_number(modification.findtext("normal-notes") or "1")
    return Tuplet(actual, normal) if actual != normal and actual > 0 and normal > 0 else None


def _pitch(element: Element) -> Pitch | None:
    pitch = element.find("pitch")
    if pitch is None:
        return None
    step = (pitch.findtext("step") or "").strip().upper()
    octave = (pitch.findtext("octave") or "").strip()
    if step not in SEMITONES or not re.fullmatch(r"\d", octave):
        raise ValueError(f"a pitch of step '{step}' and octave '{octave}'")
    alter = number(pitch.findtext("alter") or "0")
    if alter.denominator != 1 or abs(alter) > MOST_ALTER:
        raise ValueError(f"{step}{octave} altered by {float(alter):g} semitones, which ABC has no sign for")
    return Pitch(step, int(alter), int(octave))


def number(text: str) -> Fraction:
    """The number that a document writes. Raises ValueError for what is none, or of more digits than a score needs."""
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"'{text.strip()[:40]}' where a number should be")
    return Fraction(text.strip())


def whole_number(text: str) -> int:
    """The whole number that a document writes. Raises ValueError for any other."""
    found = number(text)
    if found.denominator != 1:
        raise ValueError(f"{text.strip()} where a whole number should be")
    return int(found)
