"""A Python function of the user's own as a score, in a process with limits of time and memory.

    def grade(answer: str, prompt: str, references: list[str]) -> float: ...

The function is trusted as its author is: the process keeps a mistake from the evaluation, not a thief from the machine.
An exception is that record's problem. A function that hangs is killed and the next record gets a new process; after
three kills in a row the rest is not asked.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid
from outcrop.evaluation.scores import own_function_child
from outcrop.evaluation.scores.scoring import Candidate, ScoreValue, TextScore
from outcrop.machine.environment import inherited

_START_S = 120.0
"Time in which the user's file has to be imported."
_LOST_IN_A_ROW = 3


@dataclass(frozen=True, kw_only=True)
class OwnFunctionLimits:
    """The limits of the process of a user's function."""

    seconds: float = 10.0
    "For one record."
    memory_bytes: int = 2 * 1024**3
    "Data of the process, its libraries' too; 0 for no limit."


def own_function(place: str, limits: OwnFunctionLimits | None = None) -> TextScore:
    """The score that a function at `module:function` or `file.py:function` gives.

    The function is loaded once before this returns, so that a mistake in its name is seen before anything is generated.
    Raises Invalid where it cannot be loaded. The user's process starts in the working folder.
    """
    limits = limits or OwnFunctionLimits()
    if not all(place.rpartition(":")[::2]):
        raise Invalid(f"function: {place!r} names no function. Write function:file.py:NAME or function:module:NAME.")
    _FunctionProcess(place, limits).end()

    def of(candidates: Sequence[Candidate]) -> list[ScoreValue]:
        return _scored(place, limits, candidates)

    return TextScore(
        name=f"function:{place}",
        meaning=f"The value of the function {place}.",
        higher_is_better=True,
        is_share=False,
        scoring=of,
    )


class _FunctionHung(Exception):
    """The function took longer than it may."""


class _FunctionProcess:
    """A process that has loaded the user's function."""

    def __init__(self, place: str, limits: OwnFunctionLimits) -> None:
        self._limits = limits
        self._hung = False
        self._child = subprocess.Popen(
            [sys.executable, "-m", own_function_child.__name__, place, str(limits.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=inherited(),
            start_new_session=True,  # so that what the function starts can be ended with it
        )
        try:
            told = self._answer(None, _START_S)
        except _FunctionHung:
            raise Invalid(f"function: {place}: its file was not imported within {_START_S:g} s.") from None
        if problem := told.get("problem"):
            self.end()
            raise Invalid(f"function: {place}: {problem}. Name a function of a file or module that can be imported.")

    def ask(self, candidate: Candidate) -> dict[str, Any]:
        """The child's answer about a record.

        Raises _FunctionHung when it takes too long, after which the process is gone.
        """
        record = {
            "answer": candidate.answer,
            "prompt": candidate.prompt,
            "references": list(candidate.references),
        }
        return self._answer(json.dumps(record), self._limits.seconds)

    def end(self) -> None:
        """Kill the process and what it has started."""
        if self._child.returncode is None:  # a process that was waited for has no number any more
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdout.close()
        with suppress(BrokenPipeError):  # of a record that nobody reads any more
            self._child.stdin.close()

    def _answer(self, line: str | None, seconds: float) -> dict[str, Any]:
        """The next line of the child, after it was sent one."""
        # Killing the child is what ends a wait for it: both ends of its pipes close then, also where it never reads.
        clock = threading.Timer(seconds, self._kill)
        clock.daemon = True
        clock.start()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        said = ""
        try:
            if line is not None:
                self._child.stdin.write(line + "\n")
                self._child.stdin.flush()
            said = self._child.stdout.readline()
        except BrokenPipeError:
            pass  # it has ended; said below
        finally:
            clock.cancel()
            clock.join()
        if said.endswith("\n") and not self._hung:
            found: dict[str, Any] = json.loads(said)
            return found
        self.end()
        if self._hung:
            raise _FunctionHung
        return {"problem": f"its process ended, {_ended(self._child.returncode)}", "ended": True}

    def _kill(self) -> None:
        self._hung = True
        with suppress(ProcessLookupError):  # where it has just ended by itself
            os.killpg(self._child.pid, signal.SIGKILL)


def _scored(place: str, limits: OwnFunctionLimits, candidates: Sequence[Candidate]) -> list[ScoreValue]:
    values: list[ScoreValue] = []
    process: _FunctionProcess | None = None
    lost = 0
    try:
        for candidate in candidates:
            if lost == _LOST_IN_A_ROW:
                values.append(_problem(place, f"not asked: its process was lost {lost} times in a row"))
                continue
            process = process or _FunctionProcess(place, limits)
            try:
                told = process.ask(candidate)
            except _FunctionHung:
                told = {"problem": f"took more than {limits.seconds:g} s and was killed", "ended": True}
            if told.get("ended"):
                process, lost = None, lost + 1
            else:
                lost = 0
            value = told.get("value")
            values.append(_problem(place, str(told["problem"])) if value is None else ScoreValue(value=float(value)))
    finally:
        if process is not None:
            process.end()
    return values


def _problem(place: str, problem: str) -> ScoreValue:
    return ScoreValue(value=None, why_not=f"{place}: {problem}.")


def _ended(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
