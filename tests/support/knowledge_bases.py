"""A served house in which knowledge bases are made by boto3, with a light worker beside it in this process."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.clock import SystemClock
from outcrop.house import House
from outcrop.knowledge.changes.kind import KIND as CHANGE
from outcrop.knowledge.ingestion.kind import KIND as INGESTION
from outcrop.knowledge.passage_index import PassageIndex, SearchQuery
from outcrop.knowledge.passages import Found
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.worker.work import Worker
from tests.support.patience import eventually
from tests.support.servers import Running, running_server

REGION, BUCKET = "us-east-1", "documents"
TITAN = "amazon.titan-embed-text-v2:0"
TITAN_ARN = f"arn:aws:bedrock:{REGION}::foundation-model/{TITAN}"
STARTER = "outcrop.starter-v1"
ENDS = {"COMPLETE", "FAILED", "STOPPED"}
ZERO = {
    "numberOfDocumentsScanned": 0,
    "numberOfMetadataDocumentsScanned": 0,
    "numberOfNewDocumentsIndexed": 0,
    "numberOfModifiedDocumentsIndexed": 0,
    "numberOfMetadataDocumentsModified": 0,
    "numberOfDocumentsDeleted": 0,
    "numberOfDocumentsFailed": 0,
}
_NUMBERS = count(1)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data source in its knowledge base."""

    knowledge_base: str
    id: str

    @property
    def ids(self) -> dict[str, str]:
        return {"knowledgeBaseId": self.knowledge_base, "dataSourceId": self.id}


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """Clients of one served house, and shorthands of what tests do with them."""

    server: Running
    bucket: str = BUCKET
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.server.client(service)
        return self._clients[service]

    @property
    def agent(self) -> Any:
        return self.client("bedrock-agent")

    @property
    def house(self) -> House:
        return self.server.platform

    def put(self, key: str, body: str | bytes, **metadata: Any) -> None:
        """An object, with a metadata file beside it where attributes are given."""
        s3 = self.client("s3")
        s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        if metadata:
            told = json.dumps({"metadataAttributes": metadata})
            s3.put_object(Bucket=self.bucket, Key=f"{key}.metadata.json", Body=told)

    def asked(self, **params: Any) -> dict[str, Any]:
        """The members of a request for a knowledge base."""
        return {
            "name": f"base-{next(_NUMBERS)}",
            "roleArn": self.server.installation.service_role_arn,
            "knowledgeBaseConfiguration": {
                "type": "VECTOR",
                "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": TITAN_ARN},
            },
            **params,
        }

    def create(self, **params: Any) -> str:
        """The id of a new knowledge base."""
        return str(self.agent.create_knowledge_base(**self.asked(**params))["knowledgeBase"]["knowledgeBaseId"])

    def source(
        self, prefix: str = "", *, knowledge_base: str = "", chunking: Mapping[str, Any] | None = None, **params: Any
    ) -> Source:
        """A new data source over a prefix of the bucket, in a new knowledge base if none is named."""
        knowledge_base = knowledge_base or self.create()
        s3 = {"bucketArn": f"arn:aws:s3:::{self.bucket}", **({"inclusionPrefixes": [prefix]} if prefix else {})}
        ingestion = {"vectorIngestionConfiguration": {"chunkingConfiguration": chunking}} if chunking else {}
        created = self.agent.create_data_source(
            knowledgeBaseId=knowledge_base,
            **{
                "name": f"source-{next(_NUMBERS)}",
                "dataSourceConfiguration": {"type": "S3", "s3Configuration": s3},
                **ingestion,
                **params,
            },
        )
        return Source(knowledge_base=knowledge_base, id=created["dataSource"]["dataSourceId"])

    def custom_source(self, *, knowledge_base: str = "") -> Source:
        """A new data source of type CUSTOM."""
        return self.source(knowledge_base=knowledge_base, dataSourceConfiguration={"type": "CUSTOM"})

    def start(self, source: Source) -> dict[str, Any]:
        """A new ingestion job as its request names it."""
        job = self.agent.start_ingestion_job(**source.ids)["ingestionJob"]
        return {**source.ids, "ingestionJobId": job["ingestionJobId"]}

    def ended(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """An ingestion job, once it has ended."""
        eventually(lambda: self.job(job)["status"] in ENDS)
        return self.job(job)

    def job(self, job: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.agent.get_ingestion_job(**job)["ingestionJob"]
        return found

    def ingest(self, source: Source) -> dict[str, Any]:
        """The statistics of an ingestion job that completes, those that are not 0."""
        job = self.ended(self.start(source))
        assert job["status"] == "COMPLETE", job
        print(job.get("failureReasons", ""))  # shown where the test fails
        return {name.removeprefix("numberOf"): number for name, number in job["statistics"].items() if number}

    def index(self, source: Source) -> PassageIndex:
        row = self.house.knowledge_bases.find(REGION, source.knowledge_base)
        return self.house.knowledge_indexes.of(row)

    def search(self, source: Source, text: str, *, most: int = 5) -> list[Found]:
        """The passages that the words find."""
        return self.index(source).search(SearchQuery(text=text, most=most))

    def documents(self, source: Source) -> dict[str, tuple[str, str]]:
        """State and reason of every document, by its URI or id."""
        pages = self.agent.get_paginator("list_knowledge_base_documents").paginate(**source.ids)
        return {
            each["identifier"].get("s3", {}).get("uri") or each["identifier"]["custom"]["id"]: (
                each["status"],
                each.get("statusReason", ""),
            )
            for page in pages
            for each in page["documentDetails"]
        }

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def refusal(action: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Code and message with which a request is refused."""
    with pytest.raises(ClientError) as refused:
        action(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


@contextmanager
def light_work(server: Running) -> Iterator[None]:
    """A light worker of the kinds of job of knowledge bases, with rooms of its own, as in a process of its own."""
    stop = threading.Event()
    with House.open(server.settings, SystemClock()) as house:
        thread = threading.Thread(target=Worker(house, [INGESTION, CHANGE], stop=stop).run_many)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def knowledge_house(home: Path, *, encoder: Path | None = None, works: bool = True) -> Iterator[Knowledge]:
    """A house whose Titan is a text model that stands in, or `encoder`; `works`: with a worker."""
    with running_server(home) as server:
        stand_behind_titan(server.platform, encoder)
        server.client("s3").create_bucket(Bucket=BUCKET)
        knowledge = Knowledge(server=server)
        if works:
            with light_work(server):
                yield knowledge
        else:
            yield knowledge


def stand_behind_titan(house: House, encoder: Path | None) -> None:
    """Let Titan's embedding model be served by an encoder, or by the bundled text model."""
    if encoder is None:
        house.catalog.alias(TITAN, STARTER)
        return
    house.catalog.register(
        encoder,
        model_id="local.vectors",
        name="vectors",
        context_length=64,
        licence="none",
        task=ModelTask.EMBEDDING,
        verdict=ProbeVerdict(way=RunMode.PADDED, config=facts.digest(encoder)),
    )
    house.catalog.alias(TITAN, "local.vectors")
