"""Citations of an answer: the passages that bear each of its sentences out, computed and not believed.

A sentence is held against the sentences of the passages, alone and in pairs, with the headings above them. It is
supported where

* most of what it says is there: its terms, weighted by how rare they are among the passages. What is in no passage
  weighs most;
* every number in it is there, and everything that it quotes;
* neither of the two denies what the other affirms;
* it says enough to be told from other sentences; a short one must stand where the question is spoken of too.

Where the words differ, an encoder may tell that the meanings are close; numbers, quotations and denials hold as before.
The passages that the model names are tried first, and with some indulgence, but cited only where they pass.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from outcrop.documents.sentences import sentences_of
from outcrop.knowledge.answering.closeness import Closeness
from outcrop.knowledge.answering.sentences import AnswerSentence
from outcrop.knowledge.answering.terms import TermSet, count_words, terms_of
from outcrop.knowledge.passages import Found

SUPPORTED = 0.6
"So much of a sentence's weight is in a passage that supports it."
MARKED = 0.5
"So much is enough in a passage that the model names for it."
DOUBTFUL = 0.35
"From here on an encoder is asked, where there is one."
CLOSE = 0.72
"The cosine of vectors from which on two sentences say the same."
_ALIKE = 0.97
"A passage that supports a sentence as well as the best one does is cited too."
_MOST_CITED = 3
_MOST_COMPARED = 8
"Sentences of passages that the encoder is asked about, for one of the answer."
_SHORT = 3
"Content words of a sentence that says little by itself."
_OF_QUESTION = 0.3
_PRONOUN = {"1"}
"One of them: as often a word for something as a number."
_QUOTED = re.compile(r"[“\"「『]([^“”\"「」『』]{8,})[”\"」』]")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True)
class CitedPart:
    """A part of an answer with the passages that support it. All parts of an answer in a row are its text."""

    text: str
    start: int
    "Characters of the answer before it."
    cited: tuple[int, ...] = ()
    "Numbers of passages, the best first; none where nothing supports it."
    is_claim: bool = True
    "Whether it says something that a passage could support; a heading or a question does not."

    @property
    def last(self) -> int:
        """The place of its last character."""
        return self.start + len(self.text) - 1


def supported_share(parts: Iterable[CitedPart]) -> float:
    """The share of an answer's claims that a passage supports; 1 for an answer without claims."""
    claims = [part for part in parts if part.is_claim]
    return sum(bool(part.cited) for part in claims) / len(claims) if claims else 1.0


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """A sentence of a passage, or two in a row, with the headings above."""

    passage: int
    text: str
    found: TermSet
    own: TermSet
    "Without the headings, which deny nothing."


