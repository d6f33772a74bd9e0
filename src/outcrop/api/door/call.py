"""The whole contract between the API's door and its operations: what a handler receives and what it may return.

A handler is a function `(house, call) -> answer`. A plain function runs in a thread, so it may use the database and
files freely; an `async def` runs on the event loop, so it must await whatever takes time. A plain one that reads a row
or two by their keys and nothing else is marked `@quick`: it runs on the event loop too where the database is a local
file, because waking a thread would take longer than it does. A handler raises the classes of
`outcrop.errors`; the door turns each into the service's own error. Each file of handlers ends with its table:

    def get_custom_model(house: House, call: Call) -> Answered:
        model = ...                                     # call.params["modelIdentifier"]
        return {"modelArn": model.arn, "creationTime": model.created, ...}

    OPERATIONS: dict[str, Handler] = {"GetCustomModel": get_custom_model, ...}

`call.params` holds the members of the input shape by the model's own names, checked against the shape (required,
pattern, enum, length, range): timestamps are aware datetimes in UTC, blobs are bytes, header maps (`Metadata` of S3)
dicts with lower-case keys, documents plain JSON values. An absent member is absent. A streaming blob (S3's PutObject
and UploadPart) is not in `params`: it is `call.body`, an async iterator of plain bytes that ends by raising when the
payload does not keep what its signature promised; so keep the bytes aside and make them count after the last one. What
the client sent as trailers stands in `call.trailers` then (`x-amz-checksum-crc32`).

What may be returned:

    {...}                                    members of the output shape by name; None counts as absent
    Derived(row, lambda: {...})              members that follow from a row alone; while a poller finds the same row,
                                             they are neither made nor serialized again
    Answer({...}, status=206, headers=...)   the same with another status or headers the shape does not know
                                             (`x-amzn-bedrock-input-token-count`)
    Streamed({...}, events=events())         for outputs with an event stream: `events` yields one-key dicts
                                             {"chunk": {"bytes": b"..."}}. What it raises before the first event is an
                                             ordinary error, later an exception frame. It is closed (aclose) when the
                                             client goes away.

A streaming blob of the output (S3's GetObject `Body`) may be bytes, a `FileBody(path=..., offset=..., length=...)` or
an async iterator of bytes. A HEAD or a 304 has no body.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from outcrop.access.caller import Caller

if TYPE_CHECKING:
    from outcrop.house import House


@dataclass
class Usage:
    """Tokens that an invocation has taken so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    sent_to: str = ""
    "The host of a remote model that the request was sent to; empty where it stayed here."

    def left_for(self, host: str) -> None:
        """Told at the moment at which the request leaves for a remote model."""
        self.sent_to = host

    def count(self, input_tokens: int, output_tokens: int) -> None:
        """Told again and again while an answer streams, each time with what it comes to by then."""
        self.input_tokens, self.output_tokens = input_tokens, output_tokens


@dataclass(frozen=True, kw_only=True)
class Call:
    """A client's request, understood: its operation, parameters and caller."""

    service: str
    "botocore's name of the service, e.g. `bedrock-runtime`."
    operation: str
    "e.g. `CreateModelCustomizationJob`."
    params: dict[str, Any]
    caller: Caller
    region: str
    "The region the client signed for."
    request_id: str
    headers: Mapping[str, str]
    "As the client sent them, names in lower case."
    body: AsyncIterator[bytes] | None = None
    "The streaming upload, for operations that have one."
    body_sha256: str | None = None
    "What the signature promises of `body`, to be checked by whoever stores it; its other promises were checked."
    source_ip: str = ""
    "The address that the connection came from; what a proxy says about others is not believed."
    secure: bool = False
    "Whether the connection is TLS."
    known: Mapping[str, str] = field(default_factory=dict)
    "Condition keys about its proof: `s3:authType` and its like."
    started: float = field(default_factory=time.monotonic)
    "When the request came in, of `time.monotonic()`."
    line: Hashable | None = None
    "Stands for service, operation and parameters of a request that is nothing but its first line, and comes again."
    found: dict[tuple[str, str], Any] = field(default_factory=dict)
    "What its identifiers were found to stand for when it was authorized; read it through `api/bedrock/named.py`."
    trailers: Mapping[str, str] = field(default_factory=dict)
    "Headers sent after the upload; complete once `body` has ended."
    usage: Usage = field(default_factory=Usage)
    "What an invocation tells of itself beside its answer."

    @property
    def token_scope(self) -> str:
        """The operation in its region: within it, a clientRequestToken stands for one request."""
        return f"{self.region}:{self.operation}"


@dataclass(frozen=True)
class Answer:
    """The members of an output, with what its shape cannot say."""

    members: dict[str, Any]
    status: int | None = None
    "None means the status the service model gives."
    headers: Mapping[str, str] = field(default_factory=dict)


class Derived(NamedTuple):
    """The members of an output that follow from `source` and nothing else: of one operation, equal sources have equal
    members."""

    source: Hashable
    members: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Streamed:
    """An output whose events are sent as they are made."""

    members: dict[str, Any]
    "The members beside the stream, e.g. contentType."
    events: AsyncIterator[dict[str, Any]]
    headers: Mapping[str, str] = field(default_factory=dict)


Answered = dict[str, Any] | Derived | Answer | Streamed
Handler = Callable[["House", Call], Answered | Awaitable[Answered]]
_Plain = TypeVar("_Plain", bound=Callable[["House", Call], Answered])
_quick: dict[Handler, Callable[["House", Call], bool]] = {}


def quick(handler: _Plain) -> _Plain:
    """Marks a plain handler that only reads a row or two by their keys."""
    _quick[handler] = lambda _house, _call: True
    return handler


def quick_when(condition: Callable[["House", Call], bool]) -> Callable[[_Plain], _Plain]:
    """Marks a plain handler that is quick for some requests only: those for which `condition` holds."""

    def mark(handler: _Plain) -> _Plain:
        _quick[handler] = condition
        return handler

    return mark


def is_quick(handler: Handler, house: "House", call: Call) -> bool:
    condition = _quick.get(handler)
    return condition is not None and condition(house, call)
