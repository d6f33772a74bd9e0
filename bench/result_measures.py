"""Measures of the articles' tasks that are no score by name: functions as `outcrop compare` calls them."""

from examples.renga.mora import is_seven_seven
from outcrop.music.abc_reading import read_music


def seven_seven(answer: str, **_record: object) -> float:
    """1 for a lower verse of exactly 7 and 7 morae."""
    return float(is_seven_seven(answer.strip()))


def full_bar(answer: str, references: list[str], **_record: object) -> float:
    """1 where the answer is one bar as long as the real one."""
    (real,) = read_music(references[0]).part.bars
    bars = read_music(answer.strip()).part.bars
    return float(len(bars) == 1 and bars[0].length == real.length)
