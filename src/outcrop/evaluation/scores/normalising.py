"""Texts made comparable: letters, case, punctuation and articles that say nothing about an answer taken away.

English is normalised as SQuAD's evaluation does it (Rajpurkar et al. 2016, arXiv:1606.05250, section 6.1): lower case,
no ASCII punctuation, no articles, single spaces. Beyond ASCII, NFKC comes first, so that full-width letters and digits
equal the others, and punctuation of every script goes, such as 。 and 「」. Japanese is counted in letters.
"""

import string
import unicodedata
from functools import lru_cache

import regex

_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_PUNCTUATION = regex.compile(r"\p{P}+")
_ARTICLES = regex.compile(r"\b(a|an|the)\b")
UNSPACED = (
    r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}"
    r"\p{Script=Myanmar}\u30fc\u3005"
)
"Scripts that write no spaces between words, as the inside of a class of the library `regex`."
_UNSPACED_LETTER = regex.compile(f"[{UNSPACED}]")
_SPACE_BETWEEN_UNSPACED = regex.compile(rf"(?<=[{UNSPACED}])\s+(?=[{UNSPACED}])")
_UNITS = regex.compile(rf"[{UNSPACED}]\p{{M}}*|[^\s{UNSPACED}]+")


@lru_cache(maxsize=1024)
def normalised(text: str) -> str:
    """The text in lower case without punctuation, English articles and needless white space."""
    if text.isascii():
        plain = text.lower().translate(_ASCII_PUNCTUATION)
    else:
        plain = unicodedata.normalize("NFKC", text).lower().translate(_ASCII_PUNCTUATION)
        plain = _SPACE_BETWEEN_UNSPACED.sub("", _PUNCTUATION.sub("", plain))
    return " ".join(_ARTICLES.sub(" ", plain).split())


def is_unspaced(text: str) -> bool:
    """Whether a text has letters of a script without spaces, such as Japanese."""
    return not text.isascii() and _UNSPACED_LETTER.search(text) is not None


def units(text: str) -> list[str]:
    """The units of a normalised text: words, and single letters of scripts without spaces."""
    return text.split() if text.isascii() else _UNITS.findall(text)


def told_unit(*texts: str) -> str:
    """The name of the unit that `units` counts in these texts."""
    return "characters" if any(map(is_unspaced, texts)) else "words"
