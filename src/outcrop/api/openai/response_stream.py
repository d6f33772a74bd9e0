"""The events of a response that streams: each block of the answer is an item, opened, added to and closed.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from outcrop.api.openai import response_items
from outcrop.invocation.dialects.openai import logprob_of
from outcrop.invocation.exchange import AnswerPiece, Finished
from outcrop.invocation.text_logprobs import TextLogprob

Event = dict[str, Any]
_PREFIXES = {"text": "msg", "reasoning": "rs", "tool": "fc"}


@dataclass
class _OpenItem:
    """An item that is being written."""

    part: str
    index: int
    "Its place in the output."
    id: str
    call_id: str = ""
    call_name: str = ""
    text: str = ""
    logprobs: list[TextLogprob] = field(default_factory=list)

    @property
    def place(self) -> Event:
        """The members of every event about it."""
        where = {"item_id": self.id, "output_index": self.index}
        return where if self.part == "tool" else {**where, "content_index": 0}


class ResponseEvents:
    """Events of one response, numbered; `output` is what its items have come to."""

    def __init__(self, *, tells_logprobs: bool) -> None:
        self.output: list[Event] = []
        self._tells_logprobs = tells_logprobs
        self._number = 0
        self._block: _OpenItem | None = None
        self._block_number: int | None = None

    def begin(self, response: Mapping[str, Any]) -> Iterator[Event]:
        yield self._event("response.created", response=dict(response))
        yield self._event("response.in_progress", response=dict(response))

    def add(self, piece: AnswerPiece) -> Iterator[Event]:
        """The events of a piece of the answer."""
        if self._block is None or piece.block != self._block_number:
            yield from self._close()
            self._block_number = piece.block
            yield from self._open(piece.part, piece.call_id, piece.call_name)
        block = self._block
        assert block is not None, "a piece belongs to a block"
        block.text += piece.text
        block.logprobs += piece.logprobs if self._tells_logprobs else ()
        if not piece.text:
            return
        if block.part == "text":
            told = [logprob_of(one) for one in piece.logprobs] if self._tells_logprobs else []
            yield self._event("response.output_text.delta", **block.place, delta=piece.text, logprobs=told)
        elif block.part == "reasoning":
            yield self._event("response.reasoning_text.delta", **block.place, delta=piece.text)
        else:
            yield self._event("response.function_call_arguments.delta", **block.place, delta=piece.text)

    def end(self, finished: Finished) -> Iterator[Event]:
        """The events that close what is open; an answer without any word is an empty message."""
        if self._block is None and not self.output and not finished.tool_calls:
            yield from self._open("text", "", "")
        yield from self._close()

    def finish(self, kind: str, response: Mapping[str, Any]) -> Event:
        """The last event: `response.completed` or `response.incomplete`."""
        return self._event(kind, response=dict(response))

    def _open(self, part: str, call_id: str, call_name: str) -> Iterator[Event]:
        item_id = response_items.new_id(_PREFIXES[part])
        block = _OpenItem(part=part, index=len(self.output), id=item_id, call_id=call_id, call_name=call_name)
        self._block = block
        begun = {**_item(block), "status": "in_progress"}
        if part == "tool":
            begun["arguments"] = ""
        else:
            begun["content"] = []
        yield self._event("response.output_item.added", output_index=block.index, item=begun)
        if part != "tool":
            yield self._event("response.content_part.added", **block.place, part=_part(block))

    def _close(self) -> Iterator[Event]:
        block, self._block = self._block, None
        if block is None:
            return
        item = _item(block)
        if block.part == "tool":
            done = {"name": block.call_name, "arguments": item["arguments"]}
            yield self._event("response.function_call_arguments.done", **block.place, **done)
        elif block.part == "reasoning":
            yield self._event("response.reasoning_text.done", **block.place, text=block.text)
            yield self._event("response.content_part.done", **block.place, part=_part(block))
        else:
            part = _part(block)
            done = {"text": block.text, "logprobs": part["logprobs"]}
            yield self._event("response.output_text.done", **block.place, **done)
            yield self._event("response.content_part.done", **block.place, part=part)
        self.output.append(item)
        yield self._event("response.output_item.done", output_index=block.index, item=item)

    def _event(self, kind: str, **members: Any) -> Event:
        event = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        return event


def _part(block: _OpenItem) -> Event:
    if block.part == "reasoning":
        return {"type": "reasoning_text", "text": block.text}
    return response_items.text_part(block.text, block.logprobs)


def _item(block: _OpenItem) -> Event:
    return _ITEMS[block.part](block)


def _call_item(block: _OpenItem) -> Event:
    return {
        "id": block.id,
        "type": "function_call",
        "status": "completed",
        "call_id": block.call_id,
        "name": block.call_name,
        "arguments": block.text,
    }


_ITEMS: dict[str, Callable[[_OpenItem], Event]] = {
    "text": lambda block: response_items.message_item(block.id, block.text, block.logprobs),
    "reasoning": lambda block: response_items.reasoning_item(block.id, block.text),
    "tool": _call_item,
}
