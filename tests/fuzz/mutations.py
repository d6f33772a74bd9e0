"""Requests made wrong in one place or a few: what a broken, a hostile or a merely old client might send."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request as it goes over the wire."""

    method: str
    path: str
    query: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int = 0
    "So many bytes of the body are stated, but not sent."

    def bytes(self) -> bytes:
        line = f"{self.method} {self.path}{'?' + self.query if self.query else ''} HTTP/1.1\r\n"
        stated = {**self.headers, "Content-Length": str(len(self.body)), "Connection": "close"}
        head = line + "".join(f"{name}: {value}\r\n" for name, value in stated.items()) + "\r\n"
        # Halves of surrogate pairs stand for bytes that are no UTF-8, where they can.
        try:
            written = head.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            written = head.encode("utf-8", "replace")
        return written + self.body[: len(self.body) - self.cut]


Mutation = Callable[[Sent, random.Random], Sent]

_METHODS = ["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "BREW"]
_PATHS = [
    "..",
    ".",
    "%2e%2e",
    "%00",
    "%ff",
    "%",
    "%zz",
    "",
    "%F0%9F%98%80",
    "a" * 3000,
    "arn:aws:x:::y/z",
    "%0d%0aX:1",
    "*",
]
_TYPES = [
    "application/json", "application/x-amz-json-1.1", "application/x-www-form-urlencoded", "application/cbor",
    "text/xml", "multipart/form-data", "", "application/json; charset=utf-16", "\t", "x" * 500,
]  # fmt: skip
_NAMES = [
    "X-Amz-Target", "smithy-protocol", "Content-Encoding", "Transfer-Encoding-X", "x-amz-copy-source", "Range", "If-Match",
    "x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer", "Content-MD5", "x-amz-meta-é", "Expect-X",
    "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm", "If-Modified-Since", "x-amz-tagging", "Accept", "Date",
]  # fmt: skip
_VALUES = [
    "", "0", "-1", "NaN", "1e999", "999999999999999999999", "bytes=5-1", "bytes=-", "aws-chunked", "rpc-v2-cbor",
    "SageMaker.Nothing", "SageMaker.", ".", "a/b", "/", "%zz", "日本", "'\"<>&", "x" * 5000, "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "Mon, 99 Xyz 2026 25:61:61 GMT", "0001-01-01T00:00:00Z", "99999-01-01", "true", "null", "a=b&c", "gzip",
    "\udcff", "a\udced\udca0\udc80b",
]  # fmt: skip
_KEYS = [
    "uploadId", "partNumber", "versionId", "list-type", "max-keys", "continuation-token", "prefix", "delimiter", "uploads",
    "delete", "tagging", "acl", "policy", "cors", "attributes", "maxResults", "nextToken", "Action", "Version",
    "creationTimeAfter", "sortOrder", "X-Amz-Credential", "X-Amz-Algorithm", "X-Amz-Expires", "response-content-type", "",
]  # fmt: skip
_JSON: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**40,
    "",
    "x",
    "日本" * 300,
    [],
    {},
    [[]],
    {"": None},
    ["a", 1],
    "NaN",
    "\ud800",
    1e308,
    1e999,
    10**4000,
    "a\udfffb",
    "\x00",
    {"\udc00": 1},
    [[[[]]]] * 3,
]
_BODIES = [
    b"[" * 200_000, b'{"a":' * 200_000, b'{"a":{"a":' * 400 + b"1" + b"}}" * 400, b'{"a": 1e999}', b'{"a": Infinity}',
    b'{"a": ' + b"9" * 10_000 + b"}", b'{"\\ud800": "\\udfff"}', b'{"a": "\xed\xa0\x80"}', b'{"a": 1, "a": []}', b'{"a": "\\u0000"}',
    b"", b"null", b"[]", b"\"x\"", b"{", b"[" * 5000, b"{\"a\":" * 2000, b"\xff\xfe{}", b"NaN", b"<a>", b"<a></a>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"<a>" * 3000 + b"</a>" * 3000, b"Action=", b"Action=Nothing&Version=1",
    b"&".join(b"A.member.%d=x" % n for n in range(500)), b"A" + b".1" * 60 + b"=x", b"\x00" * 300_000, b"\xbf" * 400,
    b"\x1f\x8b\x08\x00", b"5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\n\r\n", b"9\r\nhello\r\n0\r\n\r\n",
]  # fmt: skip


