"""What the article saw by eye, as numbers: the language of an answer, the items it names, its length, and whether it is
right.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_JAPANESE = re.compile(r"[ぁ-ゖァ-ヺー一-鿿々]")
_LATIN = re.compile(r"[A-Za-z]")
_BULLET = re.compile(r"^\s*(?:\d+[.)、:]?|[・*•-])\s*")
_BREAK = re.compile(r"\n|、|,\s")


def language(text: str) -> str:
    """`ja`, `en` or `none`, by the letters that are most of the answer's."""
    japanese, latin = len(_JAPANESE.findall(text)), len(_LATIN.findall(text))
    if not japanese and not latin:
        return "none"
    return "ja" if japanese >= latin else "en"


def items(text: str) -> list[str]:
    """The items that an answer names: one a line, else parted by commas; each once, without its number."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    parts = lines if len(lines) > 1 else _BREAK.split(text.strip())
    named = [_BULLET.sub("", part).strip(" 。.") for part in parts]
    return list(dict.fromkeys(name for name in named if name))


def exact_match(answer: str, reference: str) -> bool:
    """Whether answer and reference are the same, but for white space, width and full stops."""
    return _plain(answer) == _plain(reference)


def f1(answer: str, reference: str) -> float:
    """F1 over characters, white space aside: Japanese has no words that all programs agree on."""
    given, wanted = Counter(_plain(answer)), Counter(_plain(reference))
    common = (given & wanted).total()
    return 2 * common / (given.total() + wanted.total()) if common else 0.0


def mean(values: Sequence[float]) -> float:
    """The mean, 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split()).strip("。.")
