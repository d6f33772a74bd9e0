"""The C kernels beside this file, compiled for the processor at hand when they are first wanted.

What a C compiler of the machine makes once is kept in the user's cache, under a name that follows from the source, the
compiler and the processor. Without a compiler there are no kernels, and torch's own operations do the same, slower.
`OUTCROP_KERNELS=0` asks for that.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

_SOURCES = ("attention.c", "rows.c")
_HEADER = "vector.h"
_FLAGS = (
    "-std=gnu11", "-O3", "-shared", "-fPIC",
    "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-psabi",
)  # fmt: skip
_OWN_PROCESSOR = "-march=native"
_COMPILERS = ("cc", "gcc", "clang")
_TIMEOUT_S = 120
_log = logging.getLogger("outcrop.kernels")

_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float


class Strided(ctypes.Structure):
    """`tensor` of attention.c: an address, and the strides of heads and tokens in floats."""

    _fields_ = (("at", _POINTER), ("head", _LONG), ("token", _LONG))


class Library:
    """The kernels of one compiled file, by their names in the source without `outcrop_`. No call holds the
    interpreter's lock, so threads compute side by side."""

    def __init__(self, path: Path) -> None:
        """Raises OSError for what is no such file."""
        found = ctypes.CDLL(str(path))
        records = (_LONG, _POINTER, _LONG, _LONG, _LONG, _FLOAT, _LONG)
        self.attend = _typed(found.outcrop_attend, *records, *[Strided] * 5, result=_INT)
        self.attend_back = _typed(found.outcrop_attend_back, *records, *[Strided] * 9, result=_INT)
        self.norm = _typed(found.outcrop_norm, _LONG, _LONG, _POINTER, _POINTER, _FLOAT, _FLOAT, *[_POINTER] * 2)
        self.norm_back = _typed(found.outcrop_norm_back, _LONG, _LONG, _POINTER, _POINTER, _FLOAT, *[_POINTER] * 4)
        angles = (_POINTER, _POINTER, _FLOAT, _POINTER, _FLOAT, _LONG)
        strided = (_POINTER, _LONG, _LONG)
        self.rotate = _typed(found.outcrop_rotate, _LONG, _LONG, _LONG, *strided, *angles, *strided)
        self.gate = _typed(found.outcrop_gate, _INT, _LONG, *[_POINTER] * 3)
        self.gate_back = _typed(found.outcrop_gate_back, _INT, _LONG, *[_POINTER] * 6)
        self.cross_entropy = _typed(found.outcrop_cross_entropy, _LONG, _LONG, *[_POINTER] * 3, _INT)


def _typed(function: Any, *arguments: type, result: type | None = None) -> Callable[..., Any]:
    function.argtypes, function.restype = arguments, result
    return function  # type: ignore[no-any-return]


def library() -> Library | None:
    """The kernels, or None where there are none to be had; why is logged. `use.trusted` asks once a process."""
    if os.environ.get("OUTCROP_KERNELS") == "0":
        return None
    compilers = dict.fromkeys(found for name in _COMPILERS if (found := shutil.which(name)))
    if not compilers:
        _log.warning(
            "no C compiler (%s) is installed; training goes without the C kernels, slower", ", ".join(_COMPILERS)
        )
    for compiler in compilers:
        try:
            return _loaded(compiler, _cache())
        # platformdirs raises RuntimeError for a user without a home.
        except (OSError, AttributeError, ValueError, RuntimeError, subprocess.SubprocessError) as error:
            _log.warning("training goes without what %s makes of the C kernels, slower: %s", compiler, error)
    return None


def _loaded(compiler: str, folder: Path) -> Library:
    path = folder / f"kernels-{_digest(compiler)}.so"
    if _is_own(path):
        try:
            return Library(path)
        except (OSError, AttributeError) as error:
            _log.warning("%s is compiled anew: %s", path, error)
    compile_to(path, compiler, _OWN_PROCESSOR)
    return Library(path)


def _is_own(path: Path) -> bool:
    """A file that nobody else wrote, or can write: it is executed."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022


def compile_to(path: Path, compiler: str, *flags: str) -> None:
    """A shared library of the kernels at `path`, whole or not at all. Raises OSError with what the compiler said."""
    sources = [str(_here() / name) for name in _SOURCES]
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".compiling-") as folder:
        made = Path(folder) / path.name
        command = [compiler, *_FLAGS, *flags, "-o", str(made), *sources, "-lm"]
        ran = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False)
        if ran.returncode:
            raise OSError(f"{' '.join(command)} ended with {ran.returncode}: {ran.stderr.strip()[-500:]}")
        made.chmod(0o700)  # whatever the umask; a file that a group may write is not trusted the next time
        made.replace(path)


def _cache() -> Path:
    """A folder that nobody else writes to: what lies there is executed. Raises OSError where there is none."""
    folder = platformdirs.user_cache_path("outcrop")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = folder.stat()
    if state.st_uid != os.getuid() or state.st_mode & 0o022:
        raise OSError(f"{folder}: others may write here, so what lies here is not executed; chmod go-w it")
    return folder


def _digest(compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, timeout=_TIMEOUT_S, check=True).stdout
    parts = [version, _processor().encode(), " ".join((*_FLAGS, _OWN_PROCESSOR)).encode()]
    parts += [(_here() / name).read_bytes() for name in (*_SOURCES, _HEADER)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _processor() -> str:
    """What it can do: a home may be shared by machines that differ."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    able = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    return f"{platform.machine()} {able}"


def _here() -> Path:
    return Path(__file__).parent
