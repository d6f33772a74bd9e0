"""The C of the package in each width of vectors that this processor has."""

import shutil
from pathlib import Path

import pytest

from outcrop.machine.compiling import Source, compile_to

COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
_CPUINFO = Path("/proc/cpuinfo")
_ABLE = set(_CPUINFO.read_text().split()) if _CPUINFO.is_file() else set()
_FLAGS = {
    "native": ("-march=native",),
    "avx2": ("-mavx2", "-mfma", "-mno-avx512f"),
    "plain": (),
}
WIDTHS = list(_FLAGS)


def compiled(source: Source, width: str, folder: Path) -> Path:
    """The library, in `folder`; skips what this processor cannot run."""
    if width == "avx2" and not {"avx2", "fma"} <= _ABLE:
        pytest.skip("this processor has no AVX2")
    path = folder / f"{source.name}.so"
    compile_to(path, source, str(COMPILER), *_FLAGS[width])
    return path
