"""Content blocks of an answer in Converse's form, which is Nova's too: whole, and as events of a stream."""

from collections.abc import Sequence
from typing import Any

from outcrop.invocation.exchange import AnswerPiece, Finished

Event = dict[str, Any]


def blocks_of(finished: Finished) -> list[dict[str, Any]]:
    """The blocks of a whole answer: what was thought, what is said, and the calls of tools."""
    blocks: list[dict[str, Any]] = []
    if finished.reasoning:
        blocks.append({"reasoningContent": {"reasoningText": {"text": finished.reasoning}}})
    if finished.text or not (blocks or finished.tool_calls):
        blocks.append({"text": finished.text})
    calls = [{"toolUseId": call.id, "name": call.name, "input": dict(call.arguments)} for call in finished.tool_calls]
    return blocks + [{"toolUse": call} for call in calls]


def before_piece(piece: AnswerPiece) -> Sequence[Event]:
    """The events before a piece: the end of the block before its own, and the start of a call."""
    if not piece.opens:
        return ()
    events: list[Event] = [] if piece.block == 0 else [block_stop(piece.block - 1)]
    if piece.part == "tool":
        start = {"toolUse": {"toolUseId": piece.call_id, "name": piece.call_name}}
        events.append({"contentBlockStart": {"start": start, "contentBlockIndex": piece.block}})
    return events


def delta_of(piece: AnswerPiece) -> Event:
    """The event of one piece."""
    match piece.part:
        case "reasoning":
            delta: dict[str, Any] = {"reasoningContent": {"text": piece.text}}
        case "tool":
            delta = {"toolUse": {"input": piece.text}}
        case _:
            delta = {"text": piece.text}
    return {"contentBlockDelta": {"delta": delta, "contentBlockIndex": piece.block}}


def block_stop(number: int) -> Event:
    """The end of a block."""
    return {"contentBlockStop": {"contentBlockIndex": number}}
