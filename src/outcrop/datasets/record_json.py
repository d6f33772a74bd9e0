"""Records as lines of JSON, in forms that jobs take: what is read back says the same."""

import json
from collections.abc import Mapping
from typing import Any

from outcrop.datasets.records import Conversation, PromptCompletion, Record, TextRecord


def to_line(record: Record) -> bytes:
    """The record as a line of a dataset, its line break included."""
    match record:
        case PromptCompletion():
            value: dict[str, object] = {"prompt": record.prompt, "completion": record.completion}
        case TextRecord():
            value = {"input": record.text}
        case Conversation():
            system = {} if record.system is None else {"system": record.system}
            tools = {"tools": list(record.tools)} if record.tools else {}
            value = {**tools, **system, "messages": [dict(turn) for turn in record.messages]}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def texts_of(record: Record) -> list[str]:
    """The texts of a record, part by part."""
    match record:
        case PromptCompletion():
            return [record.prompt, record.completion]
        case TextRecord():
            return [record.text]
        case Conversation():
            said = [text for turn in record.messages for text in _said(turn)]
            return said if record.system is None else [record.system, *said]


def _said(turn: Mapping[str, Any]) -> list[str]:
    calls = turn.get("tool_calls")
    return [turn["content"] or "", *([json.dumps(calls, ensure_ascii=False)] if calls else [])]
