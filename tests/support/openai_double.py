"""An OpenAI-compatible server of somebody else's, on a free port of this machine: it says what it is told to say.

It speaks as https://platform.openai.com/docs/api-reference/chat documents it: whole answers, server-sent events with a
usage chunk at the end, errors as {"error": {"message": …}}.
"""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.patience import PATIENCE_S

USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """An answer to give in the place of the usual one."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class OpenAiDouble:
    """`said` is the answer, cut into pieces of `piece` letters where it streams."""

    said: str = "yes"
    piece: int = 2
    finish_reason: str = "stop"
    message: dict[str, Any] = field(default_factory=dict)
    "Members of the message beside its content, of a whole answer: tool_calls, reasoning_content."
    deltas: list[dict[str, Any]] | None = None
    "In the place of the pieces of what is said, of a stream."
    choice: dict[str, Any] = field(default_factory=dict)
    "Members of the last choice: stop_reason, logprobs."
    usage: dict[str, Any] | None = field(default_factory=lambda: dict(USAGE))
    answers: list[Answer] = field(default_factory=list)
    "For the next requests in turn."
    hang_up_after: int | None = None
    "After so many events."
    stand_still_after: int | None = None
    "After so many events, until the client hangs up."
    requests: list[Asked] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    "Set when a client left in the middle of an answer."
    url: str = ""

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [each.body for each in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: OpenAiDouble

    def do_POST(self) -> None:
        double = self.double
        text = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.loads(text) if text else {}
        headers = {name.lower(): value for name, value in self.headers.items()}
        double.requests.append(Asked(path=self.path, headers=headers, body=body))
        if double.answers:
            self._send(double.answers.pop(0))
        elif body.get("stream"):
            try:
                self._stream(body)
            except (BrokenPipeError, ConnectionResetError):  # it left before it had read all that it was sent
                double.hung_up.set()
        else:
            self._send(Answer(200, json.dumps(self._whole()).encode()))

    def _whole(self) -> dict[str, Any]:
        double = self.double
        if self.path.endswith("/chat/completions"):
            said: dict[str, Any] = {"message": {"role": "assistant", "content": double.said, **double.message}}
        else:
            said = {"text": double.said}
        choice = {"index": 0, **said, "finish_reason": double.finish_reason, **double.choice}
        return {"id": "x", "choices": [choice], **({"usage": double.usage} if double.usage else {})}

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {"content-type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _stream(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        double = self.double
        events = list(self._events(wants_usage=body.get("stream_options", {}).get("include_usage", False)))
        for number, event in enumerate(events):
            if double.hang_up_after is not None and number >= double.hang_up_after:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if double.stand_still_after is not None and number >= double.stand_still_after:
                self.connection.settimeout(PATIENCE_S)
                if not self.connection.recv(1):
                    double.hung_up.set()
                return
            self._chunk(f"data: {json.dumps(event)}\n\n".encode())
        self._chunk(b": a comment\n\ndata: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _events(self, *, wants_usage: bool) -> Iterator[dict[str, Any]]:
        double, chat = self.double, self.path.endswith("/chat/completions")
        pieces = [double.said[at : at + double.piece] for at in range(0, len(double.said), double.piece)]
        if double.deltas is not None:
            said: list[dict[str, Any]] = [{"delta": delta} for delta in double.deltas]
        else:
            said = [{"delta": {"content": piece}} if chat else {"text": piece} for piece in pieces]
        for each in said:
            yield {"choices": [{"index": 0, **each, "finish_reason": None}]}
        last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
        yield {"choices": [{"index": 0, **last, "finish_reason": double.finish_reason, **double.choice}]}
        if wants_usage and double.usage:
            yield {"choices": [], "usage": double.usage}

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the name that the class gives it)
        pass


@contextmanager
def openai_double(*, tls: ssl.SSLContext | None = None, **changes: Any) -> Iterator[OpenAiDouble]:
    """A running double; `changes` are its fields, `tls` proves who it is."""
    double = OpenAiDouble(**changes)
    handler = type("Handler", (_Handler,), {"double": double})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is no error here
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    double.url = f"{'https' if tls is not None else 'http'}://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
