"""The model server of endpoints as a process: its HTTP, its workers, and what it does when the code of a model fails."""

import concurrent.futures
import http.client
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.model_servers import JSON, ServerProcess, SocketConnection, read_json, serving
from tests.support.patience import PATIENCE_S, eventually

MANY_WAYS = """
import json, os, signal, sys, threading, time
from pathlib import Path

FOLDER = Path(os.environ["FOLDER"])

def model_fn(model_dir):
    return {"pid": os.getpid()}

def wait_for(name):
    (FOLDER / (name + ".waiting")).touch()
    while not (FOLDER / name).exists():
        time.sleep(0.01)

def pieces(name):
    try:
        yield "first "
        wait_for(name)
        yield b"second"
    finally:
        print("closed", name)

def endless():
    try:
        while True:
            yield "more" * 1000
    finally:
        print("the endless one is closed")

def breaks():
    yield "good"
    raise OSError("the disk is gone")

def transform_fn(model, data, content_type, accept, context):
    way, _, name = data.partition(":") if isinstance(data, str) else ("bytes", "", "")
    print("asked", way, name)
    if way == "exit":
        os._exit(7)
    if way == "linger":
        threading.Thread(target=time.sleep, args=(600,)).start()
    if way in ("sys.exit", "linger"):
        sys.exit(8)
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if way == "loop":
        while True:
            pass
    if way == "wait":
        wait_for(name)
    if way == "raise":
        raise ValueError("not this one")
    if way == "none":
        return None
    if way == "object":
        return object()
    if way == "huge":
        return bytes(20 << 20)
    if way == "stream":
        return pieces(name)
    if way == "endless":
        return endless()
    if way == "breaks":
        return breaks()
    if way == "empty stream":
        return iter(())
    if way == "wrong pieces":
        return iter([{"not": "bytes"}])
    if way == "status":
        context.set_response_status(418, "teapot")
        context.set_response_header(0, "X-Of-The-Model", "a\\nb: c")
        context.metrics.add_time("brewing", 3)
    if way == "bytes":
        return data[::-1]
    return json.dumps({"pid": model["pid"], "data": data, "content_type": content_type, "accept": accept,
                       "attributes": context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    """One server with two workers for every test that leaves it whole."""
    with serving(
        folder, MANY_WAYS, toolkit="huggingface", FOLDER=str(folder), SAGEMAKER_MODEL_SERVER_WORKERS="2"
    ) as running:
        yield running.ready()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with one worker and little patience, for the test alone."""
    with serving(
        tmp_path, MANY_WAYS, toolkit="huggingface", FOLDER=str(tmp_path), SAGEMAKER_MODEL_SERVER_TIMEOUT="2"
    ) as running:
        yield running.ready()


def test_an_invocation_has_its_body_its_types_and_its_headers(server: ServerProcess) -> None:
    said = server.invoke("こんにちは".encode(), {**JSON, "x-amzn-sagemaker-custom-attributes": "trace=1"})
    assert (said.status, said.content_type) == (200, "application/json")
    answer = read_json(said)
    del answer["pid"]
    assert answer == {
        "data": "こんにちは",
        "content_type": "application/json",
        "accept": "application/json",
        "attributes": "trace=1",
    }


def test_bytes_stay_bytes_in_both_directions(server: ServerProcess) -> None:
    every = bytes(range(256))
    said = server.invoke(every, {"Content-Type": "application/octet-stream", "Accept": "image/png"})
    assert (said.status, said.content_type, said.body) == (200, "image/png", every[::-1])


def test_an_answer_may_be_larger_than_a_request(server: ServerProcess) -> None:
    assert server.invoke("huge").body == bytes(20 << 20)


def test_one_connection_carries_many_requests_and_chunks_are_read(server: ServerProcess) -> None:
    connection = SocketConnection(server.path)
    for _ in range(3):
        connection.request("POST", "/invocations", iter([b"in ", b"chunks"]), JSON, encode_chunked=True)
        assert json.loads(connection.getresponse().read())["data"] == "in chunks"
    connection.request("GET", "/ping")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"status": "Healthy"})
    connection.close()


