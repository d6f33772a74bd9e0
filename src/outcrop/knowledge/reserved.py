"""Reserved attributes: what Bedrock tells about each passage beside its document's own metadata."""

from outcrop.knowledge.passages import DocumentKey, Metadata, MetadataValue

PREFIX = "x-amz-bedrock-kb-"
SOURCE_URI = f"{PREFIX}source-uri"
DATA_SOURCE_ID = f"{PREFIX}data-source-id"
MODALITY = f"{PREFIX}source-file-modality"
CHUNK_ID = f"{PREFIX}chunk-id"
PAGE_NUMBER = f"{PREFIX}document-page-number"


def document_attributes(key: DocumentKey) -> dict[str, MetadataValue]:
    """Reserved attributes that all passages of a document have. Only a document of S3 has a URI."""
    attributes: dict[str, MetadataValue] = {DATA_SOURCE_ID: key.data_source_id, MODALITY: "TEXT"}
    if key.identifier.startswith("s3://"):
        attributes[SOURCE_URI] = key.identifier
    return attributes


def attributes_of(key: DocumentKey, metadata: Metadata, *, chunk_id: str, page: int | None) -> Metadata:
    """All attributes of a passage: its document's own, and those reserved."""
    attributes = {**metadata, **document_attributes(key), CHUNK_ID: chunk_id}
    return attributes if page is None else {**attributes, PAGE_NUMBER: page}
