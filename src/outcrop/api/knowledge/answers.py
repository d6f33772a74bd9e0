"""RetrieveAndGenerate and its stream: a question in, an answer out, with the passages that each sentence stands on."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from outcrop.api.door import object_keys
from outcrop.api.door.call import Answer, Answered, Call, Handler, Streamed
from outcrop.api.knowledge.answering_model import answering_model, headers_of
from outcrop.api.knowledge.guarded_questions import guarded_question, guardrail_action, opened_guard
from outcrop.api.knowledge.searching import open_search
from outcrop.guardrails.applying import GuardedRequest
from outcrop.guardrails.assessment import GuardOutcome
from outcrop.guardrails.matching import FoundPlace, masked_place
from outcrop.knowledge import retrieving
from outcrop.knowledge.answering import answering, external
from outcrop.knowledge.answering.answering import AnswerItem, AnswerMode, AskedQuestion, PlannedAnswer, Retrieve
from outcrop.knowledge.answering.answering_model import AnsweringModel
from outcrop.knowledge.answering.citations import CitedPart, supported_share
from outcrop.knowledge.answering.closeness import Closeness, closeness_of
from outcrop.knowledge.answering.questioning import Questioned, Sources, read_question
from outcrop.knowledge.answering.settings import WritingSettings
from outcrop.knowledge.answering.talks import Talk, TalkScope, TalkTurn
from outcrop.knowledge.answering.writing import Tally, Writer, answer_limit
from outcrop.knowledge.passage_members import citation_of

if TYPE_CHECKING:
    from outcrop.house import House

SUPPORTED = "x-outcrop-supported"
"The header that tells the share of an answer's claims that a passage bears out; a stream has gone out before."


MOST_TOKENS = "x-outcrop-max-tokens"
"The header that tells how many tokens an answer that a model writes may have."


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """An answer that is planned, and the talk that it belongs to."""

    talk: Talk
    question: str
    model: AnsweringModel
    answer: PlannedAnswer
    custom: Mapping[str, bool]
    settings: WritingSettings
    guard: GuardedRequest | None = None

    @property
    def headers(self) -> dict[str, str]:
        target, mode = self.model.target, self.answer.mode
        told = headers_of(self.model, mode)
        if target is None or mode is not AnswerMode.GENERATIVE:
            return told
        return {**told, MOST_TOKENS: str(answer_limit(target, self.settings))}

    def citation(self, part: CitedPart) -> dict[str, Any]:
        return citation_of(part, self.answer.passages, self.custom)


async def retrieve_and_generate(house: "House", call: Call) -> Answered:
    begun = await _begin(house, call)
    text, parts = await _whole(begun)
    await _keep(house, begun, text)
    members = {
        "sessionId": begun.talk.id,
        "output": {"text": text},
        "citations": [begun.citation(part) for part in parts],
        "guardrailAction": guardrail_action(begun.guard),
    }
    return Answer(members, headers={**begun.headers, SUPPORTED: f"{supported_share(parts):.2f}"})


async def _whole(begun: _Begun) -> tuple[str, list[CitedPart]]:
    """The answer and its parts, as its guardrail lets them through; a message in its place cites nothing."""
    texts, parts = list[str](), list[CitedPart]()
    async with aclosing(begun.answer.items(False)) as items:
        async for item in items:
            if isinstance(item, CitedPart):
                parts.append(item)
            else:
                texts.append(item)
    text = "".join(texts)
    if begun.guard is None or begun.guard.instead is not None:
        return text, parts
    assessed = await begun.guard.take_output(text, [passage.text for passage in begun.answer.passages])
    (shown,) = assessed.outputs
    if assessed.outcome is GuardOutcome.BLOCKED:
        return shown, []
    return shown, [_masked_part(part, shown, list(assessed.assessment.places)) for part in parts]


def _masked_part(part: CitedPart, shown: str, places: list[FoundPlace]) -> CitedPart:
    """A part as it stands in the masked answer."""
    start, end = masked_place(places, part.start), masked_place(places, part.start + len(part.text))
    return replace(part, text=shown[start:end], start=start)


async def retrieve_and_generate_stream(house: "House", call: Call) -> Answered:
    begun = await _begin(house, call)
    return Streamed({"sessionId": begun.talk.id}, events=_events(house, begun), headers=begun.headers)


async def _events(house: "House", begun: _Begun) -> AsyncGenerator[dict[str, Any], None]:
    """Text as it is made, and behind each sentence its citation, also in the member that older clients read.

    An answer with a guardrail is shown when it is whole: it is held against the passages as a whole.
    """
    if begun.guard is not None:
        text, parts = await _whole(begun)
        await _keep(house, begun, text)
        yield {"output": {"text": text}}
        for part in parts:
            citation = begun.citation(part)
            yield {"citation": {"citation": citation, **citation}}
        yield {"guardrail": {"action": guardrail_action(begun.guard)}}
        return
    texts = list[str]()
    async with aclosing(begun.answer.items(True)) as items:
        async for item in items:
            if isinstance(item, CitedPart):
                citation = begun.citation(item)
                yield {"citation": {"citation": citation, **citation}}
            else:
                texts.append(item)
                yield {"output": {"text": item}}
    await _keep(house, begun, "".join(texts))


async def _begin(house: "House", call: Call) -> _Begun:
    asked = read_question(call.params)
    scope = TalkScope(owner=call.caller.principal, region=call.region, subject=asked.subject)
    talk = await house.ask(_resumed, house, call.params.get("sessionId"), scope)
    model = await to_thread.run_sync(answering_model, house, call, asked.model_arn, asked.settings.answering)
    guard = await opened_guard(house, call, asked.guardrail)
    if guard is not None:
        asked = replace(asked, text=await guarded_question(guard, asked.text))
        if guard.instead is not None:
            message = guard.instead.text
            return _Begun(
                talk=talk,
                question=asked.text,
                model=model,
                answer=PlannedAnswer(mode=AnswerMode.EXTRACTIVE, passages=(), items=lambda _: _message(message)),
                custom={},
                settings=asked.settings,
                guard=guard,
            )
    async with _opened(house, call, asked) as opened:
        answer = await answering.plan(_question(house, call, asked, talk, model, opened))
    return _Begun(
        talk=talk,
        question=asked.text,
        model=model,
        answer=answer,
        custom=opened.custom,
        settings=asked.settings,
        guard=guard,
    )


async def _message(text: str) -> AsyncGenerator[AnswerItem, None]:
    yield text


def _resumed(house: "House", talk_id: str | None, scope: TalkScope) -> Talk:
    return house.talks.resume(talk_id, scope, now=house.clock.now())


async def _keep(house: "House", begun: _Begun, text: str) -> None:
    if begun.guard is not None and begun.guard.instead is not None:
        return  # what was blocked is no turn of a talk, where the model would see it again
    turn = TalkTurn(question=begun.question, answer=text)
    await to_thread.run_sync(lambda: house.talks.add(begun.talk, turn, now=house.clock.now()))


@dataclass(frozen=True, kw_only=True)
class _OpenPassages:
    """The passages that are asked, while an answer is planned."""

    retrieve: Retrieve
    custom: Mapping[str, bool]
    closeness: Closeness | None = None


@asynccontextmanager
async def _opened(house: "House", call: Call, asked: Questioned) -> AsyncGenerator[_OpenPassages, None]:
    """The search of the knowledge base, or of the documents that the request brings."""
    if isinstance(asked.sources, Sources):
        at = house.clock.now().timestamp()
        with ExitStack() as stack:
            check = partial(object_keys.check_read, house, call)
            reading = external.opened(house.buckets, asked.sources.documents, at=at, check=check)
            passages = await to_thread.run_sync(stack.enter_context, reading)
            yield _OpenPassages(retrieve=passages.search, custom=asked.sources.custom)
        return
    opened = await to_thread.run_sync(open_search, house, call, asked.sources, asked.retrieval.reranking)
    yield _OpenPassages(
        retrieve=lambda question: retrieving.retrieve(opened.search, question, asked.retrieval),
        custom=opened.custom,
        closeness=closeness_of(opened.search.encoder),
    )


def _question(
    house: "House", call: Call, asked: Questioned, talk: Talk, model: AnsweringModel, opened: _OpenPassages
) -> AskedQuestion:
    tally = Tally(call.usage.count)
    return AskedQuestion(
        text=asked.text,
        retrieve=opened.retrieve,
        most=asked.retrieval.most,
        writer=None if model.target is None else Writer(target=model.target, now=house.clock.now, tally=tally),
        now=house.clock.now(),
        turns=talk.turns,
        template=asked.template,
        settings=asked.settings,
        orchestration=asked.orchestration,
        closeness=opened.closeness,
    )


OPERATIONS: dict[str, Handler] = {
    "RetrieveAndGenerate": retrieve_and_generate,
    "RetrieveAndGenerateStream": retrieve_and_generate_stream,
}
