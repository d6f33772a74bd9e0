"""GET /outcrop/preflight?train=s3://…&base=ID: a dataset's preflight report, before there is a job.

    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET -G --data-urlencode train=s3://BUCKET/KEY \\
        --data-urlencode base=MODEL_ID …/outcrop/preflight

It is `outcrop check-data --json` for objects: records, tokens, problems with lines, and for data that a job would take
its steps, time, memory and price. `type`, `validation` and `hyper` (NAME=VALUE, again and again) are as there. Of data
that was checked before the kept report is told, which holds no texts; with `again=true` they are read anew.

It is shown to whoever may do `outcrop:Preflight` and read the objects. One is made at a time, in a process of its own:
what foresees a run loads torch, which the server never does. Whoever asks about the same data again, with other values,
wants the newer answer: the older one ends.
"""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from outcrop.api.own import objects
from outcrop.api.own.operation import OwnCall
from outcrop.errors import Conflict, Invalid, MachineTrouble
from outcrop.machine.environment import inherited

PATH = "/outcrop/preflight"
ACTION = "outcrop:Preflight"
_MOST_BYTES = 256_000_000
_INSTEAD = "Use `outcrop check-data` on the file."
_LONGEST_S = 300
_WAITS_S = 120
_REPORTED = (0, 1)
"Exit codes of check-data with a report: a job would take the data, or refuse it."
_one_at_a_time = threading.Lock()
_BUSY = "preflight: other reports are being made. Ask again in a minute."
_MOST_WAITING = 4
_places = threading.BoundedSemaphore(_MOST_WAITING)
"Whoever waits holds a thread of the server, which others need."


class _AskedReport(NamedTuple):
    """The members of a query, as check-data takes them."""

    base: str
    customization: str
    train: str
    validation: str
    hyper: Sequence[str]
    again: bool


def get_preflight(call: OwnCall) -> bytes:
    """Raises a refusal for who may not read the data, Invalid for what cannot be checked."""
    caller = call.allowed(ACTION)
    asked = _asked(call)
    with (
        _turns_now.newest((caller.arn, asked.train)) as turn,
        _place(),
        tempfile.TemporaryDirectory(prefix="outcrop-preflight-") as folder,
    ):
        turn.check()
        return _report(call, asked, Path(folder), turn)


@contextmanager
def _place() -> Iterator[None]:
    """The one place where a report is made. Raises MachineTrouble when too many wait for it."""
    if not _places.acquire(blocking=False):
        raise MachineTrouble(_BUSY)
    try:
        if not _one_at_a_time.acquire(timeout=_WAITS_S):
            raise MachineTrouble(_BUSY)
        try:
            yield
        finally:
            _one_at_a_time.release()
    finally:
        _places.release()


class _ReportTurn:
    """A request for a report, and the process that makes it."""

    def __init__(self) -> None:
        self._is_over = False
        self._process: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        if self._is_over:
            raise Conflict("preflight: the same data were asked about again meanwhile. That answer is the newer one.")

    def give_way(self) -> None:
        self._is_over = True
        if self._process is not None:
            self._process.kill()

    def run(self, command: Sequence[str]) -> tuple[int, bytes, bytes]:
        """Exit code, output and errors of a command. Raises MachineTrouble when it takes too long."""
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=inherited()
        ) as self._process:
            try:
                output, errors = self._process.communicate(timeout=_LONGEST_S)
            except subprocess.TimeoutExpired as error:
                self._process.kill()
                raise MachineTrouble(
                    f"preflight: no report after {_LONGEST_S} s. `outcrop check-data` takes the time it needs."
                ) from error
            self.check()
            return self._process.returncode, output, errors


class _NewestTurns:
    """The newest request of each caller about each dataset."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, str], _ReportTurn] = {}
        self._lock = threading.Lock()

    @contextmanager
    def newest(self, about: tuple[str, str]) -> Iterator[_ReportTurn]:
        turn = _ReportTurn()
        with self._lock:
            older = self._turns.get(about)
            self._turns[about] = turn
        if older is not None:
            older.give_way()
        try:
            yield turn
        finally:
            with self._lock:
                if self._turns.get(about) is turn:
                    del self._turns[about]


_turns_now = _NewestTurns()


def _asked(call: OwnCall) -> _AskedReport:
    once = {name: (call.all(name) or [""])[0] for name in ("base", "type", "train", "validation", "again")}
    if not once["train"] or not once["base"]:
        raise Invalid(f"train, base: give an object and a base model: {PATH}?train=s3://BUCKET/KEY&base=MODEL_ID.")
    if once["again"] not in ("", "true", "false"):
        raise Invalid(f"again: {once['again']!r} is neither true nor false.")
    return _AskedReport(
        base=once["base"],
        customization=once["type"] or "FINE_TUNING",
        train=once["train"],
        validation=once["validation"],
        hyper=call.all("hyper"),
        again=once["again"] == "true",
    )


def _report(call: OwnCall, asked: _AskedReport, folder: Path, turn: _ReportTurn) -> bytes:
    train = _fetched(call, asked.train, folder / "train")
    command = ["check-data", str(train), f"--base={asked.base}", f"--type={asked.customization}", "--json"]
    if asked.validation:
        command.append(f"--validation={_fetched(call, asked.validation, folder / 'validation')}")
    command += [f"--hyper={pair}" for pair in asked.hyper]
    if asked.again:
        command.append("--again")
    program = [sys.executable, "-m", "outcrop.cli.app", *command, "--home", str(call.house.settings.home)]
    code, output, errors = turn.run(program)
    with suppress(ValueError):  # what it said instead is in its last line of errors
        if code in _REPORTED:
            json.loads(output)
            return output
    said = errors.decode("utf-8", "replace").strip().splitlines() or ["no report was made"]
    raise Invalid(call.house.settings.hidden(said[-1].removeprefix("outcrop: ").replace(str(folder), "")))


def _fetched(call: OwnCall, uri: str, folder: Path) -> Path:
    return objects.fetched(call, uri, folder, most_bytes=_MOST_BYTES, instead=_INSTEAD)