def test_batch_jobs_learn_how_much_the_server_takes(server: ServerProcess) -> None:
    assert read_json(server.ask("GET", "/execution-parameters")) == {
        "MaxConcurrentTransforms": 2,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/", 404, "ResourceNotFoundException"),
        ("POST", "/models", 404, "ResourceNotFoundException"),
        ("GET", "/invocations", 405, "MethodNotAllowedException"),
        ("PUT", "/invocations", 405, "MethodNotAllowedException"),
        ("POST", "/ping", 405, "MethodNotAllowedException"),
    ],
)
def test_other_paths_and_methods_are_refused(
    server: ServerProcess, method: str, path: str, status: int, kind: str
) -> None:
    said = server.ask(method, path)
    assert (said.status, read_json(said)["type"]) == (status, kind)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ("Content-Length: six", b"", 400),
        ("Content-Length: -1", b"", 400),
        (f"Content-Length: {(6 << 20) + 1}", b"x" * ((6 << 20) + 1), 413),
        (f"Content-Length: {1 << 40}", b"", 413),
        ("Transfer-Encoding: gzip", b"", 400),
        ("Transfer-Encoding: chunked", b"zz\r\n", 400),
        ("Transfer-Encoding: chunked", b"-1\r\n", 400),
        ("Transfer-Encoding: chunked", b"2\r\nabc\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", b"7000000\r\n", 413),
        ("Transfer-Encoding: chunked", (b"100000\r\n" + bytes(1 << 20) + b"\r\n") * 7, 413),
    ],
    ids=range(10),
)
def test_a_body_that_is_none_or_too_large_is_refused(
    server: ServerProcess, headers: str, body: bytes, status: int
) -> None:
    with raw(server) as connection:
        connection.sendall(f"POST /invocations HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode() + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["code"]) == (status, status)
        assert answer.getheader("connection") == "close"
        answer.close()


@pytest.mark.parametrize(
    "data", [b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"POST /invocations HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"]
)
def test_what_is_no_request_does_not_harm_the_server(server: ServerProcess, data: bytes) -> None:
    with raw(server) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert server.ask("GET", "/ping").status == 200


@pytest.mark.parametrize(
    ("way", "status", "message"),
    [
        ("raise", 400, "not this one"),
        ("wrong pieces", 400, "A stream is made of bytes or str, and this one gave dict. Encode its pieces."),
        ("object", 503, "Unsupported model output data type."),
    ],
)
def test_an_error_of_the_code_is_told_as_the_toolkit_tells_it(
    server: ServerProcess, way: str, status: int, message: str
) -> None:
    said = server.invoke(way)
    assert said.status == status
    assert said.body.decode() == (
        f'{{\n  "code": {status},\n  "type": "InternalServerException",\n  "message": "{message}"\n}}\n'
    )


def test_the_code_may_answer_nothing_or_a_status_of_its_own(server: ServerProcess) -> None:
    assert server.invoke("none").body == b"null"
    assert server.invoke("empty stream").body == b""
    said = server.invoke("status")
    assert (said.status, said.headers["x-of-the-model"]) == (418, "a b: c")
    eventually(lambda: "[METRICS]brewing.ms:3|" in server.log)


def test_ping_answers_while_every_worker_is_busy(server: ServerProcess, folder: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = [threads.submit(server.invoke, f"wait:ping{number}") for number in range(2)]
        eventually(lambda: all((folder / f"ping{number}.waiting").exists() for number in range(2)))
        assert server.ask("GET", "/ping").status == 200
        for number in range(2):
            (folder / f"ping{number}").touch()
        assert [each.result().status for each in running] == [200, 200]


def test_fifty_callers_share_two_workers(server: ServerProcess) -> None:
    with concurrent.futures.ThreadPoolExecutor(50) as threads:
        answers = [read_json(each) for each in threads.map(server.invoke, [f"caller {n}" for n in range(50)])]
    assert [answer["data"] for answer in answers] == [f"caller {n}" for n in range(50)]
    assert len({answer["pid"] for answer in answers}) == 2


def test_a_stream_is_sent_as_it_is_made(server: ServerProcess, folder: Path) -> None:
    connection = SocketConnection(server.path)
    connection.request("POST", "/invocations", b"stream:second", {**JSON, "Accept": "text/plain"})
    answer = connection.getresponse()
    assert (answer.getheader("transfer-encoding"), answer.getheader("content-type")) == ("chunked", "text/plain")
    assert answer.read1() == b"first "
    (folder / "second").touch()
    assert answer.read() == b"second"
    connection.close()


def test_a_caller_of_the_old_http_gets_a_stream_without_chunks(server: ServerProcess, folder: Path) -> None:
    (folder / "old").touch()
    with raw(server) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.0\r\nContent-Type: text/csv\r\nContent-Length: 10\r\n\r\nstream:old"
        )
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.endswith(b"\r\n\r\nfirst second")


def test_a_stream_that_breaks_has_no_end(server: ServerProcess) -> None:
    with pytest.raises(http.client.IncompleteRead) as broken:
        server.invoke("breaks")
    assert broken.value.partial == b"good"
    eventually(lambda: "OSError: the disk is gone" in server.log)
    assert server.invoke("after").status == 200


def test_a_caller_who_hangs_up_frees_the_worker(alone: ServerProcess, tmp_path: Path) -> None:
    # Given one in the midst of an endless stream, one whose answer nobody will read, and one that only waits
    endless = SocketConnection(alone.path)
    endless.request("POST", "/invocations", b"endless", JSON)
    endless.getresponse().read(10)
    close(endless)
    eventually(lambda: "the endless one is closed" in alone.log)
    gone, waits = SocketConnection(alone.path), SocketConnection(alone.path)
    gone.request("POST", "/invocations", b"wait:go", JSON)
    eventually((tmp_path / "go.waiting").exists)
    waits.request("POST", "/invocations", b"forgotten", JSON)
    close(waits)
    close(gone)
    (tmp_path / "go").touch()
    # Then the next is answered, by the same worker, and the forgotten one never ran
    assert alone.invoke("next").status == 200
    assert "replaced" not in alone.log
    assert "asked forgotten" not in alone.log


@pytest.mark.parametrize(
    ("way", "end"),
    [
        ("exit", "It ended with status 7."),
        ("sys.exit", "It ended with status 8."),
        ("linger", "It ended with status 8."),
        ("kill", "It was killed by SIGKILL, as when memory has run out."),
        ("segfault", "It was killed by SIGSEGV."),
    ],
)
def test_a_worker_that_dies_is_replaced(server: ServerProcess, way: str, end: str) -> None:
    said = server.invoke(way)
    assert said.status == 500
    assert read_json(said) == {"code": 500, "type": "InternalServerException", "message": f"Worker died. {end}"}
    assert server.invoke("after").status == 200
    eventually(lambda: f"{end[3:-1]}; it is replaced (" in server.log)


def test_a_worker_that_hangs_is_replaced_and_shows_where_it_hung(alone: ServerProcess) -> None:
    said = alone.invoke("loop")
    assert said.status == 500
    assert read_json(said)["message"] == ("Worker died. It gave no answer within 2 s (SAGEMAKER_MODEL_SERVER_TIMEOUT).")
    assert alone.invoke("after").status == 200
    assert "in transform_fn" in alone.log
    assert "it is replaced (1 so far)" in alone.log


def test_a_stream_that_falls_silent_is_ended(alone: ServerProcess) -> None:
    with pytest.raises(http.client.IncompleteRead):
        alone.invoke("stream:never")
    assert alone.invoke("after").status == 200


def test_what_runs_is_finished_before_the_server_ends(alone: ServerProcess, tmp_path: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = threads.submit(alone.invoke, "wait:end")
        eventually((tmp_path / "end.waiting").exists)
        alone.process.send_signal(signal.SIGTERM)
        eventually(lambda: not is_listening(alone))
        (tmp_path / "end").touch()
        assert running.result().status == 200
    assert alone.ended() == 0
    assert not alone.path.exists()


def test_ping_tells_that_the_model_is_being_loaded(tmp_path: Path) -> None:
    code = MANY_WAYS.replace('return {"pid": os.getpid()}', 'wait_for("loaded"); return {"pid": 1}')
    with serving(tmp_path, code, toolkit="huggingface", FOLDER=str(tmp_path)) as server:
        eventually((tmp_path / "loaded.waiting").exists)
        assert server.ask("GET", "/ping").status == 503
        with concurrent.futures.ThreadPoolExecutor() as threads:
            early = threads.submit(server.invoke, "early")
            (tmp_path / "loaded").touch()
            assert read_json(early.result())["data"] == "early"
        server.ready()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("def model_fn(d): raise ValueError('the weights are torn')", "ValueError: the weights are torn"),
        ("def model_fn(:", "SyntaxError: invalid syntax (inference.py, line 1)"),
        ("import sys; sys.exit(4)", "SystemExit: 4"),
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\nraise ValueError('lingers')",
            "ValueError: lingers",
        ),
        ("import os; os._exit(5)", "The worker ended with status 5 while it loaded."),
        ("def model_fn(a, b, c): pass", "TypeError: model_fn definition takes 1 or 2 arguments but 3 were given."),
        ("def transform_fn(m, d, c, a): pass\ndef input_fn(d, c): pass", "ValueError: Cannot use transform_fn impl"),
        (None, "ValueError: {}/model holds no config.json. Put the model's files at the top of the archive"),
    ],
)
def test_a_model_that_does_not_load_ends_the_server_with_its_reason(
    tmp_path: Path, code: str | None, reason: str
) -> None:
    with serving(tmp_path, code, toolkit="huggingface") as server:
        assert server.ended() == 1
    assert server.lines[-1].startswith(f"model server: The model cannot be loaded. {reason.format(tmp_path)}")


