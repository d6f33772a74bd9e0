"""Client tokens of the operations on knowledge bases: sent again they are answered again, and make nothing new."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from outcrop.knowledge.changes.kind import KIND as CHANGE
from outcrop.knowledge.knowledge_bases import DATA_SOURCE, INGESTION_JOB, KNOWLEDGE_BASE
from tests.support.knowledge_bases import Knowledge, Source, knowledge_house, refusal

AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Idempotent:
    """An operation with a clientToken."""

    method: str
    asked: Callable[[Knowledge, Source], dict[str, Any]]
    other: dict[str, Any]
    "A member that makes it another request."
    makes: str
    "The kind of row that each request adds."
    refusal: str = "ConflictException"
    "The code for a token that came with another request, as far as the operation declares one."


def document(identifier: str) -> dict[str, Any]:
    inline = {"type": "TEXT", "textContent": {"data": "One."}}
    custom = {"customDocumentIdentifier": {"id": identifier}, "sourceType": "IN_LINE", "inlineContent": inline}
    return {"content": {"dataSourceType": "CUSTOM", "custom": custom}}


def named(identifier: str) -> dict[str, Any]:
    return {"dataSourceType": "CUSTOM", "custom": {"id": identifier}}


OPERATIONS = [
    Idempotent(
        method="create_knowledge_base",
        asked=lambda knowledge, source: {**knowledge.asked(), "name": f"of-{source.id}"},
        other={"description": "another"},
        makes=KNOWLEDGE_BASE,
    ),
    Idempotent(
        method="create_data_source",
        asked=lambda _, source: {
            "knowledgeBaseId": source.knowledge_base, "name": "again", "dataSourceConfiguration": {"type": "CUSTOM"},
        },
        other={"description": "another"},
        makes=DATA_SOURCE,
    ),
    Idempotent(
        method="start_ingestion_job",
        asked=lambda knowledge, source: knowledge.source(knowledge_base=source.knowledge_base).ids,
        other={"description": "another"},
        makes=INGESTION_JOB,
    ),
    Idempotent(
        method="ingest_knowledge_base_documents",
        asked=lambda _, source: {**source.ids, "documents": [document("a")]},
        other={"documents": [document("b")]},
        makes=CHANGE.name,
        refusal="ValidationException",
    ),
    Idempotent(
        method="delete_knowledge_base_documents",
        asked=lambda _, source: {**source.ids, "documentIdentifiers": [named("kept")]},
        other={"documentIdentifiers": [named("b")]},
        makes=CHANGE.name,
        refusal="ValidationException",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    with knowledge_house(tmp_path_factory.mktemp("tokens") / "home", works=False) as house:
        yield house


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.method)
def test_a_token_stands_for_one_request(knowledge: Knowledge, operation: Idempotent) -> None:
    source = knowledge.custom_source()
    knowledge.agent.ingest_knowledge_base_documents(**source.ids, documents=[document("kept")])
    asked = operation.asked(knowledge, source) | {"clientToken": f"{source.id}{'t' * 33}"}
    before = len(knowledge.house.store.resources.all(operation.makes))

    def send(_: int) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(knowledge.agent, operation.method)(**asked)
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    with ThreadPoolExecutor(AT_ONCE) as threads:
        first, *others = threads.map(send, range(AT_ONCE))
    assert others == [first] * (AT_ONCE - 1)
    assert send(0) == first
    assert len(knowledge.house.store.resources.all(operation.makes)) == before + 1
    assert refusal(getattr(knowledge.agent, operation.method), **asked | operation.other) == (
        operation.refusal,
        "clientToken: this token was used for a different request. Use a new token.",
    )


def test_a_token_of_a_refused_request_is_free(knowledge: Knowledge) -> None:
    asked = knowledge.asked(clientToken="f" * 33)
    wrong = asked | {"tags": {"aws:own": ""}}
    assert "begins with aws:" in refusal(knowledge.agent.create_knowledge_base, **wrong)[1]
    assert knowledge.agent.create_knowledge_base(**asked)["knowledgeBase"]["name"] == asked["name"]
