"""Questions made ready for the search: one that leans on the talk stands alone, a compound one is divided.

A model that writes does both where there is one. Without it, a question that leans is searched together with the one
before it, and a compound question is divided where it asks again.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from outcrop.knowledge.answering.settings import WritingSettings
from outcrop.knowledge.answering.talks import TalkTurn, history_of
from outcrop.knowledge.answering.templates import (
    DECOMPOSITION,
    ONLY_QUESTION,
    REWRITING,
    Placeholder,
    PromptTemplate,
)
from outcrop.knowledge.answering.terms import count_words, terms_of
from outcrop.knowledge.answering.writing import Writer

MOST_PARTS = 5
_LONGEST = 1000
"Characters of a question that a model has written."
_TOKENS = 256
"Of a question, or of several, that a model writes."
_LEANING = re.compile(
    r"\b(?:it|its|they|them|their|that|those|this|these|there|he|she|him|her|his|same|another|other|else|elsewhere|"
    r"equivalent|also|too|instead|former|latter|such)\b|それ|その|これ|この|あれ|あの|ここ|そこ|彼|同じ|ほか|他に",
    re.IGNORECASE,
)
_FEW = 3
"Content words with which a question hardly stands alone."
_ASKS_AGAIN = re.compile(
    r"(?<=[?？])\s*|[;；]\s+|,?\s+(?:and|or)\s+(?=(?:what|who|whom|whose|when|where|which|why|how|does|do|is|are|may|"
    r"must|can)\b)",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):])\s*")
_SPEAKER = re.compile(r"^\s*(?:(?:standalone |rewritten )?question|query|質問)\s*[:：]\s*", re.IGNORECASE)


def leaning(question: str, turns: Sequence[TalkTurn]) -> str:
    """The words to search with for a question: with those of the question before it, where it leans on that."""
    if not turns or not (_LEANING.search(question) or count_words(question) < _FEW):
        return question
    return f"{turns[-1].question}\n{question}"


def divided(question: str) -> list[str]:
    """The parts of a compound question; the question itself where it is simple."""
    parts = [part.strip() for part in _ASKS_AGAIN.split(question) if count_words(part)]
    return parts[:MOST_PARTS] if len(parts) > 1 else [question]


async def rewritten(
    question: str,
    turns: Sequence[TalkTurn],
    *,
    writer: Writer,
    template: PromptTemplate | None,
    settings: WritingSettings,
    now: datetime,
) -> str:
    """The question as a model writes it to stand alone; where that is about something else, as it leans.

    `template`: the request's own; None: the usual one.
    """
    template = template or PromptTemplate(text=REWRITING)
    values = {
        Placeholder.QUERY: question,
        Placeholder.CONVERSATION_HISTORY: history_of(turns),
        Placeholder.OUTPUT_FORMAT_INSTRUCTIONS: ONLY_QUESTION,
        Placeholder.CURRENT_TIME: now.isoformat(timespec="seconds"),
    }
    prompt = template.filled(values)
    if not template.has(Placeholder.CONVERSATION_HISTORY) and turns:
        prompt = f"{history_of(turns)}\n\n{prompt}"
    if not template.has(Placeholder.QUERY):
        prompt = f"{prompt}\n\n{question}"
    told = await writer.text(prompt, _short(settings))
    line = next((_cleaned(each) for each in told.splitlines() if _cleaned(each)), "")
    known = terms_of(" ".join([question, *(f"{turn.question} {turn.answer}" for turn in turns)])).terms
    new = terms_of(line).terms
    # A small model may answer, or wander off: what shares little with the talk is not the question.
    is_same = bool(new) and len(new & known) * 2 >= len(new)
    return line if is_same and len(line) <= _LONGEST else leaning(question, turns)


async def decomposed(question: str, *, writer: Writer, settings: WritingSettings) -> list[str]:
    """The parts of a compound question as a model divides it; as its words do, where the model does not."""
    prompt = PromptTemplate(text=DECOMPOSITION).filled({Placeholder.QUERY: question})
    told = await writer.text(prompt, _short(settings))
    asked = terms_of(question).terms
    lines = dict.fromkeys(_cleaned(line) for line in told.splitlines())
    parts = [line for line in lines if line and len(line) <= _LONGEST and terms_of(line).terms & asked]
    return parts[:MOST_PARTS] or divided(question)


def _short(settings: WritingSettings) -> WritingSettings:
    return WritingSettings(
        inference=settings.inference,
        additional=settings.additional,
        max_tokens=min(settings.max_tokens or _TOKENS, _TOKENS),
    )


def _cleaned(line: str) -> str:
    return _SPEAKER.sub("", _ITEM.sub("", line)).strip().strip('"“”「」').strip()
