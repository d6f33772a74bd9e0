"""Answers of up to four models to the same prompt, in one stream of JSON lines while they are made.

    {"model": 0, "text": "The"}            a piece of an answer
    {"model": 0, "tokens": [...]}          the same with the probability of each token, where that was asked for
    {"model": 0, "citation": [...]}        passages on which the sentence before stands
    {"model": 0, "end": {...}}             its end: tokens, first-token time, tokens/s, and what it is beside text
    {"model": 1, "problem": "…"}           why there is none

A browser that leaves ends them all: the streams are closed, and with them the generations.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from outcrop.console.pages.knowledge import address_of
from outcrop.console.pages.scores import tune_address
from outcrop.console.views.answer_kinds import told_morae, tune_in, verse_in
from outcrop.console.views.conversation_view import AskedAnswers, asked_answers
from outcrop.console.views.token_view import SpelledPieces
from outcrop.console.visit import ConsoleVisit

_MOST_BYTES = 1 << 20
_METRICS = "amazon-bedrock-invocationMetrics"
_ANSWERING = "x-outcrop-answering"
"Tells whether the model wrote, or the sentences of the passages are the answer."
_Line = dict[str, Any]


async def answers(visit: ConsoleVisit) -> Response:
    """A stream of the answers that the posted JSON asks for."""
    body = await visit.request.body()
    try:
        asked = asked_answers(json.loads(body[: _MOST_BYTES + 1]))
    except ValueError as problem:
        return PlainTextResponse(f"{problem}\n", 400)
    return StreamingResponse(_lines(visit, asked), media_type="application/x-ndjson")


async def _lines(visit: ConsoleVisit, asked: AskedAnswers) -> AsyncIterator[str]:
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[_Line | None]()
    service = "bedrock-agent-runtime" if asked.knowledge_base else "bedrock-runtime"
    runtime = await to_thread.run_sync(visit.api.client, service)
    open_streams: list[Any] = []

    def put(line: _Line | None) -> None:
        with suppress(RuntimeError):  # the loop ended, and nobody listens
            loop.call_soon_threadsafe(lines.put_nowait, line)

    tasks = [
        asyncio.ensure_future(asyncio.to_thread(_answer, visit, runtime, asked, number, put, open_streams))
        for number in range(len(asked.models))
    ]
    left = len(tasks)
    try:
        while left:
            line = await lines.get()
            if line is None:
                left -= 1
            else:
                yield json.dumps(line, ensure_ascii=False) + "\n"
    finally:
        for stream in open_streams:
            with suppress(Exception):  # it may be read at this moment, and then ends with an error of its own
                stream.close()


def _answer(
    visit: ConsoleVisit,
    runtime: Any,
    asked: AskedAnswers,
    number: int,
    put: Callable[[_Line | None], None],
    open_streams: list[Any],
) -> None:
    began, first, texts, tokens, ways = time.monotonic(), 0.0, list[str](), None, dict[str, str]()
    try:
        for line in _said(visit, runtime, asked, number, open_streams):
            if "usage" in line:
                tokens = line["usage"]
                continue
            if "answering" in line:
                ways = {"answering": line["answering"]}
                continue
            texts += [line.get("text", "")] + [each["text"] for each in line.get("tokens", ())]
            if not first and texts[-1]:
                first = time.monotonic() - began
            put({"model": number, **line})
        took, text = time.monotonic() - began, "".join(texts)
        rate = (tokens - 1) / (took - first) if tokens and tokens > 1 and took > first else 0
        end = {"tokens": tokens, "first_s": round(first or took, 3), "rate": round(rate, 1), "took_s": round(took, 2)}
        put({"model": number, "end": end | ways | _beside(visit, text)})
    except ClientError as error:
        message = error.response["Error"]["Message"]
        # Bodies of Amazon's, Anthropic's and others' ids know no such field; the API names it.
        unknown = asked.probabilities and "logprobs" in message
        put({"model": number, "problem": visit.said("playground.no_probabilities") if unknown else message})
    except (BotoCoreError, OSError, ValueError) as error:
        put({"model": number, "problem": str(error)})
    finally:
        put(None)


def _said(
    visit: ConsoleVisit, runtime: Any, asked: AskedAnswers, number: int, open_streams: list[Any]
) -> Iterator[_Line]:
    """The parts of one answer: texts, tokens, citations, the talk they belong to, and how many tokens there were."""
    if asked.knowledge_base:
        answer = runtime.retrieve_and_generate_stream(**asked.grounded_request(number, visit.api.region))
        open_streams.append(answer["stream"])
        yield {"answering": answer["ResponseMetadata"]["HTTPHeaders"].get(_ANSWERING, "")}
        yield {"session": answer["sessionId"]}
        yield from _grounded(visit, asked.knowledge_base, answer["stream"])
    elif asked.probabilities:
        answer = runtime.invoke_model_with_response_stream(**asked.spelled_request(number))
        open_streams.append(answer["body"])
        yield from _spelled(answer["body"])
    else:
        answer = runtime.converse_stream(**asked.request(number))
        open_streams.append(answer["stream"])
        for event in answer["stream"]:
            text = event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
            if text:
                yield {"text": text}
            if "metadata" in event:
                yield {"usage": event["metadata"]["usage"]["outputTokens"]}


def _grounded(visit: ConsoleVisit, knowledge_base: str, stream: Any) -> Iterator[_Line]:
    for event in stream:
        if event.get("output", {}).get("text"):
            yield {"text": event["output"]["text"]}
        references = event.get("citation", {}).get("citation", {}).get("retrievedReferences", ())
        if references:
            yield {"citation": [address_of(visit, knowledge_base, each) for each in references]}


def _spelled(stream: Any) -> Iterator[_Line]:
    pieces = SpelledPieces()
    for event in stream:
        chunk = json.loads(event["chunk"]["bytes"])
        for choice in chunk.get("choices", ()):
            found = pieces.take((choice.get("logprobs") or {}).get("content") or ())
            if found:
                yield {"tokens": found}
        if _METRICS in chunk:
            yield {"usage": chunk[_METRICS]["outputTokenCount"]}
    if rest := pieces.rest():
        yield {"tokens": rest}


def _beside(visit: ConsoleVisit, text: str) -> _Line:
    """The members of an end that tell of a tune, to look at and to hear, or a verse."""
    tune, verse = tune_in(text), verse_in(text)
    found: _Line = {} if tune is None else {"tune": tune_address(visit, tune)}
    return found | ({"morae": told_morae(verse)} if verse else {})
