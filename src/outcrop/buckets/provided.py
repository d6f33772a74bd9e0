"""Buckets that the installation provides: objects to read, made of values and of files that lie elsewhere anyway.

Nothing is copied and nothing is on record. Who provides a bucket says by name what is in it, each time anew; a file is
read where it lies. Nobody writes into such a bucket, and nobody else can have one of its name.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from outcrop.buckets import refusals
from outcrop.buckets.conditions import Conditions, Stretch
from outcrop.buckets.records import BucketRecord, Details, ObjectRecord
from outcrop.protocol.http import FileBody

_BLOCK_BYTES = 1024**2
_TYPES = {".json": "application/json", ".gz": "application/x-tar", ".txt": "text/plain"}


@dataclass(frozen=True, kw_only=True)
class ProvidedValue:
    """The bytes of an object that is made rather than kept."""

    content: bytes
    modified: datetime


@dataclass(frozen=True, kw_only=True)
class ProvidedContent:
    """All objects of one provided bucket, by key."""

    region: str
    objects: Mapping[str, ProvidedValue | Path]
    tags: Mapping[str, str] = field(default_factory=dict)
    "Of every object: policies may ask for them."


Provider = Callable[[str], ProvidedContent | None]
"""The content of the bucket of a name; None for a name that is not provided."""


def nothing_provided(_bucket: str) -> None:
    """The provider of no bucket."""
    return


class Provided:
    """A provided bucket as it is at this moment, read like a bucket that is kept elsewhere."""

    def __init__(self, bucket: str, content: ProvidedContent) -> None:
        self.bucket = bucket
        self._content = content

    @property
    def record(self) -> BucketRecord:
        """The bucket; it is as old as its oldest object."""
        moments = [record.modified for key in self._content.objects if (record := self._record(key)) is not None]
        created = min(moments, default=datetime.fromtimestamp(0, UTC))
        return BucketRecord(name=self.bucket, region=self._content.region, created=created)

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._content.tags)

    def find(self, key: str) -> ObjectRecord:
        """Raises NoSuchKey."""
        found = self._record(key) if key in self._content.objects else None
        if found is None:
            raise refusals.no_such_key(key)
        return found

    def body(self, record: ObjectRecord, stretch: Stretch) -> bytes | FileBody | AsyncIterator[bytes]:
        """The bytes of a stretch, to be sent."""
        source = self._source(record)
        if isinstance(source, Path):
            return FileBody(path=source, offset=stretch.offset, length=stretch.length)
        return source[stretch.offset : stretch.offset + stretch.length]

    def blocks(self, key: str, stretch: Stretch | None = None) -> Iterator[bytes]:
        record = self.find(key)
        source, whole = self._source(record), stretch or Stretch(0, record.size)
        if isinstance(source, bytes):
            yield source[whole.offset : whole.offset + whole.length]
            return
        with source.open("rb") as file:
            file.seek(whole.offset)
            left = whole.length
            while left and (block := file.read(min(_BLOCK_BYTES, left))):
                left -= len(block)
                yield block

    def path(self, record: ObjectRecord) -> Path | None:
        """The file that holds an object; None for one that is made."""
        source = self._source(record)
        return source if isinstance(source, Path) else None

    def objects_from(self, prefix: str, start: bytes, end: bytes | None, limit: int) -> list[ObjectRecord]:
        """The first objects under the prefix whose key is not before `start` and before `end`, in order."""
        wanted = sorted(key.encode() for key in self._content.objects if key.startswith(prefix))
        found: list[ObjectRecord] = []
        for key in wanted:
            if key < start or (end is not None and key >= end):
                continue
            if (record := self._record(key.decode())) is not None:
                found.append(record)
                if len(found) == limit:
                    break
        return found

    def write(self, _key: str, _content: object, _details: Details, *, is_new: bool) -> NoReturn:  # noqa: ARG002
        raise self._refusal

    def check_write(self, _key: str, _conditions: Conditions) -> NoReturn:
        raise self._refusal

    def check_removal(self, _key: str, _conditions: Conditions) -> NoReturn:
        raise self._refusal

    def remove(self, _key: str) -> NoReturn:
        raise self._refusal

    @property
    def _refusal(self) -> Exception:
        return refusals.provided(self.bucket)

    def _source(self, record: ObjectRecord) -> bytes | Path:
        found = self._content.objects.get(record.key)
        if found is None:  # it has vanished since it was found
            raise refusals.no_such_key(record.key)
        return found if isinstance(found, Path) else found.content

    def _record(self, key: str) -> ObjectRecord | None:
        """None for a file that is not there any more."""
        source = self._content.objects[key]
        details = Details(content_type=_TYPES.get(Path(key).suffix, Details.content_type), tags=self.tags)
        if isinstance(source, ProvidedValue):
            etag = hashlib.md5(source.content, usedforsecurity=False).hexdigest()
            return self._made(key, len(source.content), etag, source.modified, details)
        try:
            state = source.stat()
        except OSError:
            return None
        # In the form of an upload in parts: clients do not take it for the MD5 of gigabytes, which nobody has read.
        known = f"{state.st_ino}:{state.st_size}:{state.st_mtime_ns}".encode()
        etag = f"{hashlib.md5(known, usedforsecurity=False).hexdigest()}-1"
        modified = datetime.fromtimestamp(state.st_mtime, UTC)
        return self._made(key, state.st_size, etag, modified, details)

    def _made(self, key: str, size: int, etag: str, modified: datetime, details: Details) -> ObjectRecord:
        return ObjectRecord(
            bucket=self.bucket, key=key, digest="", size=size, etag=etag, modified=modified, details=details
        )
