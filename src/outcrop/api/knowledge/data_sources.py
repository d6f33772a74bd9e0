"""Data sources of a knowledge base: create, get, update, delete, list."""

from typing import Any

from outcrop.api.bedrock.listing import page, summaries, told
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.knowledge.named import knowledge_base_of, source_of
from outcrop.api.knowledge.once import Create, once
from outcrop.house import House
from outcrop.knowledge import data_sources
from outcrop.knowledge.knowledge_bases import DATA_SOURCE, id_of
from outcrop.store.resources import Resource

_KEPT = ("dataSourceConfiguration", "vectorIngestionConfiguration", "dataDeletionPolicy", "failureReasons")


def create_data_source(house: House, call: Call) -> Answered:
    knowledge_base = knowledge_base_of(house, call)

    def prepare() -> Create:
        document = data_sources.check(knowledge_base, call.params, house.account)
        name = call.params["name"]
        return lambda: {"arn": house.knowledge_bases.add_source(knowledge_base, name, document).arn}

    arn = once(house, call, prepare)["arn"]
    return _answer(house.knowledge_bases.get_source(arn))


def get_data_source(house: House, call: Call) -> Answered:
    return _answer(source_of(house, call))


def update_data_source(house: House, call: Call) -> Answered:
    source, knowledge_base = source_of(house, call), knowledge_base_of(house, call)
    updated = data_sources.update_source(house.knowledge_bases, knowledge_base, source, call.params, house.account)
    return _answer(updated)


def delete_data_source(house: House, call: Call) -> Answered:
    from outcrop.knowledge import deleting

    source = deleting.delete_source(house, knowledge_base_of(house, call), source_of(house, call))
    return {
        "knowledgeBaseId": call.params["knowledgeBaseId"],
        "dataSourceId": call.params["dataSourceId"],
        "status": source.status,
    }


def list_data_sources(house: House, call: Call) -> Answered:
    of_knowledge_base = {"knowledgeBaseArn": knowledge_base_of(house, call).arn}
    found = page(house, call, DATA_SOURCE, equals=of_knowledge_base)
    return {"dataSourceSummaries": summaries(found, _summary), "nextToken": found.next_token}


def _answer(row: Resource) -> dict[str, Any]:
    return {"dataSource": told(row, _members)}


def _members(row: Resource) -> dict[str, Any]:
    document = row.document
    kept = {member: document[member] for member in _KEPT if member in document}
    return {**_summary(row), "createdAt": row.created, **kept}


def _summary(row: Resource) -> dict[str, Any]:
    document = row.document
    return {
        "knowledgeBaseId": id_of(document["knowledgeBaseArn"]),
        "dataSourceId": id_of(row.arn),
        "name": document["name"],
        "description": document.get("description"),
        "status": row.status,
        "updatedAt": row.updated,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateDataSource": create_data_source,
    "GetDataSource": get_data_source,
    "UpdateDataSource": update_data_source,
    "DeleteDataSource": delete_data_source,
    "ListDataSources": list_data_sources,
}
