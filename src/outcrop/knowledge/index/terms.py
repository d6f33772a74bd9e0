"""Terms of a text: what the lexical arm counts and looks for.

Words where a script puts spaces between them: as they stand, and once more without an English plural. Pairs of
characters where it does not (Japanese, Chinese, Thai, ...), and single ideographs, which mean something by themselves.
A term is known by 64 bits of its digest, so that no process has to agree with another on the number of a word.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

import regex

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}々〆ー"
_RUN = regex.compile(r"[\p{L}\p{N}\p{M}々〆]+")
_UNSPACED_PART = regex.compile(rf"[{_UNSPACED}]")
_SPACED_PARTS = regex.compile(rf"[^{_UNSPACED}]+")
_IDEOGRAPH = regex.compile(r"[\p{Han}々]")
_JOINED = regex.compile(r"(?<![\p{Latin}\p{N}])[\p{Latin}\p{N}]++(?:[-.–][\p{Latin}\p{N}]++)+")
_DIGIT = regex.compile(r"\p{N}")
_MARKS = regex.compile(r"\p{M}+")
_ROOT = "~"
"Before a word without its plural, so that a word as it stands counts for more than its relative."


def terms_of(text: str) -> list[str]:
    """The terms of a text, as often as they come."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    # The number of a rule, such as 240.10b-5, is one term beside its parts.
    found = [joined.replace("–", "-") for joined in _JOINED.findall(plain) if _DIGIT.search(joined)]
    for run in _RUN.findall(plain):
        if _UNSPACED_PART.search(run):
            found += _pairs(run)
        else:
            found += _word(run)
    return found


def count_terms(text: str) -> Counter[int]:
    """How often each term of a text comes, by the term's 64 bits."""
    return Counter(map(number_of, terms_of(text)))


def share_in_pairs(text: str) -> float:
    """The share of a text's letters that are cut into pairs, from 0 to 1."""
    letters = "".join(_RUN.findall(unicodedata.normalize("NFKC", text)))
    return len(_UNSPACED_PART.findall(letters)) / len(letters) if letters else 0.0


@lru_cache(maxsize=100_000)
def number_of(term: str) -> int:
    """64 bits of a term's digest, alike in every process and on every machine."""
    digest = hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def _pairs(run: str) -> Iterator[str]:
    """Terms of a stretch without spaces. Digits and Latin letters in it belong to its pairs: 5月."""
    if len(run) == 1:
        yield run
        return
    yield from (run[at : at + 2] for at in range(len(run) - 1))
    yield from _IDEOGRAPH.findall(run)
    for part in _SPACED_PARTS.findall(run):
        if len(part) != 2:  # which is a pair already
            yield from _word(part)


def _word(word: str) -> tuple[str, str]:
    plain = word if word.isascii() else _MARKS.sub("", unicodedata.normalize("NFKD", word))
    return plain, _ROOT + _singular(plain)


def _singular(word: str) -> str:
    """A word without the ending of an English plural; so few that other languages lose little."""
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
