"""A disk that is full for a while costs a job nothing but that while, whatever it was doing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parent.parent.parent
MOMENTS = ("", "validating", "step 3", "evaluated at step 6")
UNSHARE = ("unshare", "--map-root-user", "--mount")


def may_mount(folder: Path) -> bool:
    """A disk of one's own is a matter of the kernel's settings where one is not root."""
    if shutil.which("unshare") is None:
        return False
    command = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_job_waits_for_room_and_ends_as_if_the_disk_had_never_been_full(tmp_path: Path) -> None:
    if not may_mount(tmp_path):
        pytest.skip("this kernel lets nobody mount a disk of their own (unshare --map-root-user --mount)")
    command = [*UNSHARE, sys.executable, "-m", "tests.support.full_disk", str(tmp_path), *MOMENTS]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 0, ended.stderr
    undisturbed, *others = json.loads(ended.stdout)
    assert (undisturbed["status"], undisturbed["waited"]) == ("Completed", 0)
    for moment, job in zip(MOMENTS[1:], others, strict=True):
        assert job == {**undisturbed, "waited": 1}, moment
