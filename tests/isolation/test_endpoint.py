"""The one way out of a sandbox: the endpoint of this installation, as boto3 finds it, and nothing beside it."""

import http.server
import os
import selectors
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.isolation import leftovers
from outcrop.isolation.found import WAYS, trouble_with
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.program import ProgramEnd
from outcrop.isolation.relay import MOST_CONNECTIONS, Relay
from outcrop.isolation.sandbox import Sandbox
from outcrop.isolation.ways import Isolation

BUCKETS = b"""<?xml version="1.0"?><ListAllMyBucketsResult><Owner><ID>1</ID></Owner><Buckets>
<Bucket><Name>verses</Name><CreationDate>2026-11-29T00:00:00Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"""
LARGE = os.urandom(3_000_000)


class Bucket(http.server.BaseHTTPRequestHandler):
    """A server that lists one bucket, gives one large object and counts what is put."""

    received = b""

    def do_GET(self) -> None:
        content = BUCKETS if self.path.partition("?")[0] == "/" else LARGE
        self._answer(content)

    def do_PUT(self) -> None:
        type(self).received = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"")

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """The port of an installation."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


@pytest.fixture(params=WAYS, ids=lambda way: way.value)
def way(request: pytest.FixtureRequest) -> Isolation:
    chosen: Isolation = request.param
    if (trouble := trouble_with(chosen)) is not None:
        pytest.skip(f"{chosen.value}: {trouble}")
    return chosen


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder for sandboxes, emptied afterwards of what only they could write."""
    yield tmp_path / "place"
    leftovers.remove(tmp_path / "place")


def run(sandbox: Sandbox, program: str, way: Isolation) -> tuple[ProgramEnd, str]:
    sandbox.root.mkdir(parents=True, exist_ok=True)
    with open(sandbox.root / "log", "w+b") as log:
        ended = sandbox.start([sys.executable, "-c", program], way=way, stdout=log.fileno()).wait(120)
        assert ended is not None
        log.seek(0)
        return ended, log.read().decode()


def sandbox_in(place: Path, port: int | None, **options: object) -> Sandbox:
    return Sandbox(
        root=place,
        opt_ml=place / "ml",
        read_only=[Path(sys.prefix)],
        environment={
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        endpoint=None if port is None else ("127.0.0.1", port),
        limits=SandboxLimits(machine_disk_bytes=0, machine_memory_bytes=0),
        **options,  # type: ignore[arg-type]
    )


def test_boto3_reaches_the_endpoint_as_it_would_outside(way: Isolation, place: Path, port: int) -> None:
    program = """
import boto3, hashlib
s3 = boto3.client("s3")
print([bucket["Name"] for bucket in s3.list_buckets()["Buckets"]])
print(hashlib.sha256(s3.get_object(Bucket="verses", Key="x")["Body"].read()).hexdigest())
s3.put_object(Bucket="verses", Key="y", Body=b"0123456789" * 500_000)
"""
    ended, said = run(sandbox_in(place, port), program, way)
    import hashlib

    assert said == f"['verses']\n{hashlib.sha256(LARGE).hexdigest()}\n"
    assert ended.code == 0
    assert Bucket.received.count(b"0123456789") == 500_000


def test_without_an_endpoint_there_is_no_way_out(way: Isolation, place: Path, port: int) -> None:
    program = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)"
    ended, said = run(sandbox_in(place, None), program, way)
    assert ended.code == 1
    assert "Connection refused" in said


def test_a_program_with_the_machines_network_reaches_the_endpoint_by_it(way: Isolation, place: Path, port: int) -> None:
    program = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)\nprint('reached')"
    ended, said = run(sandbox_in(place, port, network=True), program, way)
    assert (ended.code, said) == (0, "reached\n")


def test_the_host_has_the_first_name_and_each_name_its_address(way: Isolation, place: Path) -> None:
    program = (
        "import socket\n"
        "print(socket.gethostname(), *(socket.gethostbyname(name) for name in ('algo-1', 'algo-2', 'localhost')))"
    )
    _, said = run(sandbox_in(place, None, hosts={"algo-1": "127.0.0.1", "algo-2": "127.0.0.2"}), program, way)
    assert said == "algo-1 127.0.0.1 127.0.0.2 127.0.0.1\n"


def test_no_more_than_a_number_of_connections_is_carried_at_once() -> None:
    selector = selectors.DefaultSelector()
    far = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    relay = Relay(listening, lambda: socket.create_connection(far.getsockname()), selector)
    near = [socket.create_connection(listening.getsockname()) for _ in range(MOST_CONNECTIONS + 10)]
    turn(selector)
    assert len(relay.carried) == MOST_CONNECTIONS
    for each in near[:20]:
        each.close()
    for _ in range(20):
        far.accept()[0].close()
    turn(selector)
    assert len(relay.carried) == MOST_CONNECTIONS - 10
    relay.close()
    for end in (far, listening, *near):
        end.close()
    selector.close()


def turn(selector: selectors.BaseSelector) -> None:
    """Let everything that can happen by now happen."""
    while ready := selector.select(0.2):
        for key, events in ready:
            key.data(events)
