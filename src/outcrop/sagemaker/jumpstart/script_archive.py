"""The archive with the training script that a JumpStart fine-tuning runs: the same bytes in every process."""

import gzip
import io
import tarfile
from functools import cache
from pathlib import Path

ENTRY = "transfer_learning.py"
KEY = "source-directory-tarballs/outcrop/transfer_learning/textgeneration/sourcedir.tar.gz"
_SCRIPT = Path(__file__).parent / "inside" / ENTRY


@cache
def script_archive() -> bytes:
    """The archive `sourcedir.tar.gz`."""
    content, packed = _SCRIPT.read_bytes(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(ENTRY)
        member.size, member.mode = len(content), 0o644
        tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)
