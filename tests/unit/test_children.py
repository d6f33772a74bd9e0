"""A child has settled when it was ready once: neither a slow failure nor a slow success is taken for the other."""

import time
from pathlib import Path

import pytest

from outcrop.machine.child import Child
from tests.support.patience import PATIENCE_S


class Script:
    """A Python module of a few lines, run as a child."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str, *, name: str = "script") -> None:
        (folder / f"{name}.py").write_text(lines)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        self.mark = folder / "ready"
        self.child = Child(name, name, [], log=folder / "log", is_ready=lambda _seconds: self.mark.exists())

    def until_it_has_ended(self, times: int) -> None:
        ends = time.monotonic() + PATIENCE_S
        while self.child.restarts < times:
            self.child.keep_alive()
            assert time.monotonic() < ends
            time.sleep(0.01)
        self.child.end()


def test_ends_before_it_was_ready_are_counted_however_long_it_lived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(tmp_path, monkeypatch, "import time; time.sleep(0.3); raise SystemExit(1)")
    script.until_it_has_ended(3)
    assert (script.child.deaths, script.child.failures) == (3, 3)


def test_a_child_that_was_ready_once_has_no_deaths_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = f"import pathlib, time; pathlib.Path({str(tmp_path / 'ready')!r}).touch(); time.sleep(0.3); exit(1)"
    script = Script(tmp_path, monkeypatch, lines)
    script.until_it_has_ended(2)
    assert (script.child.deaths, script.child.failures) == (0, 2)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("print('{\"ends_with\": \"tiny: no weights.\"}'); print('bye'); exit(1)", "tiny: no weights."),
        ("print('/root/x.py: KeyError'); exit(3)", "it ended with status 3, and the log of script has the details"),
        (
            "print('{\"ends_with\"'); print('[1]'); exit(1)",
            "it ended with status 1, and the log of script has the details",
        ),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "it ended with signal 9, and the log of script has the details",
        ),
    ],
)
def test_the_reason_is_what_it_told_or_how_it_ended(
    lines: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(tmp_path, monkeypatch, lines)
    script.until_it_has_ended(1)
    assert script.child.reason() == reason
