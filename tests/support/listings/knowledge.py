"""The list operations of knowledge bases. Rows are put on record as the rooms do: no job needs to run for them."""

from datetime import timedelta
from typing import Any

from outcrop.knowledge.ingestion.statistics import IngestionStatistics
from outcrop.knowledge.knowledge_bases import DATA_SOURCE, INGESTION_JOB, KNOWLEDGE_BASE
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState
from outcrop.store.resources import Resource
from tests.support.listings.bedrock import START
from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

BASE, SOURCE = "LISTEDBASE", "LISTEDSRCE"
ROLE = "arn:aws:iam::123456789012:role/r"
CONFIGURATION = {
    "type": "VECTOR",
    "vectorKnowledgeBaseConfiguration": {
        "embeddingModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0"
    },
}
S3 = {"type": "S3", "s3Configuration": {"bucketArn": "arn:aws:s3:::documents"}}


def arn(house: Running, source: str = "") -> str:
    return house.platform.knowledge_bases.arn("us-east-1", BASE, source)


def put(house: Running, kind: str, row_arn: str, name: str, document: dict[str, Any], number: int, status: str) -> None:
    at = START + timedelta(minutes=number)
    row = Resource(
        arn=row_arn, kind=kind, region="us-east-1", name=name, status=status, created=at, updated=at, document=document
    )
    if house.platform.store.resources.get(row_arn) is None:
        house.platform.store.resources.add(row)


def base_document(name: str) -> dict[str, Any]:
    return {"name": name, "roleArn": ROLE, "knowledgeBaseConfiguration": CONFIGURATION, "dimensions": None}


def make_base(house: Running) -> None:
    put(house, KNOWLEDGE_BASE, arn(house), "listed", base_document("listed"), 0, "ACTIVE")


def make_source(house: Running) -> None:
    make_base(house)
    document = {"name": "listed", "knowledgeBaseArn": arn(house), "dataSourceConfiguration": S3}
    put(house, DATA_SOURCE, arn(house, SOURCE), f"{BASE}/listed", document, 0, "AVAILABLE")


def add_base(house: Running, number: int) -> str:
    row_arn = house.platform.knowledge_bases.arn("us-east-1", f"BASE00000{number}")
    put(house, KNOWLEDGE_BASE, row_arn, f"row-{number}", base_document(f"row-{number}"), number, "ACTIVE")
    return f"row-{number}"


def remove_base(house: Running, name: str) -> None:
    house.platform.store.resources.remove(
        house.platform.knowledge_bases.arn("us-east-1", f"BASE00000{name.removeprefix('row-')}")
    )


def add_source(house: Running, number: int) -> str:
    document = {"name": f"row-{number}", "knowledgeBaseArn": arn(house), "dataSourceConfiguration": S3}
    row_arn = arn(house, f"SOURCE000{number}")
    put(house, DATA_SOURCE, row_arn, f"{BASE}/row-{number}", document, number, "AVAILABLE")
    return f"row-{number}"


def remove_source(house: Running, name: str) -> None:
    house.platform.store.resources.remove(arn(house, f"SOURCE000{name.removeprefix('row-')}"))


def add_job(house: Running, number: int) -> str:
    name = f"JOBJOBJOB{number}"
    document = {
        "knowledgeBaseArn": arn(house),
        "dataSourceArn": arn(house, SOURCE),
        "statistics": IngestionStatistics().members(),
    }
    status = ["COMPLETE", "FAILED"][number % 2]
    put(house, INGESTION_JOB, f"{arn(house)}/{INGESTION_JOB}/{name}", name, document, number, status)
    return name


def remove_job(house: Running, name: str) -> None:
    house.platform.store.resources.remove(f"{arn(house)}/{INGESTION_JOB}/{name}")


def add_document(house: Running, number: int) -> str:
    uri = f"s3://documents/{number}.txt"
    row = house.platform.knowledge_bases.find("us-east-1", BASE)
    record = DocumentRecord(key=DocumentKey(SOURCE, uri), state=DocumentState.INDEXED, updated=START.timestamp())
    house.platform.knowledge_indexes.of(row).note([record])
    return uri


def remove_document(house: Running, uri: str) -> None:
    row = house.platform.knowledge_bases.find("us-east-1", BASE)
    house.platform.knowledge_indexes.of(row).remove([DocumentKey(SOURCE, uri)])


def add_tag(house: Running, number: int) -> str:
    client_of(house, "bedrock-agent").tag_resource(resourceArn=arn(house), tags={f"row-{number}": ""})
    return f"row-{number}"


def remove_tag(house: Running, key: str) -> None:
    client_of(house, "bedrock-agent").untag_resource(resourceArn=arn(house), tagKeys=[key])


PAGED: dict[str, Any] = {"size": "maxResults", "tokens": {"nextToken": "nextToken"}}
IN_SOURCE = {"knowledgeBaseId": BASE, "dataSourceId": SOURCE}

LISTINGS = [
    Listing(
        service="bedrock-agent",
        operation="ListKnowledgeBases",
        rows=lambda answer: answer["knowledgeBaseSummaries"],
        name_of=lambda row: row["name"],
        add=add_base,
        remove=remove_base,
        **PAGED,
    ),
    Listing(
        service="bedrock-agent",
        operation="ListDataSources",
        rows=lambda answer: answer["dataSourceSummaries"],
        name_of=lambda row: row["name"],
        prepare=make_base,
        add=add_source,
        remove=remove_source,
        asked=lambda _: {"knowledgeBaseId": BASE},
        **PAGED,
    ),
    Listing(
        service="bedrock-agent",
        operation="ListIngestionJobs",
        rows=lambda answer: answer["ingestionJobSummaries"],
        name_of=lambda row: row["ingestionJobId"],
        prepare=make_source,
        add=add_job,
        remove=remove_job,
        asked=lambda _: IN_SOURCE,
        filters={
            "filters": (
                [{"attribute": "STATUS", "operator": "EQ", "values": ["FAILED"]}],
                lambda row: row["status"] == "FAILED",
            )
        },
        not_filters=frozenset({"sortBy"}),
        **PAGED,
    ),
    Listing(
        service="bedrock-agent",
        operation="ListKnowledgeBaseDocuments",
        rows=lambda answer: answer["documentDetails"],
        name_of=lambda row: row["identifier"]["s3"]["uri"],
        prepare=make_source,
        add=add_document,
        remove=remove_document,
        asked=lambda _: IN_SOURCE,
        **PAGED,
    ),
    Listing(
        service="bedrock-agent",
        operation="ListTagsForResource",
        rows=lambda answer: [{"key": key} for key in sorted(answer["tags"])],
        name_of=lambda row: row["key"],
        prepare=make_base,
        add=add_tag,
        remove=remove_tag,
        asked=lambda house: {"resourceArn": arn(house)},
    ),
]
