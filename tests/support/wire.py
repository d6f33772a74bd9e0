"""Requests written by hand onto a socket: signed as a client signs, then bent as an attacker bends."""

import hashlib
import hmac
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.patience import PATIENCE_S

SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    head: bytes
    body: bytes

    def says(self, code: str) -> bool:
        """Whether the code of the error is `code`, in whichever form it comes."""
        xml = f"<Code>{code}</Code>".encode() in self.body
        return xml or f'"{code}"'.encode() in self.body or f"x-amzn-errortype: {code.lower()}".encode() in self.head


@dataclass
class Request:
    """A request as bytes to be; whatever is changed after `signed` is no longer what was signed."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    seal: "Chain | None" = None
    version: str = "HTTP/1.1"

    def with_header(self, name: str, value: str) -> "Request":
        """The request with one header replaced or added."""
        kept = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        return Request(self.method, self.path, [*kept, (name, value)], self.body, self.seal)

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers if key.lower() == name.lower())

    def raw(self) -> bytes:
        lines = [f"{self.method} {self.path} {self.version}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


@dataclass
class Chain:
    """The chain of chunk signatures, as a client makes it."""

    secret: str
    stamp: str
    scope: str
    previous: str
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.key = f"AWS4{self.secret}".encode()
        for part in self.scope.split("/"):
            self.key = hmac.digest(self.key, part.encode(), "sha256")

    def chunk(self, data: bytes) -> bytes:
        rest = f"{hashlib.sha256(b'').hexdigest()}\n{hashlib.sha256(data).hexdigest()}"
        signature = self._next("AWS4-HMAC-SHA256-PAYLOAD", rest)
        return f"{len(data):x};chunk-signature={signature}\r\n".encode() + data + (b"\r\n" if data else b"")

    def trailer(self, line: str) -> bytes:
        signature = self._next("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(f"{line}\n".encode()).hexdigest())
        return f"{line}\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()

    def _next(self, kind: str, rest: str) -> str:
        text = f"{kind}\n{self.stamp}\n{self.scope}\n{self.previous}\n{rest}"
        self.previous = hmac.digest(self.key, text.encode(), "sha256").hex()
        return self.previous


def signed(
    endpoint: str,
    keys: Credentials,
    method: str,
    path: str,
    *,
    service: str = "s3",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    payload: str | None = None,
    length: int | None = None,
) -> Request:
    """A request with a right signature. `payload` is the word for its body; `length` what it says of its length."""
    stated = {"Content-Length": str(len(body) if length is None else length)} if method != "GET" or body else {}
    request = AWSRequest(method=method, url=endpoint + path, headers=dict(headers or {}), data=body)

    class Signer(S3SigV4Auth if service == "s3" else SigV4Auth):  # type: ignore[misc]
        def payload(self, request: AWSRequest) -> str:
            return payload if payload is not None else str(super().payload(request))

    Signer(keys, service, "us-east-1").add_auth(request)
    host = urlsplit(endpoint).netloc
    sent = [("Host", host), *((name, str(value)) for name, value in request.headers.items()), *stated.items()]
    made = Request(method, path, sent)
    made.body = body
    authorization = made.header("authorization")
    scope = authorization.partition("Credential=")[2].partition(",")[0].partition("/")[2]
    made.seal = Chain(keys.secret_key, made.header("x-amz-date"), scope, authorization.rpartition("Signature=")[2])
    return made


def send(endpoint: str, data: bytes | Request, *, ends: bool = False) -> Reply:
    """The answer to raw bytes. `ends`: the client closes its side behind them."""
    address = urlsplit(endpoint)
    raw = data.raw() if isinstance(data, Request) else data
    with socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=PATIENCE_S) as connection:
        connection.sendall(raw)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        return receive(connection, to_head=raw.startswith(b"HEAD "))


def receive(connection: socket.socket, *, to_head: bool = False) -> Reply:
    """The answer on a connection; status 0 when it was closed without one.

    The answer to HEAD ends with its head, whatever length it states: that is the length of what GET would give.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        piece = more(connection)
        if not piece:
            return Reply(status=0, head=data.lower(), body=b"")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    stated = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(stated[0].partition(b":")[2]) if stated else 0
    while not to_head and len(body) < length and (piece := more(connection)):
        body += piece
    return Reply(status=status, head=head.lower(), body=body)


def more(connection: socket.socket) -> bytes:
    """The bytes that come next; nothing when the other side has closed."""
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def now_stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
