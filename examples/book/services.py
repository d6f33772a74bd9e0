"""The services that the example speaks to: a model that reads the book, and a knowledge base that finds in it."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

PATIENT = Config(retries={"mode": "standard", "max_attempts": 12}, read_timeout=600)
ON_AWS = "AWS_ENDPOINT_URL" not in os.environ
EXTRACTS = "outcrop.extractive-v1"
_MOST_TOKENS = 64


@dataclass(frozen=True, kw_only=True)
class BookAnswer:
    """An answer, with the pages that it cites and the share of its sentences that stand on a passage."""

    text: str
    seconds: float
    pages: tuple[int, ...] = ()
    supported: float | None = None
    "None: the model was asked without passages."


@dataclass(frozen=True, kw_only=True)
class BookServices:
    """Clients, and the names of one run."""

    run: str
    role: str = field(default_factory=lambda: os.environ["OUTCROP_ROLE_ARN"])
    s3: Any = field(default_factory=lambda: boto3.client("s3", config=PATIENT), repr=False)
    bedrock: Any = field(default_factory=lambda: boto3.client("bedrock", config=PATIENT), repr=False)
    models: Any = field(default_factory=lambda: boto3.client("bedrock-runtime", config=PATIENT), repr=False)
    agent: Any = field(default_factory=lambda: boto3.client("bedrock-agent", config=PATIENT), repr=False)
    runtime: Any = field(default_factory=lambda: boto3.client("bedrock-agent-runtime", config=PATIENT), repr=False)

    def put(self, key: str, path: Path) -> str:
        """Put a file into the bucket of the run; returns its URI."""
        self.s3.upload_file(str(path), self.run, key)
        return f"s3://{self.run}/{key}"

    def read_on(self, base: str, train: str, validation: str, epochs: int) -> tuple[str, float, float]:
        """Pre-train the base model on; returns a deployment, the minutes and the loss on validation records."""
        began = time.monotonic()
        self.bedrock.create_model_customization_job(
            jobName=self.run,
            customModelName=self.run,
            roleArn=self.role,
            baseModelIdentifier=base,
            customizationType="CONTINUED_PRE_TRAINING",
            trainingDataConfig={"s3Uri": train},
            validationDataConfig={"validators": [{"s3Uri": validation}]},
            outputDataConfig={"s3Uri": f"s3://{self.run}/jobs/"},
            hyperParameters={"epochCount": str(epochs)},
        )
        job = _while(
            ("InProgress", "Stopping"), lambda: self.bedrock.get_model_customization_job(jobIdentifier=self.run)
        )
        if job["status"] != "Completed":
            sys.exit(f"The job {self.run} ended as {job['status']}: {job.get('failureMessage', 'no message')}")
        minutes = (time.monotonic() - began) / 60
        return self._deployed(job["outputModelArn"]), minutes, float(job["validationMetrics"][0]["validationLoss"])

    def _deployed(self, model: str) -> str:
        made = self.bedrock.create_custom_model_deployment(modelDeploymentName=self.run, modelArn=model)
        arn = str(made["customModelDeploymentArn"])
        ended = _while(
            ("Creating",), lambda: self.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)
        )
        if ended["status"] != "Active":
            sys.exit(f"The deployment {self.run} failed: {ended.get('failureMessage')}")
        return arn

    def index(self, prefix: str, encoder: str, tokens: int, storage: Any) -> str:
        """The id of a knowledge base of what stands under a prefix of the bucket. Ends the program where that fails."""
        arn = f"arn:aws:bedrock:{self.s3.meta.region_name}::foundation-model/{encoder}"
        base = self.agent.create_knowledge_base(
            name=self.run,
            roleArn=self.role,
            knowledgeBaseConfiguration={
                "type": "VECTOR",
                "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": arn},
            },
            **({"storageConfiguration": storage} if storage else {}),
        )["knowledgeBase"]["knowledgeBaseId"]
        _while(("CREATING",), lambda: self.agent.get_knowledge_base(knowledgeBaseId=base)["knowledgeBase"])
        fixed = {"maxTokens": tokens, "overlapPercentage": 10}
        chunking = {"chunkingStrategy": "FIXED_SIZE", "fixedSizeChunkingConfiguration": fixed}
        place = {"bucketArn": f"arn:aws:s3:::{self.run}", "inclusionPrefixes": [prefix]}
        source = self.agent.create_data_source(
            knowledgeBaseId=base,
            name="book",
            dataSourceConfiguration={"type": "S3", "s3Configuration": place},
            vectorIngestionConfiguration={"chunkingConfiguration": chunking},
        )["dataSource"]["dataSourceId"]
        ids = {"knowledgeBaseId": base, "dataSourceId": source}
        job = self.agent.start_ingestion_job(**ids)["ingestionJob"]["ingestionJobId"]
        ended = _while(
            ("STARTING", "IN_PROGRESS"),
            lambda: self.agent.get_ingestion_job(**ids, ingestionJobId=job)["ingestionJob"],
        )
        if ended["status"] != "COMPLETE" or ended["statistics"]["numberOfDocumentsFailed"]:
            sys.exit(f"The ingestion ended as {ended['status']}: {'; '.join(ended.get('failureReasons', ['?']))}")
        return str(base)

    def converse(self, model: str, question: str) -> BookAnswer:
        """The answer of a model that sees the question alone."""
        began = time.monotonic()
        said = self.models.converse(
            modelId=model,
            messages=[{"role": "user", "content": [{"text": question}]}],
            inferenceConfig={"maxTokens": _MOST_TOKENS, "temperature": 0.0},
        )
        text = "".join(block.get("text", "") for block in said["output"]["message"]["content"])
        return BookAnswer(text=text, seconds=time.monotonic() - began)

    def retrieve_and_generate(self, base: str, model: str, question: str, results: int) -> BookAnswer:
        """The answer of a model that sees what is found in the book."""
        began = time.monotonic()
        configuration: dict[str, Any] = {
            "knowledgeBaseId": base,
            "modelArn": model,
            "retrievalConfiguration": {"vectorSearchConfiguration": {"numberOfResults": results}},
        }
        if model != EXTRACTS:
            configuration["generationConfiguration"] = {
                "inferenceConfig": {"textInferenceConfig": {"temperature": 0.0, "maxTokens": _MOST_TOKENS}},
                # Outcrop leaves it to sentences of the passages where a base model is small; here it is to be seen.
                **({} if ON_AWS else {"additionalModelRequestFields": {"outcrop_answering": "generative"}}),
            }
        told = self.runtime.retrieve_and_generate(
            input={"text": question},
            retrieveAndGenerateConfiguration={
                "type": "KNOWLEDGE_BASE",
                "knowledgeBaseConfiguration": configuration,
            },
        )
        seconds = time.monotonic() - began
        parts = [part for part in told["citations"] if _text(part).strip()]
        cited = [part["retrievedReferences"] for part in parts]
        supported = sum(map(bool, cited)) / len(parts) if parts else 0.0
        pages = dict.fromkeys(page for references in cited for each in references for page in _page(each["metadata"]))
        return BookAnswer(text=told["output"]["text"], seconds=seconds, pages=tuple(pages), supported=supported)


def _text(part: Mapping[str, Any]) -> str:
    return str(part["generatedResponsePart"]["textResponsePart"]["text"])


def _page(metadata: Mapping[str, Any]) -> list[int]:
    number = metadata.get("x-amz-bedrock-kb-document-page-number")
    return [] if number is None else [int(number)]


def _while(states: Sequence[str], look: Callable[[], Any]) -> Any:
    while (seen := look())["status"] in states:
        time.sleep(0.5)
    return seen
