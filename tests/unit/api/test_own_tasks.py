"""Tasks of own operations: what a command says, kept as a terminal would show it, and how many there may be."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from outcrop.api.own.tasks import _MOST_RUNNING, OwnTask, OwnTasks
from outcrop.clock import SystemClock
from outcrop.errors import Conflict, NotFound
from outcrop.settings import Settings


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
