"""A request and a response as plain values, between the ASGI server and the codecs. Nothing here knows a service."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class FileBody:
    """A stretch of a file, sent without being held in memory."""

    path: Path
    offset: int
    length: int


Body = bytes | FileBody | AsyncIterator[bytes]


@dataclass(kw_only=True)
class HttpRequest:
    method: str
    raw_path: str
    "Percent-encoded as the client sent it: `%2F` in an id must not become a separator."
    raw_query: str
    headers: Mapping[str, str]
    "Names in lower case; repeated headers joined with a comma."
    body: bytes | None = None
    "None while it has not been read, or when it streams. The only part that is set later."


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = b""
