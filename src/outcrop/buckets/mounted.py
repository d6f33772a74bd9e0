"""A bucket that is kept elsewhere: objects of a real S3, GCS or Azure bucket, or files of a directory.

Both are reached by `obstore`. What is written through the house is received and checked here first, so a broken upload
never gets there, then sent on in blocks. What stands beside the bytes is sent along where the other side keeps it.
Conditions are decided by asking first; only `If-None-Match: *` of a short object is decided by the other side alone.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from outcrop import private
from outcrop.buckets import refusals
from outcrop.buckets.conditions import UNCONDITIONAL, Conditions, Stretch, check_removal, check_write
from outcrop.buckets.records import Details, ObjectRecord
from outcrop.errors import MachineTrouble, ServiceRefusal

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

_BLOCK_BYTES = 1024**2
_SINGLE_BYTES = 64 * 1024**2
_HEADERS = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
}
_LAST_CHARACTER = "\U0010ffff"


class Mounted:
    """The objects behind one URL, under the name of a bucket here."""

    def __init__(self, bucket: str, url: str) -> None:
        self.bucket = bucket
        self.url = url

    @property
    def is_directory(self) -> bool:
        return self.url.startswith("file:")

    @cached_property
    def _store(self) -> "ObjectStore":
        try:
            from obstore.store import from_url
        except ImportError as error:
            raise MachineTrouble("Mounted buckets need obstore. Install it: pip install 'outcrop[mounts]'.") from error
        # An S3 of one's own, named by AWS_ENDPOINT_URL, may speak plain http, which must be allowed by name.
        return from_url(self.url) if self.is_directory else from_url(self.url, client_options={"allow_http": True})

    def find(self, key: str) -> ObjectRecord:
        """Raises NoSuchKey."""
        import obstore

        if not _is_own(key):
            raise refusals.no_such_key(key)
        with self._refused(key):
            answer = obstore.get(self._store, key, options={"head": True})
            details = _details(answer.attributes)
            if self.is_directory:
                details = Details(content_type=guess_type(key)[0] or Details.content_type)
            return self._record(answer.meta, details)

    async def body(self, record: ObjectRecord, stretch: Stretch) -> AsyncIterator[bytes]:
        import obstore

        options: Any = {"range": (stretch.offset, stretch.offset + stretch.length), "if_match": f'"{record.etag}"'}
        with self._refused(record.key):
            answer = await obstore.get_async(self._store, record.key, options=options)
            async for block in answer.stream(min_chunk_size=_BLOCK_BYTES):
                yield bytes(block)

    def blocks(self, key: str, stretch: Stretch | None = None) -> Iterator[bytes]:
        import obstore

        options: Any = {} if stretch is None else {"range": (stretch.offset, stretch.offset + stretch.length)}
        with self._refused(key):
            for block in obstore.get(self._store, key, options=options).stream(min_chunk_size=_BLOCK_BYTES):
                yield bytes(block)

    def path(self, record: ObjectRecord) -> Path | None:  # noqa: ARG002 (a provided bucket knows)
        """None: what is kept elsewhere is copied before it is opened as a file."""
        return None

    def write(self, key: str, content: bytes | Path | Iterator[bytes], details: Details, *, is_new: bool) -> None:
        """`is_new`: raises PreconditionFailed when something is there."""
        import obstore

        if not _is_own(key):
            text = (
                f"{key}: a key that {self.url} cannot hold: between its slashes is nothing, '.' or '..'. Name it anew."
            )
            raise refusals.invalid_request(text)
        # A directory keeps bytes alone. The type is guessed from the name when it is read.
        if self.is_directory and (details.headers or details.metadata or details.tags):
            raise refusals.not_built(
                f"Keeping metadata, tags or content headers in a mounted directory ({self.url})",
                "Leave them out, or mount a bucket that keeps them.",
            )
        if details.storage_class != Details.storage_class:
            raise refusals.not_built("StorageClass in a mounted bucket", "Leave it out.")
        size = len(content) if isinstance(content, bytes) else _size_of(content)
        place = self._place(key)
        made = [] if place is None else [each for each in place.parents if not each.exists()]
        with self._refused(key):
            obstore.put(
                self._store,
                key,
                content,
                attributes=None if self.is_directory else _attributes(details),
                tags=details.tags or None,
                mode="create" if is_new and size is not None and size <= _SINGLE_BYTES else None,
            )
        if place is not None:
            # The home's files are closed to others; a mounted directory is a place of the user, with the user's rights.
            private.open_as_the_user_would([place, *made])

    def _place(self, key: str) -> Path | None:
        """Where the file of a key lies in a mounted directory."""
        return Path(unquote(urlsplit(self.url).path)) / key if self.is_directory else None

    def check_write(self, key: str, conditions: Conditions) -> None:
        """Raises PreconditionFailed, NoSuchKey, as for an object that is kept here."""
        if conditions != UNCONDITIONAL:
            check_write(key, self._present(key), conditions)

    def check_removal(self, key: str, conditions: Conditions) -> None:
        """Raises PreconditionFailed, NoSuchKey before a removal, as for an object that is kept here."""
        if conditions != UNCONDITIONAL:
            check_removal(key, self._present(key), conditions)

    def _present(self, key: str) -> ObjectRecord | None:
        try:
            return self.find(key)
        except ServiceRefusal as refusal:
            if refusal.code != "NoSuchKey":
                raise
            return None

    def remove(self, key: str) -> None:
        """Remove an object from a mounted bucket; one that is not there is removed already."""
        import obstore

        if not _is_own(key):
            return
        try:
            with self._refused(key):
                obstore.delete(self._store, key)
        except ServiceRefusal as refusal:
            if refusal.code != "NoSuchKey":
                raise

    def objects_from(self, prefix: str, start: bytes, end: bytes | None, limit: int) -> list[ObjectRecord]:
        """The first objects under the prefix whose key is not before `start` and before `end`, in order."""
        found: list[ObjectRecord] = []
        for remote in self._listed(prefix, start):
            key = remote["path"].encode()
            if end is not None and key >= end:
                break
            if key >= start and remote["path"].startswith(prefix):
                found.append(self._record(remote, Details()))
                if len(found) == limit:
                    break
        return found

    def _listed(self, prefix: str, start: bytes) -> Iterator["ObjectMeta"]:
        """Everything under the folder of the prefix, in order, from about `start` on."""
        import obstore

        folder = prefix.rpartition("/")[0] or None
        with self._refused(prefix):
            if self.is_directory:  # directories have no order of their own
                files = obstore.list(self._store, folder).collect()
                yield from sorted(files, key=lambda remote: remote["path"].encode())
                return
            for page in obstore.list(self._store, folder, offset=_offset(start), chunk_size=1000):
                yield from page

    def _record(self, remote: "ObjectMeta", details: Details) -> ObjectRecord:
        modified: datetime = remote["last_modified"]
        return ObjectRecord(
            bucket=self.bucket,
            key=remote["path"],
            digest="",
            size=remote["size"],
            etag=(remote["e_tag"] or "").removeprefix("W/").strip('"'),
            modified=modified,
            details=details,
        )

    @contextmanager
    def _refused(self, key: str) -> Iterator[None]:
        """obstore's errors in S3's words."""
        from obstore import exceptions

        try:
            yield
        except (FileNotFoundError, exceptions.NotFoundError) as error:
            raise refusals.no_such_key(key) from error
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            raise refusals.precondition_failed("the object at the other side changed") from error
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError) as error:
            text = f"Access Denied by {self.url}: check the credentials in the environment of the server."
            raise ServiceRefusal("AccessDenied", text, http_status=403) from error
        except (ValueError, exceptions.InvalidPathError) as error:
            text = f"{key}: a key that {self.url} cannot hold ({_first_line(error)})."
            raise refusals.invalid_request(text) from error
        except (exceptions.BaseError, OSError) as error:
            text = f"{self.url} cannot be reached or refused: {_first_line(error)}"
            raise ServiceRefusal("ServiceUnavailable", text, http_status=503) from error


def _is_own(key: str) -> bool:
    """Whether obstore takes the key as it is. It drops slashes at both ends, and knows no `//`, `.` and `..`."""
    return {"", ".", ".."}.isdisjoint(key.split("/"))


def _offset(start: bytes) -> str | None:
    """A text that no wanted key comes before: listings begin behind it (see `listing.after_key`, `after_group`)."""
    if not start:
        return None
    if start.endswith(b"\0"):
        return start[:-1].decode()
    return (start[:-1] + bytes([start[-1] - 1])).decode(errors="ignore") + _LAST_CHARACTER


def _size_of(content: Path | Iterator[bytes]) -> int | None:
    return content.stat().st_size if isinstance(content, Path) else None


def _attributes(details: Details) -> dict[str, str]:
    headers = {_HEADERS[name]: value for name, value in details.headers.items() if name in _HEADERS}
    left = details.headers.keys() - _HEADERS.keys()
    if left:
        raise refusals.not_built(f"{', '.join(sorted(left))} in a mounted bucket", "Leave it out.")
    return {"Content-Type": details.content_type, **headers, **details.metadata}


def _details(attributes: dict[str, str]) -> Details:
    names = {header: name for name, header in _HEADERS.items()}
    return Details(
        content_type=attributes.get("Content-Type", Details.content_type),
        headers={names[header]: value for header, value in attributes.items() if header in names},
        metadata={name: value for name, value in attributes.items() if name not in names and name != "Content-Type"},
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
