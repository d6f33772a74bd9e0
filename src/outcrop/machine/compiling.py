"""C of this package, compiled for the processor at hand when it is first wanted.

What a C compiler of the machine makes once is kept in the user's cache, under a name that follows from the source, the
compiler and the processor. Where none can be had, each user of it has another way that does the same, slower.
"""

import hashlib
import logging
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from outcrop import private
from outcrop.machine.environment import inherited

_FLAGS = (
    "-std=gnu11", "-O3", "-shared", "-fPIC",
    "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-psabi",
)  # fmt: skip
_OWN_PROCESSOR = "-march=native"
COMPILERS = ("cc", "gcc", "clang")
_TIMEOUT_S = 120
Library = TypeVar("Library")


@dataclass(frozen=True, kw_only=True)
class Source:
    """The files that are compiled together into a library, and the warning where they cannot be."""

    name: str
    files: tuple[Path, ...]
    headers: tuple[Path, ...] = ()
    without: str
    "How its user goes on: `training goes without the C kernels, slower`."
    log: logging.Logger


def typed(function: Any, *arguments: type, result: type | None = None) -> Callable[..., Any]:
    """A function of a library with its types declared."""
    function.argtypes, function.restype = arguments, result
    return function  # type: ignore[no-any-return]


def loaded(source: Source, library: Callable[[Path], Library]) -> Library | None:
    """The library that `library` makes of the compiled file, or None where there is none to be had. The reason is
    logged.

    `library` raises OSError or AttributeError for what is no such file.
    """
    compilers = dict.fromkeys(found for name in COMPILERS if (found := shutil.which(name)))
    if not compilers:
        source.log.warning("no C compiler (%s) is installed; %s", ", ".join(COMPILERS), source.without)
    for compiler in compilers:
        try:
            return _loaded(source, library, compiler)
        # platformdirs raises RuntimeError for a user without a home.
        except (OSError, AttributeError, ValueError, RuntimeError, subprocess.SubprocessError) as error:
            source.log.warning("%s; what %s said: %s", source.without, compiler, error)
    return None


def _loaded(source: Source, library: Callable[[Path], Library], compiler: str) -> Library:
    path = _cache() / f"{source.name}-{_digest(source, compiler)}.so"
    if _is_own(path):
        try:
            return library(path)
        except (OSError, AttributeError) as error:
            source.log.warning("%s is compiled anew: %s", path, error)
    compile_to(path, source, compiler, _OWN_PROCESSOR)
    return library(path)


def _is_own(path: Path) -> bool:
    """A file that nobody else wrote, or can write: it is executed."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022


def compile_to(path: Path, source: Source, compiler: str, *flags: str) -> None:
    """A shared library at `path`, whole or not at all. Raises OSError with what the compiler said."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".compiling-") as folder:
        made = Path(folder) / path.name
        command = [compiler, *_FLAGS, *flags, "-o", str(made), *map(str, source.files), "-lm"]
        ran = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False, env=inherited()
        )
        if ran.returncode:
            raise OSError(f"{' '.join(command)} ended with {ran.returncode}: {ran.stderr.strip()[-500:]}")
        made.chmod(0o700)  # whatever the umask; a file that a group may write is not trusted the next time
        made.replace(path)


def processor() -> str:
    """The machine type and the processor's features: a home may be shared by machines that differ."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    able = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    return f"{platform.machine()} {able}"


def _cache() -> Path:
    """A folder that nobody else writes to: what lies there is executed. Raises OSError where there is none."""
    folder = platformdirs.user_cache_path("outcrop")
    if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid():
        if folder.stat().st_mode & 0o022:
            raise OSError(f"{folder}: others may write here, so what lies here is not executed; chmod go-w it")
        private.close_to_others(folder)  # others could read here, never write: what lies here is our own
    return private.private_folder(folder)


def _digest(source: Source, compiler: str) -> str:
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, timeout=_TIMEOUT_S, check=True, env=inherited()
    ).stdout
    parts = [version, processor().encode(), " ".join((*_FLAGS, _OWN_PROCESSOR)).encode()]
    parts += [file.read_bytes() for file in (*source.files, *source.headers)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
