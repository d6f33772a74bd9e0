"""Copies of objects on this machine's disk: named safely, verified against their ETag, and whole or not there."""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.records import ObjectRecord
from outcrop.errors import Invalid, MachineTrouble

_MOST_NAME_BYTES = 255


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A temporary path for what is to appear at `path`, a file or a folder. On an error nothing of it stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    _remove(part)  # from a process that was killed here
    try:
        yield part
        part.replace(path)
    finally:
        _remove(part)


def copy(buckets: Buckets, record: ObjectRecord, file: Path) -> None:
    """Copy the object's bytes to `file`, and hold them against its ETag. Raises Refusal, MachineTrouble, OSError."""
    etag = _ETag(part_sizes=[piece.size for piece in buckets.pieces(record)])
    with file.open("wb") as target:
        for block in buckets.blocks(record):
            target.write(block)
            etag.update(block)
    sealed = record.details.encryption
    if sealed is not None and sealed.hides_digests:
        good = etag.size == record.size  # each of its bytes was authenticated when it was opened
    elif buckets.is_mounted(record.bucket):
        # Elsewhere an ETag need not be an MD5; that it is still the same says that nobody wrote meanwhile.
        good = etag.size == record.size and buckets.find(record.bucket, record.key).etag == record.etag
    else:
        good = etag.size == record.size and etag.value == record.etag
    if not good:
        raise MachineTrouble(
            f"s3://{record.bucket}/{record.key}: its bytes are not those that were put there: their ETag is "
            f"{etag.value}, and should be {record.etag}. Upload the object again, or restore its file from a backup."
        )


class _ETag:
    """The ETag of bytes that pass by: their MD5. Of an upload in parts it is the MD5 of its parts' MD5s."""

    def __init__(self, *, part_sizes: list[int]) -> None:
        self._part_sizes = part_sizes
        self._left = part_sizes[0] if part_sizes else 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._before: list[bytes] = []
        self.size = 0

    def update(self, block: bytes) -> None:
        self.size += len(block)
        rest = memoryview(block)
        while len(rest) > self._left and len(self._before) + 1 < len(self._part_sizes):
            self._digest.update(rest[: self._left])
            rest = rest[self._left :]
            self._before.append(self._digest.digest())
            self._digest = hashlib.md5(usedforsecurity=False)
            self._left = self._part_sizes[len(self._before)]
        self._digest.update(rest)
        self._left -= len(rest)

    @property
    def value(self) -> str:
        if not self._part_sizes:
            return self._digest.hexdigest()
        parts = b"".join([*self._before, self._digest.digest()])
        return f"{hashlib.md5(parts, usedforsecurity=False).hexdigest()}-{len(self._part_sizes)}"


def names_of(keys: Iterable[str], *, prefix: str) -> dict[str, str]:
    """The relative path of each object's file, by key. Raises Invalid for a key that no folder can hold beside the
    others."""
    begin = prefix.rfind("/") + 1
    names = {key: key[begin:] for key in keys if not key.endswith("/")}
    files = set(names.values())
    for key, name in names.items():
        parts = name.split("/")
        unsafe = any(part in ("", ".", "..") or "\0" in part or len(part.encode()) > _MOST_NAME_BYTES for part in parts)
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if unsafe or above & files:
            raise Invalid(
                f"{key}: a key that no folder can hold: between its slashes is nothing, '.', '..' or too much, or part "
                "of it names another file. Give the object another key."
            )
    return names


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
