"""Counting morae: what makes a Japanese verse a verse, and the ruler the quickstart measures a custom model with.

One kana is one mora, also っ, ん and ー; only a small ゃ, ゅ, ょ, ぁ, ぃ, ぅ, ぇ, ぉ or ゎ leans on the kana before it
and adds none. Kana only: a text with anything else in it has no count here, for the reading of a kanji is a guess.
"""

import unicodedata
from math import sqrt
from statistics import NormalDist

LEANING = frozenset("ゃゅょぁぃぅぇぉゎャュョァィゥェォヮ")
KANA = frozenset(map(chr, [*range(0x3041, 0x3097), *range(0x30A1, 0x30FB)])) | {"ー"}
SEVEN_SEVEN = [7, 7]
Z_95 = NormalDist().inv_cdf(0.975)


class NotKanaError(ValueError):
    """A text whose morae cannot be counted, since not all of it is kana."""


def count_morae(text: str) -> int:
    """Number of morae of one ku, hiragana and katakana alike.

    Raises NotKanaError at the first other character; white space is one too, it parts two ku.
    """
    # A dakuten may arrive as a character of its own (か + U+3099); composed, it is part of its kana.
    composed = unicodedata.normalize("NFC", text)
    stranger = next((character for character in composed if character not in KANA), None)
    if stranger is not None:
        raise NotKanaError(f"{text!r}: {stranger!r} is not kana. Write the phrase in hiragana or katakana.")
    return sum(character not in LEANING for character in composed)


def is_seven_seven(answer: str) -> bool:
    """Whether the first line of an answer is a lower verse: two ku of seven morae each, parted by white space.

    Only the first line counts; a model that has not learned where to stop goes on in the next.
    """
    first_line = answer.partition("\n")[0]
    try:
        return [count_morae(ku) for ku in first_line.split()] == SEVEN_SEVEN
    except NotKanaError:
        return False


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """95 % confidence interval (low, high) of a rate, of which `successes` of `n` trials is a sample.

    Holds for small n and for rates near 0 and 1 too, where the usual plus-minus leaves the range.
    Raises ValueError unless 0 <= successes <= n and n >= 1.  Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes of {n} trials: expected 0 <= successes <= n and n >= 1.")
    rate, z_squared = successes / n, Z_95**2
    centre = (rate + z_squared / (2 * n)) / (1 + z_squared / n)
    half_width = Z_95 * sqrt(rate * (1 - rate) / n + z_squared / (4 * n * n)) / (1 + z_squared / n)
    return max(0.0, centre - half_width), min(1.0, centre + half_width)
