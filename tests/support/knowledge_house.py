"""A knowledge base on record in a house, its passages put into the index without a job."""

from collections.abc import Mapping, Sequence
from typing import Any

from outcrop.house import House
from outcrop.knowledge.knowledge_bases import id_of
from outcrop.knowledge.passages import (
    DocumentKey,
    DocumentRecord,
    DocumentState,
    IndexedDocument,
    Metadata,
    Passage,
)
from tests.support.rule_book import RULES

REGION = "us-east-1"
STAND_IN = "arn:aws:bedrock:us-east-1::foundation-model/outcrop.starter-v1"


def knowledge_base(
    house: House, documents: Mapping[str, str], *, name: str = "rules", metadata: Mapping[str, Metadata] | None = None
) -> str:
    """The id of a knowledge base with these documents, each a passage, found by their words alone."""
    document: dict[str, Any] = {
        "roleArn": house.access.installation.service_role_arn,
        "embeddingModelArn": STAND_IN,
        "dimensions": None,
        "knowledgeBaseConfiguration": {"type": "VECTOR"},
    }
    bases = house.knowledge_bases
    row = bases.add(bases.new_arn(REGION), REGION, name, document)
    source = bases.add_source(row, "texts", {"dataSourceConfiguration": {"type": "S3"}, "dataDeletionPolicy": "DELETE"})
    index = house.knowledge_indexes.of(row)
    for uri, text in documents.items():
        attributes = (metadata or {}).get(uri, {})
        index.put(indexed(id_of(source.arn), uri, [text], metadata=attributes))
    return id_of(row.arn)


def indexed(
    source_id: str, identifier: str, texts: Sequence[str], *, metadata: Metadata, headings: tuple[str, ...] = ()
) -> IndexedDocument:
    """A document of these passages, one behind the other."""
    record = DocumentRecord(
        key=DocumentKey(source_id, identifier), state=DocumentState.INDEXED, metadata=metadata, updated=0.0
    )
    passages, start = [], 0
    for number, text in enumerate(texts):
        chunk_id = f"{identifier}#{number}"
        passages.append(Passage(chunk_id=chunk_id, text=text, headings=headings, start=start, end=start + len(text)))
        start += len(text)
    return IndexedDocument(record=record, passages=passages)


def rule_documents() -> dict[str, str]:
    """The rules of the book, each an object of its own."""
    return {f"s3://rules/{number}.txt": rule.text for number, rule in RULES.items()}


def rule_metadata() -> dict[str, Metadata]:
    """The chapter of each rule, as a number, and its language."""
    return {
        f"s3://rules/{number}.txt": {
            "chapter": int(number.partition(".")[0]),
            "language": "ja" if number.startswith("7") else "en",
        }
        for number in RULES
    }
