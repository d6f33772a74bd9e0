"""The answers of an evaluation job: every record of every source, as it is and disturbed, asked side by side.

Each answer goes into the journal as soon as it is there. Turns of a conversation are asked one after the other, each
behind the answers before it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.errors import OutcropError, Refusal
from outcrop.evaluation.automated.robustness import disturbed
from outcrop.evaluation.jobs.asking import AskedModel, SaidText
from outcrop.evaluation.jobs.create_job import knowledge_params
from outcrop.evaluation.jobs.journal import AskedJournal
from outcrop.evaluation.jobs.plan import AnswerSource, EvaluatedDataset, SourceKind
from outcrop.evaluation.jobs.records import EvaluationRecord
from outcrop.evaluation.jobs.rooms import KnowledgeUnderRole
from outcrop.invocation.background.patience import patiently

MOST_IN_FLIGHT = 64
"""Questions of one job at a time: as many as an engine of ours computes side by side. They give way to live requests
there."""
MOST_ON_OTHERS = 8
"As long as a model on somebody else's server is asked."
_TICK_S = 0.25
ROBUSTNESS = "Builtin.Robustness"


@dataclass(frozen=True, kw_only=True)
class TurnAnswer:
    """The answer of a source to one question."""

    text: str | None = None
    "None where there is no answer: only passages were wanted, or there is an error."
    passages: tuple[Mapping[str, Any], ...] = ()
    "As Retrieve's results or citations' references tell them."
    citations: tuple[Mapping[str, Any], ...] = ()
    error: str | None = None
    num_input_tokens: int = 0
    num_output_tokens: int = 0

    @property
    def passage_texts(self) -> tuple[str, ...]:
        return tuple(str(each["content"]["text"]) for each in self.passages)


@dataclass(frozen=True, kw_only=True)
class AnswerKey:
    """The place of an answer in a job: source, data set, line, turn, and how the prompt was disturbed."""

    source: int
    dataset: int
    line: int
    turn: int = 0
    variant: str = ""

    def __str__(self) -> str:
        return f"answer:{self.source}:{self.dataset}:{self.line}:{self.turn}:{self.variant}"


def kept_answer(journal: AskedJournal, key: AnswerKey, source: AnswerSource, record: EvaluationRecord) -> TurnAnswer:
    """The answer that the journal has, or that the record brought along; the error of one that was never asked."""
    if source.kind.is_given:
        return _given(source, record, key.turn)
    found = journal.get(str(key))
    if found is None:
        return TurnAnswer(error="It was not asked: an earlier turn has no answer.")
    return TurnAnswer(
        text=found.get("text"),
        passages=tuple(found.get("passages", ())),
        citations=tuple(found.get("citations", ())),
        error=found.get("error"),
        num_input_tokens=found.get("inputTokens", 0),
        num_output_tokens=found.get("outputTokens", 0),
    )


def _given(source: AnswerSource, record: EvaluationRecord, turn: int) -> TurnAnswer:
    one = record.turns[turn]
    if source.kind is SourceKind.GIVEN:
        return TurnAnswer(text=one.given[source.identifier])
    assert one.output is not None, "records without an output were refused"
    passages = tuple({"content": {"text": text}} for text in one.output.passages)
    text = one.output.text if source.kind.has_answers else None
    return TurnAnswer(text=text, passages=passages, citations=one.output.citations)


class Answering:
    """The answers that one source has to give."""

    def __init__(
        self,
        number: int,
        source: AnswerSource,
        *,
        journal: AskedJournal,
        model: AskedModel | None,
        knowledge: KnowledgeUnderRole | None,
        models: Mapping[str, str],
        look: Callable[[], None],
    ) -> None:
        self._number = number
        self._source = source
        self._journal = journal
        self._model = model
        self._knowledge = knowledge
        self._models = models
        self._look = look

    def missing(
        self, datasets: Sequence[EvaluatedDataset], records: Sequence[Sequence[EvaluationRecord]]
    ) -> list[Callable[[], Awaitable[None]]]:
        """The questions that have no answer yet, each as what asks it."""
        if self._source.kind.is_given:
            return []
        found: list[Callable[[], Awaitable[None]]] = []
        for number, (dataset, ours) in enumerate(zip(datasets, records, strict=True)):
            for record in ours:
                found += self._of_record(number, dataset, record)
        return found

    def _of_record(
        self, dataset_number: int, dataset: EvaluatedDataset, record: EvaluationRecord
    ) -> list[Callable[[], Awaitable[None]]]:
        key = AnswerKey(source=self._number, dataset=dataset_number, line=record.line)
        if self._source.kind is not SourceKind.MODEL:
            last = AnswerKey(source=self._number, dataset=dataset_number, line=record.line, turn=len(record.turns) - 1)
            return [] if str(last) in self._journal else [lambda: self._converse(key, record)]
        variants: dict[str, str | None] = {"": None}
        if ROBUSTNESS in dataset.metrics:
            variants |= {each.kind: each.text for each in disturbed(record.turns[0].question)}
        return [
            self._asking(one, record, text)
            for variant, text in variants.items()
            if str(one := AnswerKey(source=key.source, dataset=key.dataset, line=key.line, variant=variant))
            not in self._journal
        ]

    def _asking(self, key: AnswerKey, record: EvaluationRecord, text: str | None) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            assert self._model is not None, "a source of this kind has a model"
            said = await self._model.say({**_messages(record, text), **self._source.params})
            self._journal.add(str(key), _entry(said))

        return ask

    async def _converse(self, first: AnswerKey, record: EvaluationRecord) -> None:
        """Ask a knowledge base about each turn in order; one without an answer ends the conversation."""
        turns: list[tuple[str, str]] = []
        for number, turn in enumerate(record.turns):
            key = str(AnswerKey(source=first.source, dataset=first.dataset, line=first.line, turn=number))
            found = self._journal.get(key)
            if found is None:
                found = self._journal.add(key, await self._asked_knowledge(turn.question, turns))
            if found.get("text") is None and self._source.kind.has_answers:
                for left in range(number + 1, len(record.turns)):
                    rest = AnswerKey(source=first.source, dataset=first.dataset, line=first.line, turn=left)
                    self._journal.add(str(rest), {"error": "It was not asked: an earlier turn has no answer."})
                return
            turns.append((turn.question, str(found.get("text") or "")))

    async def _asked_knowledge(self, question: str, turns: Sequence[tuple[str, str]]) -> dict[str, Any]:
        knowledge = self._knowledge
        assert knowledge is not None, "a source of this kind has a knowledge base"
        params = knowledge_params(self._source, question, self._models)

        async def ask() -> dict[str, Any]:
            if self._source.kind is SourceKind.RETRIEVE:
                return {"passages": await knowledge.retrieve(params)}
            said = await knowledge.retrieve_and_generate(params, turns)
            return {"text": said.text, "passages": said.passages, "citations": said.citations}

        async def again() -> None:
            self._look()

        found = await patiently(ask, again=again)
        return {"error": found.message} if isinstance(found, OutcropError) else found


async def side_by_side(
    work: Iterable[Callable[[], Awaitable[None]]],
    *,
    look: Callable[[], None],
    done: Callable[[], None],
    most: int = MOST_IN_FLIGHT,
) -> None:
    """Do many things, so many at a time; `done` is told of each. Raises what `look` or one of them raises."""
    running: set[asyncio.Task[None]] = set()
    waiting = iter(work)
    try:
        while True:
            look()
            while len(running) < most and (one := next(waiting, None)) is not None:
                running.add(asyncio.ensure_future(_done(one)))
            if not running:
                return
            ended, running = await asyncio.wait(running, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
                done()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _done(one: Callable[[], Awaitable[None]]) -> None:
    await one()


def _messages(record: EvaluationRecord, text: str | None) -> dict[str, Any]:
    """The members of a Converse request that ask a record's question; `text` stands in for its last words."""
    question = record.question
    assert question is not None, "a model is asked questions"
    *before, last = question.messages
    said = [*((str(turn["role"]), str(turn["content"])) for turn in before), ("user", text or str(last["content"]))]
    messages = [{"role": role, "content": [{"text": words}]} for role, words in said]
    return {"messages": messages, **({"system": [{"text": question.system}]} if question.system else {})}


def _entry(said: SaidText | OutcropError) -> dict[str, Any]:
    if isinstance(said, OutcropError):
        return {"error": said.message, "kind": "refused" if isinstance(said, Refusal) else "failed"}
    return {
        "text": said.text,
        "inputTokens": said.num_input_tokens,
        "outputTokens": said.num_output_tokens,
        "stopReason": said.stop_reason,
    }