class Evidence:
    """The passages that an answer is made from, ready to be held against its sentences."""

    def __init__(self, passages: Sequence[Found], question: str, closeness: Closeness | None = None) -> None:
        """`closeness`: an encoder's opinion of sentences whose words differ."""
        self._stretches = [stretch for number, one in enumerate(passages) for stretch in _stretches(number, one)]
        self._texts = [_plain(one.text) for one in passages]
        self._counts = Counter(term for stretch in self._stretches for term in stretch.found.terms)
        self._question = terms_of(question)
        self._closeness = closeness

    async def cite(self, sentence: AnswerSentence) -> CitedPart:
        """The sentence with the passages that support it."""
        claim = terms_of(sentence.text)
        if not _is_claim(sentence.text, claim):
            return CitedPart(text=sentence.text, start=sentence.start, is_claim=False)
        scores = self._scores(sentence.text, claim)
        cited = _chosen(scores, sentence.marked)
        if not cited and self._closeness is not None:
            cited = await self._by_meaning(sentence.text, claim, self._closeness)
        return CitedPart(text=sentence.text, start=sentence.start, cited=cited)

    async def support(self, sentence: AnswerSentence) -> float | None:
        """How well the passages support a sentence, from 0 to 1; None for one that claims nothing."""
        cited = await self.cite(sentence)
        if not cited.is_claim:
            return None
        return 1.0 if cited.cited else max(self._scores(sentence.text, terms_of(sentence.text)).values(), default=0.0)

    def relevance(self, answer: Iterable[str]) -> float:
        """The share of the question that an answer's sentences speak of, with what the passages say of the same.

        So a short answer to a long question is about it too, where a passage ties the two together. 1 for a question
        without terms of its own.
        """
        asked, told = self._question.terms, set[str]()
        for sentence in answer:
            claim = terms_of(sentence)
            bearing = [
                each for each in self._stretches if claim.terms and self._covered(claim, each.found) >= SUPPORTED
            ]
            # The shortest: two sentences in a row hold what each of them does, and speak of more.
            shortest = min(bearing, key=lambda stretch: len(stretch.found.terms), default=None)
            told |= claim.terms | (shortest.found.terms if shortest is not None else set())
        if not self._stretches:
            return len(asked & told) / len(asked) if asked else 1.0
        whole = sum(map(self._weight, asked))
        return sum(map(self._weight, asked & told)) / whole if whole else 1.0

    def _scores(self, text: str, claim: TermSet) -> dict[int, float]:
        """How well each passage supports a claim, of those that contradict it in nothing."""
        plain = _plain(text).strip(" .。")
        best: dict[int, float] = {}
        for stretch in self._consistent(text, claim):
            score = self._covered(claim, stretch.found)
            if count_words(text) < _SHORT and not self._is_about_question(score, stretch):
                continue
            if plain in self._texts[stretch.passage]:
                score = 1.0
            best[stretch.passage] = max(best.get(stretch.passage, 0.0), score)
        return best

    def _consistent(self, text: str, claim: TermSet) -> Iterable[_Stretch]:
        """The stretches that hold the claim's numbers and quotations, and deny nothing of it."""
        quoted = [_plain(each) for each in _QUOTED.findall(text)]
        for stretch in self._stretches:
            if not claim.numbers - _PRONOUN <= stretch.found.numbers or _contradicts(claim, stretch.own):
                continue
            if all(each in self._texts[stretch.passage] for each in quoted):
                yield stretch

    def _covered(self, claim: TermSet, found: TermSet) -> float:
        """The share of the claim's weight that the stretch holds."""
        whole = sum(map(self._weight, claim.terms))
        return sum(map(self._weight, claim.terms & found.terms)) / whole if whole else 0.0

    def _weight(self, term: str) -> float:
        return math.log(1 + len(self._stretches) / (self._counts[term] or 0.5))

    def _is_about_question(self, score: float, stretch: _Stretch) -> bool:
        """Whether a stretch that holds all of a short claim speaks of the question too."""
        return score > 0.99 and self._covered(self._question, stretch.found) >= _OF_QUESTION

    async def _by_meaning(self, text: str, claim: TermSet, closeness: Closeness) -> tuple[int, ...]:
        covered = [(self._covered(claim, each.found), each) for each in self._consistent(text, claim)]
        ranked = sorted((pair for pair in covered if pair[0] >= DOUBTFUL), key=lambda pair: -pair[0])
        doubtful = [each for _, each in ranked[:_MOST_COMPARED]]
        if not doubtful or count_words(text) < _SHORT:
            return ()
        cosines = await closeness(text, [each.text for each in doubtful])
        cosine, best = max(zip(cosines, doubtful, strict=True), key=lambda pair: pair[0])
        return (best.passage,) if cosine >= CLOSE else ()


def _stretches(number: int, found: Found) -> Iterable[_Stretch]:
    headings = " ".join([*found.passage.headings, found.passage.rule_number or ""])
    above = terms_of(headings)
    sentences = [text for text in sentences_of(found.text) if text.strip()]
    for text in [*sentences, *(first + second for first, second in pairwise(sentences))]:
        own = terms_of(text)
        yield _Stretch(passage=number, text=text, found=own | above, own=own)


def _chosen(scores: dict[int, float], marked: Sequence[int]) -> tuple[int, ...]:
    """The passages to cite: those that the model names and that pass, else the best and those as good."""
    named = [number for number in marked if scores.get(number, 0.0) >= MARKED]
    if named:
        return tuple(named[:_MOST_CITED])
    best = max(scores.values(), default=0.0)
    if best < SUPPORTED:
        return ()
    ranked = sorted(scores, key=lambda number: (-scores[number], number))
    return tuple(number for number in ranked if scores[number] >= best * _ALIKE)[:_MOST_CITED]


def _contradicts(claim: TermSet, found: TermSet) -> bool:
    """Whether one of two texts denies what the other one says without denial."""
    if claim.conditional and found.conditional:  # only if, and not unless: the same in other words
        return False
    denied = claim.denied & found.terms
    if denied:
        return not denied & found.denied
    return not claim.denied and bool(found.denied & claim.terms)


def _is_claim(text: str, claim: TermSet) -> bool:
    return bool(claim.terms - _PRONOUN) and not text.rstrip().endswith((":", "?", "：", "？"))


def _plain(text: str) -> str:
    return _BLANKS.sub(" ", text).strip().casefold()