def test_a_model_that_loads_for_ever_ends_the_server(tmp_path: Path) -> None:
    code = "import threading\ndef model_fn(d): threading.Event().wait()"
    with serving(tmp_path, code, toolkit="pytorch", SAGEMAKER_STARTUP_TIMEOUT="1") as server:
        assert server.ended() == 1
    assert server.lines[-1].endswith("It was not there within 1 s (SAGEMAKER_STARTUP_TIMEOUT).\n")


def test_a_replacement_that_does_not_load_is_tried_again(tmp_path: Path) -> None:
    code = """
import os
def model_fn(model_dir):
    with open(os.environ["FOLDER"] + "/loads", "a+") as loads:
        loads.write("x")
        loads.seek(0)
        if len(loads.read()) == 2:
            raise MemoryError("just now")
def transform_fn(model, data, content_type, accept):
    if data == "exit":
        os._exit(1)
    return "ok"
"""
    with serving(tmp_path, code, toolkit="pytorch", FOLDER=str(tmp_path)) as server:
        server.ready()
        assert server.invoke("exit").status == 500
        assert server.invoke("after").body == b"ok"
        assert server.ask("GET", "/ping").status == 200
    assert "worker 0 cannot load the model again, and tries it once more: MemoryError: just now" in server.log


def test_requirements_that_cannot_be_installed_end_the_server(tmp_path: Path) -> None:
    files = {"requirements.txt": "./no-such-folder\n"}
    with serving(tmp_path, "", toolkit="pytorch", files=files, PIP_NO_INDEX="1") as server:
        assert server.ended() == 1
    assert server.lines[-1].endswith("requirements.txt cannot be installed: pip ended with status 1.\n")


