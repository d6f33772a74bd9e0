"""Endpoints of OpenAI's API as values: where each is, what of AWS it stands for, and its handler.

Every request becomes a call of an operation of AWS, as whose it is authorized, counted and audited: a chat completion
is an InvokeModel, an uploaded file a PutObject, a fine-tuning job a CreateModelCustomizationJob.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote

from outcrop.access.caller import Caller
from outcrop.api.door.call import Handler
from outcrop.house import House

BODY, LABEL, QUERY = "openai-body", "openai-label", "openai-query"
"Where a call keeps, beside the members of its operation, what OpenAI's request holds."
CONTENT = "openai-content"
"The one member of an answer that is bytes rather than JSON."


class Takes(Enum):
    """The kind of body that a request has."""

    NOTHING = auto()
    JSON = auto()
    FORM = auto()
    "multipart/form-data, which streams into the handler."


@dataclass(frozen=True, kw_only=True)
class EndpointRequest:
    """A request of OpenAI's form, read but not understood."""

    caller: Caller
    region: str
    label: str
    "The part of the path that names a thing."
    query: Mapping[str, str]
    body: Mapping[str, Any]
    "Without members that are null: to OpenAI, they are absent."
    raw: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    "Names in lower case."


class MeantOperation(NamedTuple):
    """The operation of AWS that a request stands for, with the members that it is authorized by."""

    operation: str
    params: Mapping[str, Any]
    region: str | None = None
    "None: that of the request's key."


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint: one method at one path."""

    method: str
    path: str
    "Below /v1: `/files/{file}`; a label with dots, `{model...}`, takes slashes too."
    service: str
    operation: str
    "The one it stands for mostly, in whose name it is refused before it is understood."
    meaning: Callable[[House, EndpointRequest], MeantOperation]
    handler: Handler
    takes: Takes = Takes.NOTHING
    has_named_events: bool = False
    "Whether its stream tells the type of each event, and ends without [DONE]."
    prompt: str = "messages"
    "The parameter that holds the prompt, for whoever is told that it is too long."

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{\w+(\.\.\.)?\}", self.path)
        if len(parts) == 1:
            return re.compile(re.escape(self.path))
        before, greedy, after = parts
        return re.compile(f"{re.escape(before)}({'.+' if greedy else '[^/]+'}){re.escape(after)}")

    def label(self, path: str) -> str | None:
        """The label in a path below /v1, empty where the endpoint has none; None for another path."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        return unquote(found[1]) if found.groups() else ""
