"""Extractive answers: the sentences of the passages that speak of the question most, as they are.

No model writes them. They stand in where the model is too small to answer, or where extracts are asked for by name.
Terms that a sentence shares with the question count by how rare they are. Where the knowledge base has an encoder, its
opinion of the sentence under its heading counts more: users seldom ask in a document's own words.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from anyio import to_thread

from outcrop.documents.sentences import sentences_of
from outcrop.knowledge.answering.closeness import Closeness
from outcrop.knowledge.answering.terms import TermSet, terms_of
from outcrop.knowledge.passages import Found

MOST_SENTENCES = 3
_LEAST = 0.2
"So much of the question's weight a sentence must hold, where no encoder finds it close."
_CLOSE = 0.3
"The cosine from which on an encoder finds a sentence close to the question."
_OF_MEANING = 4.0
"The weight of the encoder's opinion against that of the terms; docs/log.md has what it brought."
_MOST_COMPARED = 40
"Sentences that the encoder is asked about."
_OF_BEST = 0.75
"A further sentence has so much of what the best one has."
_FELL_BY_RANK = 0.08
"The search's own order counts: each passage further down has so much less."
_OF_NUMBERS = 1.15
_ASKS_NUMBER = ("how many", "how much", "how long", "how old", "how often", "when", "what year")
_ASKS_NUMBER_JA = ("何", "いく", "いつ")
_LONGEST = 1200
"Characters of a sentence, or of a stretch without the end of one, that is shown whole."


@dataclass(frozen=True, kw_only=True)
class Extract:
    """A sentence of a passage, as it is."""

    text: str
    passage: int
    place: int
    "The number of the sentence in its passage."


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    extract: Extract
    terms: TermSet
    heading: str
    "The innermost one above it."
    above: frozenset[str]
    "The terms of the headings above it."
    score: float = 0.0
    fits: bool = False
    "Whether it speaks of the question at all."


async def extracts_of(question: str, passages: Sequence[Found], closeness: Closeness | None = None) -> list[Extract]:
    """The sentences that answer, in the order of the passages; none where nothing speaks of the question."""
    candidates = await to_thread.run_sync(_by_terms, question, passages)
    if closeness is not None:
        candidates = await _by_meaning(question, candidates[:_MOST_COMPARED], closeness)
    return _best([each for each in candidates if each.fits])


def joined(extracts: Sequence[Extract]) -> list[str]:
    """The extracts as the parts of one text: blanks between sentences where their script has them."""
    texts = [extract.text for extract in extracts]
    return [
        text if following is None or text.endswith(tuple("。！？")) else f"{text} "
        for text, following in pairwise([*texts, None])
        if text is not None
    ]


def _candidates(number: int, found: Found) -> list[_Candidate]:
    headings = found.passage.headings
    above, heading = terms_of(" ".join(headings)).terms, headings[-1] if headings else ""
    sentences = [text.strip() for text in sentences_of(found.text)]
    return [
        _Candidate(
            extract=Extract(text=text, passage=number, place=place), terms=terms_of(text), heading=heading, above=above
        )
        for place, text in enumerate(sentences)
        if text and len(text) <= _LONGEST and not text.endswith(("?", "？", ":")) and not _is_heading(text)
    ]


def _is_heading(text: str) -> bool:
    return text.startswith("#") and "\n" not in text


def _by_terms(question: str, passages: Sequence[Found]) -> list[_Candidate]:
    """The sentences by the terms that they share with the question; what headings hold counts half."""
    asked, candidates = terms_of(question), [each for n, one in enumerate(passages) for each in _candidates(n, one)]
    counts = Counter(term for each in candidates for term in each.terms.terms | each.above)
    weights = {term: math.log(1 + len(candidates) / counts[term]) for term in asked.terms if counts[term]}
    # What is in no sentence tells none of them from another, but the question asks for it all the same.
    usual = sum(weights.values()) / len(weights) if weights else 1.0
    whole = sum(weights.get(term, usual) for term in asked.terms) or 1.0
    wants_number = _wants_number(question)
    scored = []
    for each in candidates:
        held = sum(weights[t] * (1.0 if t in each.terms.terms else 0.5 * (t in each.above)) for t in weights)
        share = held / whole
        boost = _OF_NUMBERS if wants_number and each.terms.numbers - asked.numbers else 1.0
        score = boost * share / (1 + _FELL_BY_RANK * each.extract.passage)
        scored.append(replace(each, score=score, fits=share >= _LEAST))
    return _ranked(scored)


def _wants_number(question: str) -> bool:
    return question.casefold().lstrip().startswith(_ASKS_NUMBER) or any(sign in question for sign in _ASKS_NUMBER_JA)


async def _by_meaning(question: str, candidates: Sequence[_Candidate], closeness: Closeness) -> list[_Candidate]:
    if not candidates:
        return []
    cosines = await closeness(question, [_told(each) for each in candidates])
    return _ranked(
        [
            replace(each, score=each.score + _OF_MEANING * max(0.0, cosine), fits=each.fits or cosine >= _CLOSE)
            for each, cosine in zip(candidates, cosines, strict=True)
        ]
    )


def _told(candidate: _Candidate) -> str:
    """The sentence as the encoder reads it."""
    return f"{candidate.heading}: {candidate.extract.text}" if candidate.heading else candidate.extract.text


def _ranked(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    return sorted(candidates, key=lambda each: (-each.score, each.extract.passage, each.extract.place))


def _best(ranked: Sequence[_Candidate]) -> list[Extract]:
    chosen: dict[str, Extract] = {}
    for each in ranked:
        if each.score >= ranked[0].score * _OF_BEST and len(chosen) < MOST_SENTENCES:
            chosen.setdefault(each.extract.text, each.extract)
    return sorted(chosen.values(), key=lambda each: (each.passage, each.place))
