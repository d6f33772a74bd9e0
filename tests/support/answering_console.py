"""A console over a house with documents, an engine that answers in words, and a light worker: no network, no training."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from outcrop.clock import SystemClock
from outcrop.evaluation.jobs.kind import KIND as EVALUATION
from outcrop.house import House
from outcrop.knowledge.changes.kind import KIND as CHANGE
from outcrop.knowledge.ingestion.kind import KIND as INGESTION
from outcrop.worker.work import Worker
from tests.support.consoles import RunningConsole, running_console
from tests.support.engine_double import Script
from tests.support.evaluation_house import BASE, in_words
from tests.support.knowledge_bases import TITAN
from tests.support.patience import eventually
from tests.support.servers import Running, running_server
from tests.support.speaking_engine import speaking_engine

BUCKET, RIVAL = "shelf", "amazon.titan-text-lite-v1"
"The bucket, and a second name of the model that answers, so that two can be compared."
TUNE = 'X:1\nT:Low Road\nM:6/8\nL:1/8\nK:G\n|: "G"GAB d2B | "D"A2F DEF | "G"GAB d2e | "D"dBA "G"G3 :|\n'
VERSE = "ふるいけや かわずとびこむ みずのおと"
RULES = """# Fees

The fee of an application is 2,500 dollars. It is paid once, and not given back.

# Lamps

Each tram carries two lamps. A lamp that is broken is replaced within a day.
"""


def says(prompt: str) -> str:
    """The engine's answer to a prompt."""
    if "tune" in prompt:
        return TUNE
    if "verse" in prompt:
        return VERSE
    return "Tokyo is the capital." if "Japan" in prompt else "Paris."


@dataclass(frozen=True, kw_only=True)
class AnsweringConsole:
    """The parts that tests ask."""

    server: Running
    console: RunningConsole

    @property
    def s3(self) -> Any:
        return self.server.client("s3")

    def put(self, key: str, *records: dict[str, Any]) -> str:
        """The address of a new object of JSON lines."""
        body = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def admin(self) -> httpx.Client:
        key = self.server.installation
        return self.console.signed_in(key.access_key_id, key.secret_access_key)

    def knowledge_base(self, name: str) -> dict[str, str]:
        """A knowledge base of the rules, read: its id and that of its source."""
        agent = self.server.client("bedrock-agent")
        encoder = f"arn:aws:bedrock:us-east-1::foundation-model/{TITAN}"
        base = agent.create_knowledge_base(
            name=name,
            roleArn=self.server.installation.service_role_arn,
            knowledgeBaseConfiguration={
                "type": "VECTOR",
                "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": encoder},
            },
        )["knowledgeBase"]["knowledgeBaseId"]
        s3 = {"bucketArn": f"arn:aws:s3:::{BUCKET}", "inclusionPrefixes": ["rules/"]}
        source = agent.create_data_source(
            knowledgeBaseId=base, name="rules", dataSourceConfiguration={"type": "S3", "s3Configuration": s3}
        )["dataSource"]["dataSourceId"]
        ids = {"knowledgeBaseId": base, "dataSourceId": source}
        job = agent.start_ingestion_job(**ids)["ingestionJob"]["ingestionJobId"]
        eventually(lambda: agent.get_ingestion_job(**ids, ingestionJobId=job)["ingestionJob"]["status"] == "COMPLETE")
        return ids


@contextmanager
def answering_console(home: Path) -> Iterator[AnsweringConsole]:
    script: list[Script] = []
    with (
        running_server(home) as server,
        speaking_engine(server.platform, BASE, lambda body: script[0](body)),
        _light_work(server),
        running_console(server) as console,
    ):
        script.append(in_words(server.platform, says))
        server.platform.catalog.alias(TITAN, BASE)
        server.platform.catalog.alias(RIVAL, BASE)
        s3 = server.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="rules/trams.md", Body=RULES.encode())
        s3.put_object(Bucket=BUCKET, Key="rules/broken.pdf", Body=b"%PDF-1.7 no more than that")
        yield AnsweringConsole(server=server, console=console)


@contextmanager
def _light_work(server: Running) -> Iterator[None]:
    stop = threading.Event()
    with House.open(server.settings, SystemClock()) as house:
        thread = threading.Thread(target=Worker(house, [INGESTION, CHANGE, EVALUATION], stop=stop).run_many)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
