"""Contextual grounding: how far an answer stands on its source, and how far it is about the question.

The check is that of citations (`knowledge/answering/citations.py`): each claim of the answer is held against the
sentences of the source by its terms, numbers and denials, and where the words differ, an encoder may be asked.
"""

from collections.abc import Sequence
from typing import NamedTuple

from outcrop.documents.sentences import sentences_of
from outcrop.guardrails.models import Closeness
from outcrop.knowledge.answering.citations import Evidence
from outcrop.knowledge.answering.sentences import AnswerSentence
from outcrop.knowledge.passages import DocumentKey, Found, Passage


class GroundingScores(NamedTuple):
    """Scores from 0 to 1."""

    grounding: float
    "The mean support of the answer's claims; 1 for an answer that claims nothing."
    relevance: float
    "How much of the question the answer speaks of, or the source where it speaks of the same."


async def scores_of(answer: str, sources: Sequence[str], query: str, encoder: Closeness | None) -> GroundingScores:
    """The scores of an answer."""
    passages = [_passage(number, text) for number, text in enumerate(sources)]
    evidence = Evidence(passages, query, None if encoder is None else encoder.cosines)
    sentences = [AnswerSentence(text=text, start=0) for text in sentences_of(answer) if text.strip()]
    supports = [support for support in [await evidence.support(each) for each in sentences] if support is not None]
    relevance = evidence.relevance(each.text for each in sentences)
    if encoder is not None and query and answer.strip():
        (cosine,) = await encoder.cosines(answer, [query])
        relevance = max(relevance, min(1.0, cosine))
    return GroundingScores(sum(supports) / len(supports) if supports else 1.0, max(0.0, relevance))


def _passage(number: int, text: str) -> Found:
    passage = Passage(chunk_id=str(number), text=text, start=0, end=len(text))
    return Found(document=DocumentKey("", str(number)), passage=passage, text=text, metadata={}, score=0.0)
