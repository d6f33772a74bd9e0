"""Terms of texts, by which an answer is held against passages: what a sentence says, and what it denies.

Words of scripts with blanks between them are cut to their beginning, so that `registers` and `registration` are one
term; runs of Japanese and Chinese become pairs of characters. Words that carry no content (the, shall, です) are no
terms. Numbers are terms by their value: 1,000 is 1000, and five is 5.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

_STEM = 6
"Letters of a word that tell it apart."
_WIDE = r"぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿々〆"
_TOKENS = re.compile(
    rf"(?P<number>\d+(?:[.,]\d+)*)|(?P<wide>[{_WIDE}]+)|(?P<word>(?:(?![{_WIDE}])[^\W\d_])+(?:['’][^\W\d_]+)?)"
)
_BEGINNING = re.compile(
    r"^\s*(?:[-*•]\s+)?(?:\(?\d{1,3}[.)]\s+)?(?:(?:yes|no|correct|はい|いいえ)[,.、。!]\s*)?", re.IGNORECASE
)
"The number of an item of a list, and the short answer before the one that says something."
_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_NUMBERS = {word: str(value) for value, word in enumerate(_COUNTED.split())} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
}  # fmt: skip
_EMPTY_WORDS = (
    "a about above according after all also am an and answer any are as at based be because been before being below "
    "between both but by can could did do does doing down during each etc every following for from further get had has "
    "have having he her here hers him his how i if in into is it its itself just let may me might mine more most must "
    "my of off on once only or other our ours out over own per please provided same shall she should so some such than "
    "that the their theirs them then there thereof these they this those through to too under until up upon us very "
    "was we were what when where whether which while who whom whose why will with within would yes you your yours "
    "passage passages question result results search source sources states stated"
)
_EMPTY = frozenset(_EMPTY_WORDS.split())
"Words that carry no content, and those with which models speak of the passages."
_CONDITION = re.compile(r"\b(?:only|unless|except|until|provided)\b|限り|場合を除|のみ", re.IGNORECASE)
_DENYING_WORDS = (
    "not no never none nor neither nothing nobody cannot without unlawful unlawfully prohibited prohibits prohibit "
    "prohibiting forbidden forbids forbid illegal barred bars lacks lack except"
)
_DENYING = frozenset(_DENYING_WORDS.split())
_OF_SUBJECT = frozenset(("no", "neither", "none", "never"))
"Denials that reach over one term, which is who may not, to the next, which is what."
_TRANSPARENT = frozenset(("requir", "permit", "allow", "need", "oblig", "entitl", "able", "author", "person"))
"Terms through which a denial reaches the next one: not required to register."
_MUST = re.compile(r"(?:なければ|なくては|ねば)(?:なら|なり|いけ)(?:ない|ません|ず)")
"A Japanese obligation, which is written as a double denial."
_WIDE_DENIAL = re.compile(r"ない|なく|なかった|ません|ませぬ|ずに|ず、|ざる|禁止|禁じ")
_HIRAGANA = re.compile(r"[ぁ-ゟー]+")
_DENIED_BEFORE = 10
"Letters before a Japanese denial in which that stands which it denies."


@dataclass(frozen=True, kw_only=True)
class TermSet:
    """A text as its terms."""

    terms: frozenset[str]
    "Numbers are among them."
    numbers: frozenset[str]
    denied: frozenset[str]
    "The terms that follow a denial."
    conditional: bool
    "Whether it holds under a condition: only if, unless."

    def __or__(self, other: "TermSet") -> "TermSet":
        """The two texts together."""
        return TermSet(
            terms=self.terms | other.terms,
            numbers=self.numbers | other.numbers,
            denied=self.denied | other.denied,
            conditional=self.conditional or other.conditional,
        )


def terms_of(text: str) -> TermSet:
    """The terms of a text; the number of an item of a list is none of them."""
    return _terms_of(_BEGINNING.sub("", text))


def count_words(text: str) -> int:
    """The number of content words, repeated ones counted again; two Japanese characters are one."""
    return sum(1 for kind, _ in _tokens(_BEGINNING.sub("", text)) if kind != "denial")


@lru_cache(maxsize=4096)
def _terms_of(text: str) -> TermSet:
    terms, numbers, denied = set[str](), set[str](), set[str]()
    reach = 0
    for kind, term in _tokens(text):
        if kind == "denial":
            reach = 2 if term in _OF_SUBJECT else 1
            continue
        terms.add(term)
        if kind == "number":
            numbers.add(term)
        if reach:
            denied.add(term)
            reach -= term not in _TRANSPARENT
    return TermSet(
        terms=frozenset(terms),
        numbers=frozenset(numbers),
        denied=frozenset(denied | _denied_in_wide(text)),
        conditional=_CONDITION.search(text) is not None,
    )


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Terms in their order, each with its kind: word, number, wide, or denial."""
    for found in _TOKENS.finditer(unicodedata.normalize("NFKC", text)):
        kind, told = str(found.lastgroup), found[0]
        if kind == "wide":
            yield from (("wide", pair) for pair in _pairs(told))
        elif kind == "number":
            yield kind, told.replace(",", "")
        else:
            yield from _word(told.casefold())


def _word(word: str) -> Iterator[tuple[str, str]]:
    plain, _, ending = word.replace("’", "'").partition("'")
    if ending == "t" or plain in _DENYING:  # don't, mustn't
        yield "denial", plain
    elif plain in _NUMBERS:
        yield "number", _NUMBERS[plain]
    elif plain not in _EMPTY and len(plain) > 1:
        yield "word", _stem(plain)


def _stem(word: str) -> str:
    """The beginning of a word, without the endings that short words have too."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending) + instead
            break
    return word.removesuffix("e")[:_STEM] if len(word) > 3 else word


def _pairs(run: str) -> Iterable[str]:
    """Pairs of characters that are not hiragana alone, which are endings and particles; a lone character is kept."""
    if len(run) == 1:
        return [] if _HIRAGANA.fullmatch(run) else [run]
    pairs = (run[at : at + 2] for at in range(len(run) - 1))
    return [pair for pair in pairs if not _HIRAGANA.fullmatch(pair)]


def _denied_in_wide(text: str) -> set[str]:
    """The last content before each Japanese denial."""
    found = set[str]()
    text = _MUST.sub("", text)
    for denial in _WIDE_DENIAL.finditer(text):
        before = text[max(0, denial.start() - _DENIED_BEFORE) : denial.start()]
        pairs = [pair for kind, pair in _tokens(before) if kind == "wide"]
        found.update(pairs[-1:])
    return found