def test_modules_of_the_code_may_have_the_names_of_the_servers_own(tmp_path: Path) -> None:
    code = "import settings, worker, server, model_server\ndef transform_fn(m, d, c, a): return settings.MINE\n"
    code += "def model_fn(d): return 1"
    files = {"settings.py": "MINE = 'mine'", "worker.py": "", "server.py": "", "model_server.py": ""}
    with serving(tmp_path, code, toolkit="pytorch", files=files, OUTCROP_REQUIREMENTS_INSTALLED="1") as server:
        assert server.ready().invoke().body == b"mine"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OUTCROP_SERVING": "tensorflow"}, "OUTCROP_SERVING: 'tensorflow' is no toolkit. Set one of huggingface, "),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "0"}, "SAGEMAKER_MODEL_SERVER_WORKERS: '0' is no whole number above 0."),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "1m"}, "SAGEMAKER_MODEL_SERVER_TIMEOUT: '1m' is no whole number above 0."),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    with serving(tmp_path, "", **{"OUTCROP_SERVING": "pytorch", **variables}) as server:  # type: ignore[arg-type]
        assert server.ended() == 2
    assert server.log.startswith(f"model server: {said}")


def raw(server: ServerProcess) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE_S)
    connection.connect(str(server.path))
    return connection


def close(connection: SocketConnection) -> None:
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


def is_listening(server: ServerProcess) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(server.path)) == 0
