"""Sources of a knowledge base: files of this machine that are put into a bucket, or objects of one.

A folder's files go under a prefix that is the folder's alone: what is there already is not sent again, and what the
folder has no more is deleted there too, so that the knowledge base forgets it.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid

METADATA_ENDING = ".metadata.json"
_REMOVED_TOGETHER = 1000
_LONGEST_DESCRIPTION = 200


@dataclass(frozen=True, kw_only=True)
class DocumentSource:
    """A folder, a file, or a prefix of a bucket, that becomes a data source."""

    name: str
    "Of the data source."
    place: str
    "As it was told: an absolute path, or an s3:// URI."
    bucket: str
    prefix: str
    files: Mapping[str, Path]
    "By key; empty for objects that are in a bucket already."

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def description(self) -> str:
        """The place, by which two folders of one name are told apart."""
        if len(self.place) <= _LONGEST_DESCRIPTION:
            return self.place
        digest = hashlib.sha256(self.place.encode("utf-8", "surrogateescape")).hexdigest()
        return f"{self.place[: _LONGEST_DESCRIPTION - 20]} ({digest[:12]})"


@dataclass(frozen=True, kw_only=True)
class SentFiles:
    """The objects of a source that were put into its bucket, or taken out of it."""

    put: int
    removed: int


def read_source(given: str, knowledge_base: str, bucket: str) -> DocumentSource:
    """The source that a word of the command line names. Raises Invalid for none, and for one without a file."""
    if given.startswith("s3://"):
        named, _, prefix = given.removeprefix("s3://").partition("/")
        if not named:
            raise Invalid(f"{given}: it names no bucket. Write s3://bucket/prefix/.")
        return DocumentSource(name=_name(f"{named}-{prefix}"), place=given, bucket=named, prefix=prefix, files={})
    path = Path(given).expanduser().resolve()
    if not path.exists():
        raise Invalid(f"{given}: no such file or folder.")
    name = _name(path.name)
    prefix = f"{knowledge_base}/{name}/"
    files = {f"{prefix}{key}": file for key, file in _files(path)}
    if not files:
        raise Invalid(f"{given}: there is no file in it.")
    return DocumentSource(name=name, place=str(path), bucket=bucket, prefix=prefix, files=files)


def send(s3: Any, source: DocumentSource) -> SentFiles:
    """Bring the files of a source into its bucket: those that differ are put, those that are gone are deleted."""
    if not source.files:
        return SentFiles(put=0, removed=0)
    there = dict(_objects(s3, source))
    wanted = {key: file for key, file in source.files.items() if there.get(key) != _etag(file)}
    for key, file in wanted.items():
        with file.open("rb") as content:
            s3.put_object(Bucket=source.bucket, Key=key, Body=content)
    gone = [key for key in there if key not in source.files]
    for start in range(0, len(gone), _REMOVED_TOGETHER):
        keys = [{"Key": key} for key in gone[start : start + _REMOVED_TOGETHER]]
        failed = s3.delete_objects(Bucket=source.bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors")
        if failed:
            raise Invalid(f"s3://{source.bucket}/{failed[0]['Key']}: it is not deleted: {failed[0]['Message']}")
    return SentFiles(put=len(wanted), removed=len(gone))


def num_documents(s3: Any, source: DocumentSource) -> int:
    """The documents that an ingestion of the source will look at."""
    keys = list(source.files) or [key for key, _ in _objects(s3, source)]
    return sum(not key.endswith((METADATA_ENDING, "/")) for key in keys)


def make_bucket(s3: Any, bucket: str, region: str) -> None:
    """Create the bucket, unless it is there."""
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **place)
    except s3.exceptions.BucketAlreadyOwnedByYou:
        return


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder by their place in it, in order; hidden ones are left out."""
    if path.is_file():
        yield _key(path.name), path
        return
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in inside.parts):
            yield _key(inside.as_posix()), file


def _key(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"{name!r}: its name is not UTF-8, as keys of a bucket are. Rename it.") from error
    return name


def _objects(s3: Any, source: DocumentSource) -> Iterator[tuple[str, str]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=source.bucket, Prefix=source.prefix)
    for page in pages:
        for each in page.get("Contents", ()):
            yield each["Key"], each["ETag"].strip('"')


def _etag(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _name(text: str) -> str:
    """A name that Bedrock takes: letters, digits, single dashes and underscores."""
    plain = re.sub(r"[^0-9A-Za-z]+", "-", text).strip("-")[:100]
    if plain:
        return plain
    return f"source-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
