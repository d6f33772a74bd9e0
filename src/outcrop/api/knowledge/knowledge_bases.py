"""Knowledge bases: create, get, update, delete, list."""

from typing import Any

from outcrop.api.bedrock.listing import page, summaries, told
from outcrop.api.door.call import Answer, Answered, Call, Handler
from outcrop.api.knowledge.named import knowledge_base_of
from outcrop.api.knowledge.once import Create, once
from outcrop.house import House
from outcrop.knowledge.knowledge_bases import KNOWLEDGE_BASE, id_of
from outcrop.store.resources import Resource

STORE = "x-outcrop-store"
"The header that tells what really keeps the passages."
_KEPT = ("description", "roleArn", "knowledgeBaseConfiguration", "storageConfiguration", "failureReasons")


def create_knowledge_base(house: House, call: Call) -> Answered:
    from outcrop.knowledge import creating

    def prepare() -> Create:
        new = creating.check(house, call.params, region=call.region)
        return lambda: {"arn": creating.add(house, new).arn}

    arn = once(house, call, prepare)["arn"]
    return _answer(house.knowledge_bases.get(arn))


def get_knowledge_base(house: House, call: Call) -> Answered:
    return _answer(knowledge_base_of(house, call))


def update_knowledge_base(house: House, call: Call) -> Answered:
    from outcrop.knowledge import creating

    return _answer(creating.update(house, knowledge_base_of(house, call), call.params))


def delete_knowledge_base(house: House, call: Call) -> Answered:
    from outcrop.knowledge import deleting

    row = knowledge_base_of(house, call)
    deleting.delete_knowledge_base(house, row)
    return {"knowledgeBaseId": id_of(row.arn), "status": "DELETING"}


def list_knowledge_bases(house: House, call: Call) -> Answered:
    found = page(house, call, KNOWLEDGE_BASE)
    return {"knowledgeBaseSummaries": summaries(found, _summary), "nextToken": found.next_token}


def _answer(row: Resource) -> Answer:
    from outcrop.knowledge.stores.configuration import told_store

    def store_of(each: Resource) -> str:
        document = each.document
        return told_store(document.get("storageConfiguration"), has_vectors=document["dimensions"] is not None)

    store = told(row, store_of)
    return Answer({"knowledgeBase": told(row, _members)}, headers={STORE: store})


def _members(row: Resource) -> dict[str, Any]:
    document = row.document
    return {
        **_summary(row),
        "knowledgeBaseArn": row.arn,
        "createdAt": row.created,
        **{member: document[member] for member in _KEPT if member in document},
    }


def _summary(row: Resource) -> dict[str, Any]:
    return {
        "knowledgeBaseId": id_of(row.arn),
        "name": row.name,
        "description": row.document.get("description"),
        "status": row.status,
        "updatedAt": row.updated,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateKnowledgeBase": create_knowledge_base,
    "GetKnowledgeBase": get_knowledge_base,
    "UpdateKnowledgeBase": update_knowledge_base,
    "DeleteKnowledgeBase": delete_knowledge_base,
    "ListKnowledgeBases": list_knowledge_bases,
}
