"""Real Bedrock's runtime on a free port of this machine, as recorded: it answers with the bytes it is told to.

Every request's signature is checked by botocore's own signer, with the one key it knows.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock

from botocore import auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from outcrop.protocol import eventstream

KEY_ID, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "a-session-token"
REGION = "us-west-2"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An answer: its body in pieces, as they come over the wire."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = ()
    breaks: bool = False
    "Whether it hangs up behind the pieces, in the middle of the answer."


@dataclass
class BedrockDouble:
    answers: list[Recorded] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    "Path, headers and body of each."
    url: str = ""


def frames(*events: bytes) -> Recorded:
    """An event stream whose frames are cut at the worst places."""
    whole = b"".join(events)
    pieces = tuple(whole[at : at + 7] for at in range(0, len(whole), 7))
    return Recorded(headers={"content-type": eventstream.CONTENT_TYPE}, pieces=pieces)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: BedrockDouble

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.double.requests.append((self.path, headers, body))
        answer = self.double.answers.pop(0)
        self.send_response(answer.status)
        for name, value in {"content-type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in answer.pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"ff\r\nbroken" if answer.breaks else b"0\r\n\r\n")
        self.close_connection = answer.breaks

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the name that the class gives it)
        pass


@contextmanager
def bedrock_double(*answers: Recorded) -> Iterator[BedrockDouble]:
    double = BedrockDouble(answers=list(answers))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"double": double}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def signature_holds(double: BedrockDouble, number: int = 0) -> bool:
    """Whether a request that came in was signed as botocore signs it: with that key, for that path, host and body."""
    path, headers, body = double.requests[number]
    signed_at = auth.datetime.datetime.strptime(headers["x-amz-date"], auth.SIGV4_TIMESTAMP)
    names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    kept = {name: headers[name] for name in names if name not in ("host", "x-amz-date", "x-amz-security-token")}
    request = AWSRequest(method="POST", url=double.url + path, headers=kept, data=body)
    with mock.patch.object(auth, "get_current_datetime", return_value=signed_at):
        SigV4Auth(Credentials(KEY_ID, SECRET, TOKEN), "bedrock", REGION).add_auth(request)
    return bool(request.headers["Authorization"] == headers["authorization"])
