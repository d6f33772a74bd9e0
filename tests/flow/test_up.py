"""`outcrop up`: one on a home, its parts kept alive, everything ended in order, and mistakes told in one sentence."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from outcrop.cli.listening import check_port, free_port
from outcrop.cli.supervisor import Supervisor, check_machine
from outcrop.clock import SystemClock
from outcrop.errors import MachineTrouble
from outcrop.house import House
from outcrop.settings import Settings
from tests.support.databases import IN_POSTGRESQL
from tests.support.homes import TINY, with_tiny_models
from tests.support.patience import PATIENCE_S, eventually
from tests.support.servers import Installed, installed, outcrop


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(with_tiny_models(tmp_path_factory.mktemp("home"))) as running:
        yield running


def test_a_second_up_on_the_same_home_refuses_with_a_sentence(house: Installed) -> None:
    second = outcrop("up", "--home", str(house.settings.home))
    assert second.returncode == 1
    assert second.stderr == (
        f"outcrop: {house.settings.home}: another `outcrop up` runs on this home. "
        "Stop it first, or choose another home with --home.\n"
    )


def test_run_asks_what_runs_on_the_home_already(house: Installed) -> None:
    asked = "import os, sys; print(os.environ['AWS_ENDPOINT_URL']); sys.exit(7)"
    ran = outcrop("run", "--home", str(house.settings.home), "--", sys.executable, "-c", asked)
    assert (ran.stdout, ran.returncode) == (f"{house.settings.endpoint}\n", 7)
    assert house.health()["status"] == "ok"


def test_run_at_another_port_than_what_runs_is_refused_with_the_address(house: Installed) -> None:
    port = str(free_port("127.0.0.1"))
    ran = outcrop("run", "--home", str(house.settings.home), "--port", port, "--", sys.executable, "-c", "")
    assert ran.stderr == (
        f"outcrop: {house.settings.home}: `outcrop up` runs on this home, at {house.settings.endpoint}. "
        "Leave --port out to ask it.\n"
    )


@pytest.mark.parametrize("command", [("env",), ("quotas",), ("audit", "verify")])
def test_a_command_that_was_not_told_where_the_records_are_says_so(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "database.url").write_text("postgresql+psycopg://outcrop:***@records/outcrop\n")
    ran = outcrop(*command, "--home", str(tmp_path))
    assert ran.returncode == 1
    assert "its records are in postgresql+psycopg://outcrop:***@records/outcrop. Set OUTCROP_DATABASE_URL" in ran.stderr


def test_a_taken_port_is_told(house: Installed, tmp_path: Path) -> None:
    port = str(house.settings.port)
    second = outcrop("up", "--home", str(tmp_path), "--port", port)
    assert second.returncode == 1
    assert second.stderr.startswith(f"outcrop: 127.0.0.1:{port}: cannot listen there (")
    assert "choose another with --port" in second.stderr


def test_env_prints_what_to_export_and_the_keys_are_private(house: Installed) -> None:
    lines = outcrop("env", "--home", str(house.settings.home)).stdout.splitlines()
    assert [line.split("=")[0] for line in lines] == [
        "export AWS_ENDPOINT_URL",
        "export AWS_ACCESS_KEY_ID",
        "export AWS_SECRET_ACCESS_KEY",
        "export AWS_DEFAULT_REGION",
        "export OUTCROP_ROLE_ARN",
    ]
    assert {oct(path.stat().st_mode & 0o777) for path in house.settings.keys.iterdir()} == {"0o600"}


def test_health_tells_the_administrator_the_state_of_each_part(house: Installed) -> None:
    assert httpx.get(f"{house.settings.endpoint}/health").json() == {"status": "ok"}
    told = house.health()
    assert told["status"] == "ok"
    assert told["parts"]["server"]["alive"]
    assert told["parts"]["worker"]["alive"]


def test_everything_in_the_home_is_closed_to_others(house: Installed) -> None:
    """Though it was started with the umask 000. What the tests put there is the tests' affair."""
    home = house.settings.home
    made = [path for path in (home, *home.rglob("*")) if not path.is_relative_to(home / "tiny")]
    assert [path for path in made if not path.is_symlink() and path.stat().st_mode & 0o077] == []
    assert {"database.url" if IN_POSTGRESQL else "outcrop.db", "server.log"} <= {path.name for path in made}


@pytest.mark.parametrize("part", ["server", "worker"])
def test_a_killed_part_is_started_again(house: Installed, part: str) -> None:
    before = eventually(lambda: house.pid_of(part))
    os.kill(before, signal.SIGKILL)
    after = eventually(lambda: (pid := house.pid_of(part)) != before and pid)
    assert after != before
    assert eventually(lambda: house.client("sts").get_caller_identity()["Account"])


