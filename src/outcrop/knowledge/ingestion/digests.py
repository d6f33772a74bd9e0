"""Digests by which a document is known to be unchanged: of its bytes, and of its object in S3.

On record they stand as `SHA-256:ETag`. An object with the ETag on record is not even read; one with another ETag and
the same bytes is not indexed again. A metadata file some of whose attributes are embedded has `:embedded` behind it.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from outcrop.knowledge.passages import DocumentRecord

_READ_BYTES = 1 << 20
_EMBEDDED = "embedded"


@dataclass(frozen=True, kw_only=True)
class FileVersion:
    """A version of a file as records keep it."""

    sha256: str = ""
    etag: str = ""
    is_embedded: bool = False
    "Of a metadata file: whether some of it is embedded, so that a change of it changes vectors."

    @classmethod
    def read(cls, digest: str) -> "FileVersion":
        """The version that a record's digest tells."""
        sha256, _, rest = digest.partition(":")
        etag, _, mark = rest.partition(":")
        return cls(sha256=sha256, etag=etag, is_embedded=mark == _EMBEDDED)

    @property
    def digest(self) -> str:
        """The digest as a record keeps it; empty for a file that is not there."""
        if not self.sha256:
            return ""
        return ":".join([self.sha256, self.etag, *([_EMBEDDED] if self.is_embedded else [])])

    def marked(self, *, is_embedded: bool) -> "FileVersion":
        return replace(self, is_embedded=is_embedded)


def version_of(file: Path, etag: str = "") -> FileVersion:
    """The version of a file whose object has this ETag."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_READ_BYTES):
            digest.update(block)
    return FileVersion(sha256=digest.hexdigest(), etag=etag)


def version_of_bytes(content: bytes, etag: str = "") -> FileVersion:
    """The version of bytes at hand."""
    return FileVersion(sha256=hashlib.sha256(content).hexdigest(), etag=etag)


class DocumentChange(NamedTuple):
    """The parts of a document that are new."""

    passages: bool
    "Whether they have to be made anew, with their vectors."
    metadata: bool


def change_between(before: DocumentRecord, now: DocumentRecord) -> DocumentChange:
    """The change from one indexed version of a document to another."""
    old, new = FileVersion.read(before.metadata_digest), FileVersion.read(now.metadata_digest)
    metadata = old.sha256 != new.sha256
    content = FileVersion.read(before.content_digest).sha256 != FileVersion.read(now.content_digest).sha256
    return DocumentChange(content or (metadata and (old.is_embedded or new.is_embedded)), metadata)
