"""Retrievers that other people wrote, told nothing but the environment, against a whole installation."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from tests.support.minilm import minilm
from tests.support.patience import PATIENCE_S, eventually
from tests.support.servers import Installed, installed

PROGRAMS = Path(__file__).parent / "programs"
CLIENTS = Path(__file__).parent.parent.parent / "build" / "clients"
TITAN = "amazon.titan-embed-text-v2:0"
TEXTS = {
    "lighthouse": "The lighthouse on the northern pier was finished in 1874.",
    "tea": "Green tea is poured at eighty degrees.",
    "sea": "The sea froze twice that winter.",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("retrievers") / "home"
    home.mkdir()
    folder = minilm(home / "minilm")
    Catalog(home).register(
        folder,
        model_id="local.minilm",
        name="MiniLM",
        context_length=256,
        licence="Apache-2.0",
        verdict=ProbeVerdict(way=RunMode.PADDED, config=facts.digest(folder)),
        task=ModelTask.EMBEDDING,
    )
    Catalog(home).alias(TITAN, "local.minilm")
    with installed(home) as installation:
        yield installation


@pytest.fixture(scope="module")
def base(running: Installed) -> str:
    """The id of a knowledge base with documents that were given inline."""
    agent = running.client("bedrock-agent")
    model = f"arn:aws:bedrock:us-east-1::foundation-model/{TITAN}"
    vectors = {"type": "VECTOR", "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": model}}
    made = agent.create_knowledge_base(name="texts", roleArn=running.role, knowledgeBaseConfiguration=vectors)
    ids = {"knowledgeBaseId": made["knowledgeBase"]["knowledgeBaseId"]}
    source = agent.create_data_source(**ids, name="inline", dataSourceConfiguration={"type": "CUSTOM"})
    ids["dataSourceId"] = source["dataSource"]["dataSourceId"]
    agent.ingest_knowledge_base_documents(**ids, documents=[_document(name, text) for name, text in TEXTS.items()])

    def states() -> set[str]:
        return {one["status"] for one in agent.list_knowledge_base_documents(**ids)["documentDetails"]}

    eventually(lambda: states() == {"INDEXED"})
    return str(ids["knowledgeBaseId"])


def _document(name: str, text: str) -> dict[str, Any]:
    content = {"type": "TEXT", "textContent": {"data": text}}
    custom = {"customDocumentIdentifier": {"id": name}, "sourceType": "IN_LINE", "inlineContent": content}
    attributes = [{"key": "topic", "value": {"type": "STRING", "stringValue": name}}]
    return {
        "content": {"dataSourceType": "CUSTOM", "custom": custom},
        "metadata": {"type": "IN_LINE_ATTRIBUTE", "inlineAttributes": attributes},
    }


def said(running: Installed, environment: str, program: str, *arguments: str) -> Any:
    """What a program printed, as JSON; nothing of this machine's own configuration reaches it."""
    python = CLIENTS / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: `make clients` makes it")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    away = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    ended = subprocess.run(
        [python, PROGRAMS / program, *arguments],
        env={**kept, **away, **running.environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return json.loads(ended.stdout.splitlines()[-1])


def test_langchain_retrieves_with_a_filter_and_without(running: Installed, base: str) -> None:
    found = said(running, "python", "langchain_retriever.py", base)
    assert found["plain"][0]["text"] == TEXTS["lighthouse"]
    assert found["plain"][0]["score"] > 0
    assert found["plain"][0]["attributes"]["topic"] == "lighthouse"
    assert [one["text"] for one in found["filtered"]] == [TEXTS["tea"]]


def test_llama_index_retrieves(running: Installed, base: str) -> None:
    first, _ = said(running, "retrievers", "llama_index_retriever.py", base)
    assert first["text"] == TEXTS["lighthouse"]
    assert first["location"] == {"type": "CUSTOM", "customDocumentLocation": {"id": "lighthouse"}}
    assert first["sourceMetadata"]["topic"] == "lighthouse"
