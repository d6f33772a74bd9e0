"""Answers to questions from passages: what is retrieved, who writes, and the answer with its citations as it is made.

    answer = await plan(asked)                      # retrieves, and fits the passages into the prompt
    async for item in answer.items(True):           # text as it is made; behind each sentence, what it stands on
        ...

A question is made to stand alone and divided first, where the talk or the request wants it. Where nothing is found, the
answer is Bedrock's own sentence.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain, zip_longest

from anyio import to_thread

from outcrop.knowledge.answering import extractive, questions
from outcrop.knowledge.answering.citations import CitedPart, Evidence
from outcrop.knowledge.answering.closeness import Closeness
from outcrop.knowledge.answering.extractive import Extract
from outcrop.knowledge.answering.sentences import AnswerReader, AnswerSentence
from outcrop.knowledge.answering.settings import WritingSettings
from outcrop.knowledge.answering.talks import TalkTurn, history_of
from outcrop.knowledge.answering.templates import CITING, GENERATION, Placeholder, PromptTemplate
from outcrop.knowledge.answering.writing import Writer
from outcrop.knowledge.passages import Found

_USUAL = WritingSettings()
NOTHING_FOUND = "Sorry, I am unable to assist you with this request."
"In Bedrock's words."

Retrieve = Callable[[str], Awaitable[Sequence[Found]]]
AnswerItem = str | CitedPart
"Some more text of an answer, or a part of it that is complete."


class AnswerMode(StrEnum):
    """The writer of an answer."""

    GENERATIVE = "generative"
    EXTRACTIVE = "extractive"
    "Nobody: sentences of the passages are the answer."


@dataclass(frozen=True, kw_only=True)
class Orchestration:
    """How a question is made ready for the search."""

    template: PromptTemplate | None = None
    "Of the request's own; None: the usual one, for questions within a talk."
    settings: WritingSettings = _USUAL
    decomposes: bool = False


@dataclass(frozen=True, kw_only=True)
class AskedQuestion:
    """A question with everything that its answer is made by."""

    text: str
    retrieve: Retrieve
    most: int
    "Passages in all, of a question that is divided too."
    writer: Writer | None
    "None: the answer is extractive."
    now: datetime
    turns: tuple[TalkTurn, ...] = ()
    template: PromptTemplate = field(default_factory=lambda: PromptTemplate(text=GENERATION))
    settings: WritingSettings = _USUAL
    orchestration: Orchestration = field(default_factory=Orchestration)
    closeness: Closeness | None = None
    "An encoder's opinion of sentences whose words differ."


@dataclass(frozen=True, kw_only=True)
class PlannedAnswer:
    """An answer before its first word."""

    mode: AnswerMode
    passages: tuple[Found, ...]
    "Those that the answer is made from, by which its citations count."
    items: Callable[[bool], AsyncGenerator[AnswerItem, None]]
    """The answer, as it is made if that is wanted; one that is wanted whole survives the death of an engine. All parts
    in a row are its text."""


async def plan(asked: AskedQuestion) -> PlannedAnswer:
    """Retrieve for a question, and decide how it is answered. Raises what retrieval and the model raise."""
    parts = await _searched(asked)
    found = _merged([await asked.retrieve(part) for part in parts], asked.most)
    if not found:
        mode = AnswerMode.EXTRACTIVE if asked.writer is None else AnswerMode.GENERATIVE
        return PlannedAnswer(mode=mode, passages=(), items=_nothing_found)
    if asked.writer is None:
        return await _extracted(asked, parts, found)
    return await _generated(asked, asked.writer, parts, found)


async def _searched(asked: AskedQuestion) -> list[str]:
    """The questions that are searched for."""
    orchestration, writer = asked.orchestration, asked.writer
    if writer is None:
        standing = questions.leaning(asked.text, asked.turns)
        return questions.divided(standing) if orchestration.decomposes else [standing]
    standing = asked.text
    if asked.turns or orchestration.template is not None:
        standing = await questions.rewritten(
            asked.text,
            asked.turns,
            writer=writer,
            template=orchestration.template,
            settings=orchestration.settings,
            now=asked.now,
        )
    if not orchestration.decomposes:
        return [standing]
    return await questions.decomposed(standing, writer=writer, settings=orchestration.settings)


def _merged(several: Sequence[Sequence[Found]], most: int) -> list[Found]:
    """The passages of all questions by rank, each once."""
    unique: dict[str, Found] = {}
    for found in chain.from_iterable(zip_longest(*several)):
        if found is not None:
            unique.setdefault(found.passage.chunk_id, found)
    return [*unique.values()][:most]


async def _nothing_found(_streamed: bool = False) -> AsyncGenerator[AnswerItem, None]:
    yield NOTHING_FOUND
    yield CitedPart(text=NOTHING_FOUND, start=0, is_claim=False)


async def _extracted(asked: AskedQuestion, parts: Sequence[str], found: Sequence[Found]) -> PlannedAnswer:
    """The answer in sentences of the passages; what was searched for stands in where the question alone finds none."""
    own = questions.divided(asked.text) if asked.orchestration.decomposes else [asked.text]
    extracts = await _extracts(own, found, asked.closeness) or await _extracts(parts, found, asked.closeness)

    async def items(_streamed: bool) -> AsyncGenerator[AnswerItem, None]:
        start = 0
        for extract, text in zip(extracts, extractive.joined(extracts), strict=True):
            yield text
            yield CitedPart(text=text, start=start, cited=(extract.passage,))
            start += len(text)

    return PlannedAnswer(mode=AnswerMode.EXTRACTIVE, passages=tuple(found), items=items if extracts else _nothing_found)


async def _extracts(parts: Sequence[str], found: Sequence[Found], closeness: Closeness | None) -> list[Extract]:
    """The sentences that speak of these questions, each once."""
    several = [await extractive.extracts_of(part, found, closeness) for part in parts]
    return [*dict.fromkeys(extract for each in several for extract in each)]


async def _generated(
    asked: AskedQuestion, writer: Writer, parts: Sequence[str], found: Sequence[Found]
) -> PlannedAnswer:
    """The answer that a model writes from as many passages as it can read; extracts, where that is none."""
    question = parts[0] if len(parts) == 1 else asked.text
    shown = await writer.fit(lambda results: _prompt(asked, question, results), found, asked.turns, asked.settings)
    if not shown.passages:
        return await _extracted(asked, parts, found)
    passages = tuple(one for one, _ in shown.passages)
    prompt = _prompt(asked, question, shown.told)

    async def items(streamed: bool) -> AsyncGenerator[AnswerItem, None]:
        evidence = await to_thread.run_sync(Evidence, passages, question, asked.closeness)
        cites = asked.template.has(Placeholder.OUTPUT_FORMAT_INSTRUCTIONS)
        reader = AnswerReader(len(passages) if cites else 0)
        said = False
        write = writer.pieces if streamed else writer.whole
        async with aclosing(write(prompt, shown.turns, asked.settings)) as pieces:
            async for piece in pieces:
                text, sentences = reader.push(piece)
                said = said or bool(text)
                async for item in _told(text, sentences, evidence):
                    yield item
        text, sentences = reader.finish()
        async for item in _told(text, sentences, evidence) if said or text else _nothing_found():
            yield item

    return PlannedAnswer(mode=AnswerMode.GENERATIVE, passages=passages, items=items)


async def _told(text: str, sentences: Sequence[AnswerSentence], evidence: Evidence) -> AsyncGenerator[AnswerItem, None]:
    if text:
        yield text
    for sentence in sentences:
        yield await evidence.cite(sentence)


def _prompt(asked: AskedQuestion, question: str, results: str) -> str:
    """The prompt with these search results; the question stands at its end where the template has no place for it."""
    values = {
        Placeholder.QUERY: question,
        Placeholder.SEARCH_RESULTS: results,
        Placeholder.OUTPUT_FORMAT_INSTRUCTIONS: CITING,
        Placeholder.CURRENT_TIME: asked.now.isoformat(timespec="seconds"),
        Placeholder.CONVERSATION_HISTORY: history_of(asked.turns),
    }
    filled = asked.template.filled(values)
    return filled if asked.template.has(Placeholder.QUERY) else f"{filled}\n\n{question}"
