"""Metadata files fetched from S3 under a role."""

from pathlib import Path

from outcrop.data.data import RoleData
from outcrop.knowledge.ingestion.digests import FileVersion, version_of_bytes
from outcrop.knowledge.ingestion.document_files import file_name
from outcrop.knowledge.metadata_files import DocumentAttributes, check_size, read_metadata


def fetch_metadata(data: RoleData, uri: str, place: Path) -> tuple[DocumentAttributes, FileVersion]:
    """The attributes that a metadata file gives, and its version. Raises Invalid for one that is wrong, or not there.

    `place`: where its copy may lie for a moment.
    """
    found, name = data.find(uri), file_name(uri)
    check_size(found.size, name=name)
    data.fetch(uri, place)
    content = place.read_bytes()
    place.unlink()
    attributes = read_metadata(content, name=name)
    version = version_of_bytes(content, found.etag).marked(is_embedded=bool(attributes.embedded))
    return attributes, version
