"""A knowledge base of rules, by boto3: made, brought up to date, and asked."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config

from .rule_files import Rule

PATIENT = Config(retries={"mode": "standard", "max_attempts": 12}, read_timeout=600)
ON_AWS = "AWS_ENDPOINT_URL" not in os.environ
EXTRACTS = "outcrop.extractive-v1"
_METADATA = ".metadata.json"


@dataclass(frozen=True, kw_only=True)
class Cited:
    """A part of an answer, and the passages that it stands on."""

    text: str
    start: int
    rules: tuple[str, ...]
    uris: tuple[str, ...]
    passages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RuleAnswer:
    """An answer of RetrieveAndGenerate."""

    text: str
    parts: tuple[Cited, ...]
    session: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RuleBase:
    """The clients of one installation, and the knowledge base that the program has made there."""

    bucket: str
    role: str
    s3: Any = field(repr=False)
    agent: Any = field(repr=False)
    runtime: Any = field(repr=False)
    id: str = ""
    source: str = ""
    results: int = 2

    def put(self, rule: Rule) -> None:
        """Put a rule, and its metadata beside it."""
        self.s3.put_object(Bucket=self.bucket, Key=rule.key, Body=rule.body)
        self.s3.put_object(Bucket=self.bucket, Key=f"{rule.key}{_METADATA}", Body=rule.metadata)

    def ingest(self) -> Mapping[str, int]:
        """Bring the knowledge base up to date; returns what was counted. Ends the program where that fails."""
        ids = {"knowledgeBaseId": self.id, "dataSourceId": self.source}
        job = self.agent.start_ingestion_job(**ids)["ingestionJob"]
        ended = wait_while(
            ("STARTING", "IN_PROGRESS", "STOPPING"),
            lambda: self.agent.get_ingestion_job(**ids, ingestionJobId=job["ingestionJobId"])["ingestionJob"],
        )
        if ended["status"] != "COMPLETE" or ended["statistics"]["numberOfDocumentsFailed"]:
            sys.exit(f"The ingestion ended as {ended['status']}: {'; '.join(ended.get('failureReasons', ['?']))}")
        statistics: Mapping[str, int] = ended["statistics"]
        return statistics

    def retrieve(self, question: str) -> Sequence[Mapping[str, Any]]:
        """The passages that are found for a question."""
        found = self.runtime.retrieve(
            knowledgeBaseId=self.id,
            retrievalQuery={"text": question},
            retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": self.results}},
        )
        results: Sequence[Mapping[str, Any]] = found["retrievalResults"]
        return results

    def ask(self, question: str, model: str, *, session: str | None = None) -> RuleAnswer:
        """The answer of a model, by the passages found."""
        began = time.monotonic()
        answer = self.runtime.retrieve_and_generate(**self._request(question, model, session))
        parts = tuple(map(_cited, answer["citations"]))
        seconds = time.monotonic() - began
        return RuleAnswer(text=answer["output"]["text"], parts=parts, session=answer["sessionId"], seconds=seconds)

    def _request(self, question: str, model: str, session: str | None) -> dict[str, Any]:
        configuration: dict[str, Any] = {
            "knowledgeBaseId": self.id,
            "modelArn": model,
            "retrievalConfiguration": {"vectorSearchConfiguration": {"numberOfResults": self.results}},
        }
        if model != EXTRACTS:
            configuration["generationConfiguration"] = {
                "inferenceConfig": {"textInferenceConfig": {"temperature": 0.0, "maxTokens": 96}},
                # Outcrop leaves it to sentences of the passages where a base model is small; here it is to be seen.
                **({} if ON_AWS else {"additionalModelRequestFields": {"outcrop_answering": "generative"}}),
            }
        asked = {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": configuration}
        more = {"sessionId": session} if session else {}
        return {"input": {"text": question}, "retrieveAndGenerateConfiguration": asked, **more}


def build(run: str, rules: Sequence[Rule], encoder: str, *, tokens: int, results: int, storage: Any) -> RuleBase:
    """Put rules into a bucket, and make a knowledge base with a data source over them; nothing is read yet."""
    names = {"s3": "s3", "agent": "bedrock-agent", "runtime": "bedrock-agent-runtime"}
    clients = {name: boto3.client(service, config=PATIENT) for name, service in names.items()}
    role = os.environ["OUTCROP_ROLE_ARN"]
    base = RuleBase(bucket=run, role=role, **clients)
    base.s3.create_bucket(Bucket=run)
    for rule in rules:
        base.put(rule)
    region = base.s3.meta.region_name
    arn = f"arn:aws:bedrock:{region}::foundation-model/{encoder}"
    made = base.agent.create_knowledge_base(
        name=run,
        roleArn=role,
        knowledgeBaseConfiguration={
            "type": "VECTOR",
            "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": arn},
        },
        **({"storageConfiguration": storage} if storage else {}),
    )["knowledgeBase"]
    wait_while(
        ("CREATING",),
        lambda: base.agent.get_knowledge_base(knowledgeBaseId=made["knowledgeBaseId"])["knowledgeBase"],
    )
    fixed = {"maxTokens": tokens, "overlapPercentage": 10}
    source = base.agent.create_data_source(
        knowledgeBaseId=made["knowledgeBaseId"],
        name="rules",
        dataSourceConfiguration={
            "type": "S3",
            "s3Configuration": {"bucketArn": f"arn:aws:s3:::{run}", "inclusionPrefixes": ["rules/"]},
        },
        vectorIngestionConfiguration={
            "chunkingConfiguration": {"chunkingStrategy": "FIXED_SIZE", "fixedSizeChunkingConfiguration": fixed}
        },
    )["dataSource"]["dataSourceId"]
    return RuleBase(bucket=run, role=role, **clients, id=made["knowledgeBaseId"], source=source, results=results)


def wait_while(states: Sequence[str], look: Callable[[], Any], *, every_s: float = 0.5) -> Any:
    """Look again and again until the status is none of these."""
    while (seen := look())["status"] in states:
        time.sleep(every_s)
    return seen


def _cited(citation: Mapping[str, Any]) -> Cited:
    part = citation["generatedResponsePart"]["textResponsePart"]
    references = citation["retrievedReferences"]
    return Cited(
        text=part["text"],
        start=part["span"]["start"],
        rules=tuple(str(each["metadata"]["rule"]) for each in references),
        uris=tuple(each["location"]["s3Location"]["uri"] for each in references),
        passages=tuple(each["content"]["text"] for each in references),
    )
