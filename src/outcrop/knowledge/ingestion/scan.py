"""The scan of a data source in S3: its documents, and what is on record of them.

Objects come in the order of their keys, and so do records: both are walked along together, in constant memory but for
the ETags of metadata files.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.buckets.records import ObjectRecord
from outcrop.data.data import RoleData
from outcrop.knowledge.metadata_files import ENDING
from outcrop.knowledge.passage_index import PassageIndex
from outcrop.knowledge.passages import DocumentRecord

_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class ScannedDocument:
    """A document of the source, on record or not; or one on record that the source has no more."""

    uri: str
    size: int = 0
    etag: str = ""
    metadata_etag: str = ""
    "Empty for a document without a metadata file."
    exists: bool = True
    record: DocumentRecord | None = None

    @property
    def versions(self) -> str:
        """Stands for what the source has of the document."""
        return f"{self.etag}/{self.metadata_etag}"


@dataclass(frozen=True, kw_only=True)
class SourceCounts:
    """The numbers of documents and metadata files in a source."""

    documents: int
    metadata: Mapping[str, str]
    "The ETag of each metadata file, by the URI of its document."


def place_of(configuration: Mapping[str, Any]) -> str:
    """The S3 URI that every document of a data source begins with."""
    s3 = configuration["s3Configuration"]
    bucket = str(s3["bucketArn"]).rpartition(":::")[2]
    (prefix,) = s3.get("inclusionPrefixes") or ("",)
    return f"s3://{bucket}/{prefix}"


def count(data: RoleData, place: str) -> SourceCounts:
    """The counts of a source. Raises Invalid where it may not be listed."""
    documents, metadata = 0, {}
    for found in _objects(data, place):
        uri = _uri(found)
        if uri.endswith(ENDING):
            metadata[uri.removesuffix(ENDING)] = found.etag
        else:
            documents += 1
    return SourceCounts(documents=documents, metadata=metadata)


def scan(
    data: RoleData, place: str, metadata: Mapping[str, str], index: PassageIndex, data_source_id: str
) -> Iterator[ScannedDocument]:
    """The documents of the source and those on record, in the order of their URIs."""
    records = _records(index, data_source_id)
    record = next(records, None)
    for found in _objects(data, place):
        uri = _uri(found)
        if uri.endswith(ENDING):
            continue
        while record is not None and record.key.identifier < uri:
            yield ScannedDocument(uri=record.key.identifier, exists=False, record=record)
            record = next(records, None)
        own = record if record is not None and record.key.identifier == uri else None
        etag, metadata_etag = found.etag, metadata.get(uri, "")
        yield ScannedDocument(uri=uri, size=found.size, etag=etag, metadata_etag=metadata_etag, record=own)
        if own is not None:
            record = next(records, None)
    while record is not None:
        yield ScannedDocument(uri=record.key.identifier, exists=False, record=record)
        record = next(records, None)


def _objects(data: RoleData, place: str) -> Iterator[ObjectRecord]:
    """Objects with the prefix; keys that end in a slash stand for folders."""
    return (found for found in data.list_objects(place) if not found.key.endswith("/"))


def _uri(found: ObjectRecord) -> str:
    return f"s3://{found.bucket}/{found.key}"


def _records(index: PassageIndex, data_source_id: str) -> Iterator[DocumentRecord]:
    after = ""
    while page := index.records(data_source_id, after=after, most=_PAGE):
        yield from page
        after = page[-1].key.identifier
