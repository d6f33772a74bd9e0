"""Work that an own operation begins and that goes on after its answer: `outcrop` commands in processes of their own.

Recipes, pulls, exports and forgetting take minutes, and their commands do all of it already. A task is known as long
as the server lives; what its command has made stays. A few run at once, others wait for their turn.
"""

import atexit
import logging
import re
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from outcrop import arn as arns
from outcrop.clock import Clock
from outcrop.errors import Conflict, NotFound, OutcropError
from outcrop.keys import root_key
from outcrop.machine.environment import inherited
from outcrop.settings import Settings

RUNNING = ("Waiting", "InProgress")
_AT_ONCE = 2
_MOST_RUNNING = 8
_MOST_KEPT = 60
_MOST_LINES = 200
_PARTS = re.compile(rb"[\r\n]")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PIECE = 4096
_log = logging.getLogger("outcrop.door")

After = Callable[[Path], str]
"Called in the task's folder when its command went well; returns a sentence about what is there now."


@dataclass(kw_only=True, eq=False)
class OwnTask:
    """A command that runs, or did."""

    id: str
    kind: str
    about: str
    "What it works on: a recipe, a model."
    owner: str
    began: datetime
    command: Sequence[str]
    after: After | None
    folder: Path | None
    "A folder of its own that is removed with its end."
    status: str = "Waiting"
    ended: datetime | None = None
    lines: "deque[str]" = field(default_factory=lambda: deque(maxlen=_MOST_LINES))
    process: "subprocess.Popen[bytes] | None" = None

    def told(self) -> dict[str, Any]:
        """The task as JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "about": self.about,
            "owner": self.owner,
            "status": self.status,
            "began": self.began.isoformat(timespec="seconds"),
            "ended": None if self.ended is None else self.ended.isoformat(timespec="seconds"),
            "lines": list(self.lines),
        }


class OwnTasks:
    """The tasks of one server."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._tasks: dict[str, OwnTask] = {}
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        atexit.register(self.end_all)

    def folder(self) -> Path:
        """A new folder for a task's files."""
        return Path(tempfile.mkdtemp(prefix="outcrop-task-"))

    def begin(
        self,
        kind: str,
        about: str,
        command: Sequence[str],
        *,
        owner: str,
        after: After | None = None,
        folder: Path | None = None,
    ) -> OwnTask:
        """Begin a command of `outcrop`. Raises Conflict where too many run or wait; then its folder is removed, too."""
        task = OwnTask(
            id=arns.new_id(),
            kind=kind,
            about=about,
            owner=owner,
            began=self._clock.now(),
            command=command,
            after=after,
            folder=folder,
        )
        with self._lock:
            if sum(each.status in RUNNING for each in self._tasks.values()) >= _MOST_RUNNING:
                if folder is not None:
                    _remove(folder)
                raise Conflict(f"tasks: {_MOST_RUNNING} run or wait. Begin this one when another has ended.")
            for each in [each for each in self._tasks.values() if each.status not in RUNNING][: -_MOST_KEPT or None]:
                del self._tasks[each.id]
            self._tasks[task.id] = task
        threading.Thread(target=self._run, args=(task,), daemon=True, name=f"task {task.id}").start()
        return task

    def all(self) -> list[OwnTask]:
        """Every task, the newest first."""
        return list(self._tasks.values())[::-1]

    def get(self, task_id: str) -> OwnTask:
        """Raises NotFound."""
        task = self._tasks.get(task_id)
        if task is None:
            raise NotFound(f"id: there is no task {task_id!r}. Tasks are known as long as the server lives.")
        return task

    def stop(self, task: OwnTask) -> None:
        """End its command, or its waiting; one that has ended stays as it is."""
        with self._lock:
            if task.status in RUNNING:
                task.status = "Stopped"
                if task.process is not None:
                    task.process.terminate()

    def end_all(self) -> None:
        for task in self._tasks.values():
            self.stop(task)

    def _run(self, task: OwnTask) -> None:
        try:
            with self._places:
                self._command(task)
        except OutcropError as error:
            self._end(task, "Failed", error.message)
        except OSError as error:
            self._end(task, "Failed", str(error))
        except Exception as error:  # a task that never ends would keep its place for good
            _log.exception("the task %s of the kind %s", task.id, task.kind)
            self._end(task, "Failed", f"{type(error).__name__}: see the log of the server.")
        finally:
            task.ended = self._clock.now()
            if task.folder is not None:
                _remove(task.folder)

    def _command(self, task: OwnTask) -> None:
        program = [sys.executable, "-m", "outcrop.cli.app", *task.command, "--home", str(self._settings.home)]
        with self._lock:
            if task.status != "Waiting":
                return
            task.process = subprocess.Popen(
                program,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=inherited(**self._environment()),
            )
            task.status = "InProgress"
        with task.process as process:
            assert process.stdout is not None
            self._listen(task, process.stdout)
        if process.returncode != 0:
            self._end(task, "Failed", "")
            return
        sentence = "" if task.after is None or task.folder is None else task.after(task.folder)
        self._end(task, "Completed", sentence)

    def _environment(self) -> dict[str, str]:
        """The variables by which a command opens the database and finds this very server, wherever that listens."""
        place = {"OUTCROP_HOST": self._settings.host, "OUTCROP_PORT": str(self._settings.port)}
        opens = root_key.variables(self._settings) | self._settings.database_variables
        return opens | place | self._settings.tls_variables

    def _listen(self, task: OwnTask, output: IO[bytes]) -> None:
        """Keep what it says, line by line; a line that is written over, as progress is, by its newest text."""
        rest, over = b"", False
        while piece := output.read1(_PIECE):  # type: ignore[attr-defined]
            rest += piece
            while found := _PARTS.search(rest):
                line, rest = rest[: found.start()], rest[found.end() :]
                text = self._readable(line, task)
                if text:
                    if over and task.lines:
                        task.lines.pop()
                    task.lines.append(text)
                over = found[0] == b"\r"
        if text := self._readable(rest, task):
            task.lines.append(text)

    def _readable(self, line: bytes, task: OwnTask) -> str:
        text = _ANSI.sub("", line.decode("utf-8", "replace")).strip().removeprefix("outcrop: ")
        return self._settings.hidden(text.replace(f"{task.folder}/", "") if task.folder else text)[:1000]

    def _end(self, task: OwnTask, status: str, sentence: str) -> None:
        with self._lock:
            if task.status in RUNNING:
                task.status = status
        if sentence:
            task.lines.append(self._settings.hidden(sentence))


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
