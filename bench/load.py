"""A load over many connections that costs little itself: one thread, prepared bytes, sockets polled by the kernel."""

import select
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True, kw_only=True)
class Wire:
    """One request as bytes, and where it goes."""

    host: str
    port: int
    data: bytes


def signed_get(endpoint: str, path: str, key_id: str, secret: str) -> Wire:
    """A GET signed for Bedrock; `path` as it is to be sent."""
    request = AWSRequest(method="GET", url=endpoint + path, headers={"Accept": "application/json"})
    SigV4Auth(Credentials(key_id, secret), "bedrock", "us-east-1").add_auth(request)
    return _wire(request, b"")


def signed_for_s3(endpoint: str, method: str, path: str, body: bytes, key_id: str, secret: str) -> Wire:
    """A request signed for S3, with the digest of its body under the signature."""
    headers = {"Content-Length": str(len(body))} if method == "PUT" else {}
    request = AWSRequest(method=method, url=endpoint + path, headers=headers, data=body)
    S3SigV4Auth(Credentials(key_id, secret), "s3", "us-east-1").add_auth(request)
    return _wire(request, body)


def _wire(request: AWSRequest, body: bytes) -> Wire:
    url = urlsplit(request.url)
    assert url.hostname is not None
    assert url.port is not None
    lines = [
        f"{request.method} {url.path} HTTP/1.1",
        f"Host: {url.netloc}",
        *(f"{k}: {v}" for k, v in request.headers.items()),
    ]
    return Wire(host=url.hostname, port=url.port, data=("\r\n".join(lines) + "\r\n\r\n").encode() + body)


def seconds_for_each(wires: Sequence[Wire], *, connections: int) -> float:
    """How long it takes until every request has its answer; each must be 200."""
    waiting = list(reversed(wires))
    open_ones: dict[int, socket.socket] = {}
    answers: dict[int, bytes] = {}
    poll = select.epoll()

    def ask(connection: socket.socket, wire: Wire) -> None:
        answers[connection.fileno()] = b""
        connection.sendall(wire.data)

    def connect(wire: Wire) -> None:
        connection = _connected(wire)
        open_ones[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
        ask(connection, wire)

    def close(number: int) -> None:
        poll.unregister(number)
        open_ones.pop(number).close()

    started = time.perf_counter()
    for _ in range(min(connections, len(waiting))):
        connect(waiting.pop())
    while open_ones:
        for number, _ in poll.poll(1):
            piece = open_ones[number].recv(65536)
            answers[number] += piece
            head, end, body = answers[number].partition(b"\r\n\r\n")
            if not end or len(body) < _stated_length(head):
                assert piece, "the server closed a connection within an answer"
                continue
            assert head.split(b" ", 2)[1] == b"200", answers[number].decode(errors="replace")
            closes = _closes(head)
            if closes or not waiting:
                close(number)
            if waiting:
                wire = waiting.pop()
                if closes:
                    connect(wire)
                else:
                    ask(open_ones[number], wire)
    poll.close()
    return time.perf_counter() - started


def _connected(wire: Wire) -> socket.socket:
    connection = socket.create_connection((wire.host, wire.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _stated_length(head: bytes) -> int:
    """Of the body, by its Content-Length: every server measured here states one."""
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lengths[0])


def _closes(head: bytes) -> bool:
    return head.startswith(b"HTTP/1.0") or b"connection: close" in head.lower()


def requests_per_second(wire: Wire, *, connections: int, lasting_s: float) -> float:
    """Each connection sends its next request as soon as it has the whole answer to the last."""
    size, closes = _whole_answer(wire)
    open_ones: dict[int, socket.socket] = {}
    missing: dict[int, int] = {}
    poll = select.epoll()

    def ask(connection: socket.socket) -> None:
        missing[connection.fileno()] = size
        connection.sendall(wire.data)

    def connect() -> None:
        connection = _connected(wire)
        open_ones[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
        ask(connection)

    for _ in range(connections):
        connect()
    answered, started = 0, time.perf_counter()
    end = started + lasting_s
    while (now := time.perf_counter()) < end:
        for number, _ in poll.poll(1):
            piece = open_ones[number].recv(65536)
            missing[number] -= len(piece)
            assert piece or not missing[number], "the server closed a connection within an answer"
            if missing[number] > 0:
                continue
            answered += 1
            if not closes:
                ask(open_ones[number])
                continue
            # A server that ends each connection makes its clients connect anew; so does this one.
            poll.unregister(number)
            open_ones.pop(number).close()
            connect()
    for connection in open_ones.values():
        connection.close()
    poll.close()
    return answered / (now - started)


def _whole_answer(wire: Wire) -> tuple[int, bool]:
    """The length of an answer, every other one to the same request being as long; and whether the server hangs up."""
    with socket.create_connection((wire.host, wire.port)) as connection:
        connection.sendall(wire.data)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.split(b" ", 2)[1] == b"200", data.decode(errors="replace")
        while len(body) < _stated_length(head):
            body += connection.recv(65536)
    return len(head) + 4 + len(body), _closes(head)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str) -> None:
    """Until it answers anything at all."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url}: does not answer")
