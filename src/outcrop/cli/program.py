"""The program that `outcrop run` is given: found before anything is started for it."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from outcrop.errors import Invalid


def check_program(command: Sequence[str]) -> None:
    """Raises Invalid for a command that is missing, or names no program."""
    if not command or not command[0]:
        raise Invalid("run: no command. Name one after two dashes: outcrop run -- python demo.py")
    name = command[0]
    if os.sep in name:
        _check_file(name)
        _check_interpreter(Path(name))
        return
    found = shutil.which(name)
    if found is None:
        raise Invalid(f"{name}: no such program on the PATH.{_in_this_folder(name)}")
    _check_interpreter(Path(found))


def start(command: Sequence[str], environment: Mapping[str, str], *, umask: int = -1) -> "subprocess.Popen[bytes]":
    """The program, in a session of its own; its files are the user's own, by `umask`.

    Raises Invalid for a file that the system cannot run.
    """
    try:
        return subprocess.Popen(command, env=environment, start_new_session=True, umask=umask)
    except OSError as error:
        raise Invalid(
            f"{command[0]}: the system cannot run it ({error.strerror}). {_how_to_run(Path(command[0]))}"
        ) from error


def _check_file(name: str) -> None:
    path = Path(name)
    if path.is_dir():
        raise Invalid(f"{name}: a folder, not a program.")
    if not path.exists():
        raise Invalid(f"{name}: no such file.")
    if not os.access(path, os.X_OK):
        raise Invalid(f"{name}: not executable. {_how_to_run(path)}")


def _check_interpreter(path: Path) -> None:
    """The kernel says "no such file" of a script whose interpreter is missing, and means another one."""
    try:
        with path.open("rb") as file:
            first = file.read(256)
    except OSError:
        return  # what may be run may still be unreadable
    if first.startswith(b"#!"):
        words = first.splitlines()[0][2:].split()
        interpreter = os.fsdecode(words[0]) if words else ""
        if not interpreter or not Path(interpreter).exists():
            raise Invalid(f"{path}: its first line names an interpreter that is not there: {interpreter}")
    elif first.isascii() and b"\0" not in first:
        what = "text without #! and an interpreter in its first line" if first else "an empty file"
        raise Invalid(f"{path}: {what}, so the system cannot run it. {_how_to_run(path)}")


def _how_to_run(path: Path) -> str:
    with_what = {".py": "python", ".sh": "sh"}.get(path.suffix, "an interpreter")
    if os.access(path, os.X_OK):
        return f"Put {with_what} before it."
    return f"Make it so (chmod +x), or put {with_what} before it."


def _in_this_folder(name: str) -> str:
    return f" A file of this name is in this folder: write ./{name} for it." if Path(name).is_file() else ""
