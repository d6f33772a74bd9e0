"""Records of a dataset in Bedrock's three forms: a prompt with its completion, a conversation, or a text."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Customization = Literal["FINE_TUNING", "CONTINUED_PRE_TRAINING"]


@dataclass(frozen=True, kw_only=True)
class PromptCompletion:
    """A prompt and what the model should write after it."""

    prompt: str
    completion: str
    line: int
    file: int = 0
    "Index of the file, where a dataset has several."


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Turns of user and assistant, beginning with the user and ending with the assistant."""

    system: str | None
    messages: tuple[Mapping[str, Any], ...]
    "{'role': 'user' | 'assistant', 'content': text}, as chat templates read them; with tools their calls and results."
    line: int
    tools: tuple[Mapping[str, Any], ...] = ()
    "As OpenAI's files and chat templates have them."
    file: int = 0


@dataclass(frozen=True, kw_only=True)
class TextRecord:
    """A document to be read from beginning to end."""

    text: str
    line: int
    file: int = 0


Record = PromptCompletion | Conversation | TextRecord
DIGEST_BYTES = 16


def digest(record: Record) -> bytes:
    """Equal for records that say the same, whatever the spelling of their JSON or their place in the file."""
    match record:
        case PromptCompletion():
            said: list[object] = ["pair", record.prompt, record.completion]
        case Conversation():
            said = [
                "chat",
                record.system,
                *map(_said, record.messages),
                *([list(record.tools)] if record.tools else []),
            ]
        case TextRecord():
            said = ["text", record.text]
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=DIGEST_BYTES).digest()


def _said(turn: Mapping[str, Any]) -> list[object]:
    more = {key: inside for key, inside in turn.items() if key not in ("role", "content")}
    return [turn["role"], turn["content"], *([more] if more else [])]
