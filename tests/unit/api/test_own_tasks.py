"""Tasks of own operations: what a command says, kept as a terminal would show it, and how many there may be."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from outcrop.api.own.tasks import _MOST_RUNNING, OwnTask, OwnTasks
from outcrop.clock import SystemClock
from outcrop.errors import Conflict, NotFound
from outcrop.house import House
from outcrop.keys import door_certificate
from outcrop.settings import Settings
from tests.support.patience import eventually


@pytest.fixture
def tasks(tmp_path: Path) -> OwnTasks:
    return OwnTasks(Settings(home=tmp_path), SystemClock())


def task(identifier: str = "x", *, folder: Path | None = None) -> OwnTask:
    return OwnTask(
        id=identifier, kind="pull", about="m", owner="", began=datetime.now(UTC), command=(), after=None, folder=folder
    )


def test_progress_that_is_written_over_is_told_by_its_newest_text(tasks: OwnTasks) -> None:
    one = task(folder=Path("/tmp/outcrop-task-1"))
    said = b"outcrop: reading /tmp/outcrop-task-1/a.csv\n 1%\r 50%\r\x1b[1A100%\r\n\n in the catalogue"
    tasks._listen(one, io.BufferedReader(io.BytesIO(said)))
    assert list(one.lines) == ["reading a.csv", "100%", "in the catalogue"]


def test_more_than_a_few_tasks_are_refused(tasks: OwnTasks) -> None:
    tasks._tasks = {str(number): task(str(number)) for number in range(_MOST_RUNNING)}
    with pytest.raises(Conflict, match="run or wait"):
        tasks.begin("pull", "m", [], owner="")
    tasks.end_all()
    assert {each.status for each in tasks.all()} == {"Stopped"}
    with pytest.raises(NotFound, match="there is no task 'gone'"):
        tasks.get("gone")


def test_what_a_refused_task_would_have_worked_on_is_removed(tasks: OwnTasks) -> None:
    tasks._tasks = {str(number): task(str(number)) for number in range(_MOST_RUNNING)}
    folder = tasks.folder()
    (folder / "source").write_bytes(b"a gigabyte")
    with pytest.raises(Conflict):
        tasks.begin("recipe", "verse", [], owner="", folder=folder)
    assert not folder.exists()


def test_a_command_finds_the_server_that_began_it(tmp_path: Path) -> None:
    made = door_certificate.own(tmp_path / "keys", "0.0.0.0", now=datetime.now(UTC))
    settings = Settings(
        home=tmp_path / "home",
        host="0.0.0.0",
        port=4711,
        tls_cert=made.certificate,
        tls_key=made.key,
        tls_ca=made.trusted,
    )
    with House.open(settings, SystemClock()):
        pass  # now there is an account
    one = OwnTasks(settings, SystemClock()).begin("export", "m", ["env"], owner="")
    eventually(lambda: one.ended)
    assert "export AWS_ENDPOINT_URL=https://127.0.0.1:4711" in one.lines
    assert f"export AWS_CA_BUNDLE={made.trusted}" in one.lines


def test_a_task_ends_also_by_what_nobody_foresaw(tasks: OwnTasks, tmp_path: Path) -> None:
    def broken(_folder: Path) -> str:
        raise ValueError("nobody's fault")

    folder = tmp_path / "own"
    folder.mkdir()
    one = tasks.begin("recipe", "verse", ["--version"], owner="", after=broken, folder=folder)
    found = eventually(lambda: one if one.ended else None)
    assert (found.status, folder.exists()) == ("Failed", False)
    assert "nobody's fault" not in "".join(found.lines)