def test_a_killed_engine_comes_back_and_the_request_is_answered(house: Installed) -> None:
    runtime = house.client("bedrock-runtime")
    conversation = {"modelId": TINY, "messages": [{"role": "user", "content": [{"text": "one two"}]}]}
    asked = {**conversation, "inferenceConfig": {"maxTokens": 5, "temperature": 0}}
    before = runtime.converse(**asked)["output"]
    os.kill(eventually(lambda: house.pid_of(f"engine-{TINY}")), signal.SIGKILL)
    assert runtime.converse(**asked)["output"] == before
    house_of_tests = House.open(house.settings, SystemClock())
    told = eventually(lambda: house_of_tests.points.series(namespace="Outcrop/Engines", dimensions={"Engine": TINY}))
    assert {"ResidentBytes", "RunningRequests", "AnsweredRequests"} == {series.metric for series in told}
    house_of_tests.store.close()


def test_sigterm_ends_everything_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with installed(tmp_path) as running:
        pids = [pid_of(running, part) for part in ("server", "worker")]
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE_S) == 0
        assert not any(is_alive(pid) for pid in pids)
        check_port(running.settings)
        assert not running.settings.sockets.exists()


def test_a_killed_supervisor_takes_its_children_along(tmp_path: Path) -> None:
    with installed(tmp_path) as running:
        pids = [pid_of(running, part) for part in ("server", "worker")]
        running.process.kill()
        running.process.wait()
        eventually(lambda: not any(is_alive(pid) for pid in pids))
    with installed(tmp_path) as again:  # the home is free
        assert again.client("sts").get_caller_identity()["Account"]
        assert not set(pids) & {pid_of(again, part) for part in ("server", "worker")}


def test_run_gives_the_command_its_environment_and_its_exit_code(tmp_path: Path) -> None:
    script = "import boto3, sys; boto3.client('sts').get_caller_identity(); sys.exit(7)"
    port = taken_port()
    with port:
        ended = outcrop(
            "run", "--home", str(tmp_path), "--port", str(port.getsockname()[1]), "--", sys.executable, "-c", script
        )
    assert ended.returncode == 7, ended.stderr


def test_ctrl_c_during_run_leaves_nothing_running(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "outcrop.cli.app", "run", "--home", str(tmp_path), "--", "sleep", "600"]
    process = subprocess.Popen(command, start_new_session=True)
    parts = tmp_path / "parts.json"
    eventually(parts.exists)
    time.sleep(1.0)  # at any moment: this one is in the middle of starting
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert not parts.exists()


def test_a_home_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        MachineTrouble, match=r"file/home: the home cannot be written \(Not a directory\)\. Choose another"
    ):
        check_machine(Settings(home=tmp_path / "file" / "home"))


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(MachineTrouble, match=r"MB of disk are free, 1000000000000 MB are needed\. Free some"):
        check_machine(Settings(home=tmp_path), least_disk_bytes=10**18)


def test_env_before_the_first_start_says_so(tmp_path: Path) -> None:
    ended = outcrop("env", "--home", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr == f"outcrop: {tmp_path}: nothing was ever started here. Run `outcrop up` first.\n"


def test_env_where_nothing_runs_now_says_so(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    with Supervisor(Settings(home=tmp_path, port=port)):
        pass
    with socket.socket() as kept:  # nobody else comes to listen there
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", port))
        ended = outcrop("env", "--home", str(tmp_path))
    assert ended.returncode == 0
    assert "export AWS_ENDPOINT_URL=" in ended.stdout
    assert ended.stderr.startswith(f"outcrop: {tmp_path}: nothing answers at http://127.0.0.1:")


@pytest.mark.parametrize("end", ["exit 3", "exit 0", "kill -9 $$"])
def test_a_server_that_cannot_start_is_given_up_with_its_last_words(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path / "python", f"echo no memory left; {end}"))
    home = tmp_path / "home"
    with (
        Supervisor(Settings(home=home, port=free_port("127.0.0.1"))) as supervisor,
        pytest.raises(MachineTrouble, match=r"does not answer at http://.*\. Its last words: no memory left$"),
    ):
        supervisor.wait_ready()
    assert set((home / "logs" / "server.log").read_text().splitlines()) == {"no memory left"}


def test_a_slow_start_is_told_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path / "python", f'sleep 1; exec {sys.executable} "$@"'))
    monkeypatch.setattr("outcrop.cli.supervisor._NOTE_EVERY_S", 0.5)
    with Supervisor(Settings(home=tmp_path / "home", port=free_port("127.0.0.1"))) as supervisor:
        supervisor.wait_ready()
    told = capfd.readouterr().err
    assert "outcrop: the server has not answered for " in told
    assert f"Its log is {tmp_path / 'home' / 'logs' / 'server.log'}" in told


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def pid_of(running: Installed, part: str) -> int:
    found: int = eventually(lambda: running.pid_of(part))
    return found


def taken_port() -> socket.socket:
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    holder.listen()
    return holder


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
