"""Semantic chunking: a text parted where neighbouring sentences differ most in meaning.

Each sentence is embedded together with `buffer` sentences on both sides. Where the distance to the next one is above a
percentile of all distances, a chunk ends.
"""

from collections.abc import Callable, Sequence

from outcrop.knowledge.chunking.text_units import TextUnit

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"Vectors of length 1, one for each text."


def breaks_of(text: str, units: Sequence[TextUnit], embed: Embed, *, buffer: int, percentile: int) -> list[int]:
    """The characters at which a new chunk begins; none in a text of two sentences or fewer."""
    import numpy as np

    if len(units) < 3:
        return []
    windows = [
        text[units[max(0, number - buffer)].start : units[min(len(units) - 1, number + buffer)].end].strip() or "."
        for number in range(len(units))
    ]
    vectors = np.asarray(embed(windows), np.float32)
    distances = 1.0 - (vectors[:-1] * vectors[1:]).sum(axis=1)
    threshold = np.percentile(distances, percentile)
    return [units[number + 1].start for number, distance in enumerate(distances) if distance > threshold]
