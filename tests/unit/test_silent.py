"""Looking at the descriptors of this process takes nothing away from whoever holds them."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from outcrop.server import silent

_TRY = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors are listed by Linux alone")
def test_a_lock_on_a_file_outlives_the_look(tmp_path: Path) -> None:
    """SQLite's locks are of this kind: one that goes unnoticed lets another process remove the files of its log."""

    def is_free() -> bool:
        return subprocess.run([sys.executable, "-c", _TRY, str(file)], capture_output=True, check=False).returncode == 0

    file = tmp_path / "database"
    file.write_bytes(b"rows")
    with file.open("r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        assert not is_free()
        for descriptor in os.listdir("/proc/self/fd"):
            silent._close_if_silent(int(descriptor), port=1, after_s=0)
        assert not is_free()
        held.write(b"more")  # and it is still open
    assert is_free()