def mutated(sent: Sent, numbers: random.Random, *, most: int = 3) -> Sent:
    for _ in range(min(most, numbers.choice([1, 1, 1, 2, 3]))):
        sent = numbers.choice(MUTATIONS)(sent, numbers)
    return sent


def _method(sent: Sent, numbers: random.Random) -> Sent:
    return replace(sent, method=numbers.choice(_METHODS))


def _path(sent: Sent, numbers: random.Random) -> Sent:
    parts = sent.path.split("/")
    place = numbers.randrange(1, len(parts) + 1)
    parts[place : place + numbers.randint(0, 1)] = [numbers.choice(_PATHS)]
    return replace(sent, path="/" + "/".join(parts).lstrip("/") if numbers.random() < 0.9 else "/" + "/".join(parts))


def _query(sent: Sent, numbers: random.Random) -> Sent:
    pairs = [part for part in sent.query.split("&") if part]
    if pairs and numbers.random() < 0.4:
        pairs.pop(numbers.randrange(len(pairs)))
    value = numbers.choice([each for each in _VALUES if each.isascii() and " " not in each and "&" not in each])
    pairs.append(f"{numbers.choice(_KEYS)}={value}")
    return replace(sent, query="&".join(pairs))


def _header(sent: Sent, numbers: random.Random) -> Sent:
    name = numbers.choice([*_NAMES, *sent.headers])
    return replace(sent, headers={**sent.headers, name: numbers.choice(_VALUES)})


def _content_type(sent: Sent, numbers: random.Random) -> Sent:
    rest = {name: value for name, value in sent.headers.items() if name.lower() != "content-type"}
    return replace(sent, headers={**rest, "Content-Type": numbers.choice(_TYPES)})


def _without_header(sent: Sent, numbers: random.Random) -> Sent:
    removed = numbers.choice(list(sent.headers)) if sent.headers else ""
    return replace(sent, headers={name: value for name, value in sent.headers.items() if name != removed})


def _bytes(sent: Sent, numbers: random.Random) -> Sent:
    body = bytearray(sent.body)
    for _ in range(min(len(body), numbers.randint(1, 4))):
        body[numbers.randrange(len(body))] = numbers.randrange(256)
    return replace(sent, body=bytes(body))


def _shortened(sent: Sent, numbers: random.Random) -> Sent:
    return replace(sent, body=sent.body[: numbers.randint(0, len(sent.body))])


def _truncated(sent: Sent, numbers: random.Random) -> Sent:
    return replace(sent, cut=numbers.randint(1, len(sent.body))) if sent.body else sent


def _other_body(sent: Sent, numbers: random.Random) -> Sent:
    return replace(sent, body=numbers.choice(_BODIES))


def _swapped(sent: Sent, numbers: random.Random) -> Sent:
    """One value of a JSON body in another type."""
    try:
        value = json.loads(sent.body)
    except (ValueError, RecursionError):
        return _bytes(sent, numbers)
    places = list(_places(value))
    if not places:
        return replace(sent, body=json.dumps(numbers.choice(_JSON)).encode())
    holder, place = numbers.choice(places)
    holder[place] = numbers.choice(_JSON)
    return replace(sent, body=json.dumps(value).encode())


def _places(value: Any) -> list[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for place, each in inner for found in [(value, place), *_places(each)]]


MUTATIONS: list[Mutation] = [
    _method, _path, _query, _header, _content_type, _without_header, _bytes, _shortened, _truncated, _other_body, _swapped,
    _swapped, _swapped,
]  # fmt: skip
