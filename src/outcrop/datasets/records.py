"""Records of a dataset in Bedrock's three forms: a prompt with its completion, a conversation, or a text."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Customization = Literal["FINE_TUNING", "CONTINUED_PRE_TRAINING"]


@dataclass(frozen=True, kw_only=True)
class PromptCompletion:
    """A prompt and what the model should write after it."""

    prompt: str
    completion: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Turns of user and assistant, beginning with the user and ending with the assistant."""

    system: str | None
    messages: tuple[Mapping[str, str], ...]
    "{'role': 'user' | 'assistant', 'content': text}, as chat templates read them."
    line: int


@dataclass(frozen=True, kw_only=True)
class TextRecord:
    """A document to be read from beginning to end."""

    text: str
    line: int


Record = PromptCompletion | Conversation | TextRecord
DIGEST_BYTES = 16


def digest(record: Record) -> bytes:
    """Equal for records that say the same, whatever the spelling of their JSON or their place in the file."""
    match record:
        case PromptCompletion():
            said: list[object] = ["pair", record.prompt, record.completion]
        case Conversation():
            said = ["chat", record.system, *[[turn["role"], turn["content"]] for turn in record.messages]]
        case TextRecord():
            said = ["text", record.text]
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=DIGEST_BYTES).digest()
