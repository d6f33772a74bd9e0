"""No table breaks what somebody will copy, however narrow the terminal."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from outcrop.cli.app import run
from outcrop.cli.tables import layout

COLUMNS = ["job", "status", "modelId to invoke"]
ROWS = [
    ["nightly", "InProgress", "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"],
    ["俳句の仕事", "Completed", "outcrop pull sbintuitions.sarashina2-2-0-5b-instruct-v1"],
    ["", "Failed", ""],
]


@pytest.mark.parametrize("width", [None, 10, 40, 80, 97, 98, 200])
def test_no_cell_is_broken_or_cut_at_any_width(width: int | None) -> None:
    lines = [line.plain for line in layout(COLUMNS, ROWS, width=width)]
    for cell in (cell for row in ROWS for cell in row):
        assert any(cell in line for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_a_table_where_it_fits_and_blocks_where_it_does_not() -> None:
    table = [line.plain for line in layout(COLUMNS, ROWS, width=200)]
    assert table[:2] == [
        "job         status      modelId to invoke",
        "nightly     InProgress  arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl",
    ]
    assert [line.plain for line in layout(COLUMNS, ROWS, width=80)][:8] == [
        "nightly",
        "  status             InProgress",
        "  modelId to invoke",
        "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl",
        "",
        "俳句の仕事",
        "  status             Completed",
        "  modelId to invoke  outcrop pull sbintuitions.sarashina2-2-0-5b-instruct-v1",
    ]


def test_what_would_command_the_terminal_is_shown_as_an_escape() -> None:
    lines = [line.plain for line in layout(["id"], [["a\x1b[2Jb\nc"]], width=None)]
    assert lines[1] == "a\\x1b[2Jb\\nc"


@pytest.mark.parametrize("width", ["40", "80", "200"])
@pytest.mark.parametrize("command", [["models"], ["models", "--all"]])
def test_ids_of_the_catalogue_can_be_copied_at_any_width(
    command: list[str], width: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert run([*command, "--home", str(tmp_path), "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert run([*command, "--home", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for entry in entries:
        assert any(entry["id"] in line.split() for line in lines)
        assert any(entry["weights"] in line for line in lines)


def test_what_is_piped_is_as_wide_as_it_is_and_what_is_shown_is_not(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "outcrop.cli.app", "models", "--all", "--home", str(tmp_path)]
    piped = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert piped.splitlines()[0].split() == ["id", "provider", "task", "context", "dialect", "weights", "licence"]
    assert max(map(len, piped.splitlines())) > 100
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environment | {"COLUMNS": "80"}, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        assert process.wait() == 0
    os.close(ours)
    assert max(map(len, shown.decode().splitlines())) <= 80 + len("\x1b[1m\x1b[0m")
