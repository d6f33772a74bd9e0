"""The relay of a model server to a container's own program: the port answers on the socket."""

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.model_servers import ServerProcess, SocketConnection, serving
from tests.support.patience import eventually

PROGRAM = """
import http.server, os, signal, sys, time
from pathlib import Path

folder = Path(sys.argv[1])

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def do_POST(self):
        size = int(self.headers["Content-Length"])
        first = self.rfile.read(5)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(first)
        self.chunk(self.rfile.read(size - 5))
        self.chunk(b"")
        if self.path == "/end":
            os._exit(6)
    def chunk(self, data):
        self.wfile.write(b"%x\\r\\n%b\\r\\n" % (len(data), data))

def end(*_):
    (folder / "ended").write_text("ended by its own hand")
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
print("the program starts", flush=True)
while not (folder / "listen").exists():
    time.sleep(0.01)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def relayed(tmp_path: Path) -> Iterator[ServerProcess]:
    program = tmp_path / "serve.py"
    program.write_text(PROGRAM)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, str(program), str(tmp_path)]
    with serving(tmp_path, command=command, SAGEMAKER_BIND_TO_PORT=port) as server:
        eventually(lambda: "the program starts" in server.log)
        yield server


def test_until_the_program_listens_the_socket_says_so(relayed: ServerProcess, tmp_path: Path) -> None:
    said = relayed.ask("POST", "/invocations", bytes(1 << 20))
    assert said.status == 503
    assert b"of the container yet" in said.body
    (tmp_path / "listen").touch()
    assert relayed.ready().ask("GET", "/anything").body == b"ok"


def test_bytes_pass_both_ways_as_they_come(relayed: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "listen").touch()
    relayed.ready()
    connection = SocketConnection(relayed.path)
    for _ in range(2):
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Length", "11")
        connection.endheaders(b"hello")
        # The answer begins before the request has ended.
        answer = connection.getresponse()
        assert answer.read1() == b"hello"
        connection.send(b" world")
        assert answer.read() == b" world"
    connection.close()


def test_the_relay_ends_with_the_program_and_its_status(relayed: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "listen").touch()
    assert relayed.ready().ask("POST", "/end", b"good bye").body == b"good bye"
    assert relayed.ended() == 6
    assert not relayed.path.exists()


def test_sigterm_reaches_the_program(relayed: ServerProcess, tmp_path: Path) -> None:
    relayed.process.send_signal(signal.SIGTERM)
    assert relayed.ended() == 0
    assert (tmp_path / "ended").read_text() == "ended by its own hand"


def test_a_program_that_is_killed_or_missing_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    with serving(tmp_path, command=["/bin/sh", "-c", "kill -9 $$"]) as server:
        assert server.ended() == 128 + signal.SIGKILL
    with serving(tmp_path, command=["no-such-program"]) as server:
        assert server.ended() == 127
    assert server.log == "model server: no-such-program cannot be started: No such file or directory.\n"
