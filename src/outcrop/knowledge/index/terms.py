"""Terms of a text: what the lexical arm counts and looks for.

Words where a script puts spaces between them, pairs of characters where it does not (Japanese, Chinese, Thai, ...).
A term is known by 64 bits of its digest, so that no process has to agree with another on the number of a word.
"""

import hashlib
import unicodedata
from collections import Counter
from functools import lru_cache

import regex

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}々〆ー"
_RUN = regex.compile(rf"[{_UNSPACED}\p{{M}}]+|(?:(?![{_UNSPACED}])[\p{{L}}\p{{N}}\p{{M}}])+")
_IS_UNSPACED = regex.compile(rf"[{_UNSPACED}]")
_JOINED = regex.compile(r"(?<![\p{Latin}\p{N}])[\p{Latin}\p{N}]++(?:[-.–][\p{Latin}\p{N}]++)+")
_DIGIT = regex.compile(r"\p{N}")
_MARKS = regex.compile(r"\p{M}+")


def terms_of(text: str) -> list[str]:
    """The terms of a text, in their order, as often as they come."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    # The number of a rule, such as 240.10b-5, is one term beside its parts.
    found = [joined.replace("–", "-") for joined in _JOINED.findall(plain) if _DIGIT.search(joined)]
    for run in _RUN.findall(plain):
        if not _IS_UNSPACED.match(run):
            found.append(_stem(_MARKS.sub("", unicodedata.normalize("NFKD", run))))
        elif len(run) == 1:
            found.append(run)
        else:
            found += [run[at : at + 2] for at in range(len(run) - 1)]
    return found


def count_terms(text: str) -> Counter[int]:
    """How often each term of a text comes, by the term's 64 bits."""
    return Counter(map(number_of, terms_of(text)))


@lru_cache(maxsize=100_000)
def number_of(term: str) -> int:
    """64 bits of a term's digest, alike in every process and on every machine."""
    digest = hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def _stem(word: str) -> str:
    """A word without the endings that English puts on it; few enough that other languages lose little."""
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
