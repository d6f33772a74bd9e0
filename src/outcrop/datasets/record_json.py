"""Records as lines of JSON, in forms that jobs take: what is read back says the same."""

import json

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
            value = {**system, "messages": [dict(turn) for turn in record.messages]}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def texts_of(record: Record) -> list[str]:
    """The texts of a record, part by part."""
    match record:
        case PromptCompletion():
            return [record.prompt, record.completion]
        case TextRecord():
            return [record.text]
        case Conversation():
            said = [_text(turn["content"]) for turn in record.messages]
            return said if record.system is None else [record.system, *said]


def _text(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
