"""CreateKnowledgeBase and UpdateKnowledgeBase: requests checked, and put on record.

Everything that can be refused is refused here: a store, a model or a type that is not real, and a role that could not
do the knowledge base's work.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop import logs
from outcrop.errors import Invalid
from outcrop.knowledge.embedding import LEXICAL_ALONE, check_may_embed, dimensions_for, model_of
from outcrop.knowledge.rooms import KnowledgeRooms
from outcrop.knowledge.stores.configuration import read_storage, told_store
from outcrop.knowledge.stores.permission import check_may_store
from outcrop.store.resources import Resource
from outcrop.store.tags import tags_of

_log = logging.getLogger("outcrop.knowledge")
_KEPT = ("description", "roleArn", "knowledgeBaseConfiguration", "storageConfiguration")
_UNREAL_TYPES = {
    "KENDRA": "indexes of Amazon Kendra are not built in Outcrop",
    "SQL": "knowledge bases over databases are not built in Outcrop",
}


@dataclass(frozen=True, kw_only=True)
class NewKnowledgeBase:
    """A knowledge base that may be put on record."""

    arn: str
    region: str
    name: str
    document: Mapping[str, Any]
    tags: Mapping[str, str]


def check(house: KnowledgeRooms, params: Mapping[str, Any], *, region: str) -> NewKnowledgeBase:
    """The knowledge base that a CreateKnowledgeBase request asks for. Raises Invalid."""
    tags = tags_of("tags", [{"key": key, "value": value} for key, value in params.get("tags", {}).items()])
    configuration = _vectors(params["knowledgeBaseConfiguration"])
    place = read_storage(params.get("storageConfiguration"))
    model_arn: str = configuration["embeddingModelArn"]
    dimensions = dimensions_for(model_of(house, model_arn), configuration)
    arn = house.knowledge_bases.new_arn(region)
    _check_role(house, params["roleArn"], model_arn, arn)
    check_may_store(house, params["roleArn"], place)
    house.knowledge_indexes.stores.check(place, dimensions=dimensions)
    document = {
        **{member: params[member] for member in _KEPT if member in params},
        "embeddingModelArn": model_arn,
        "dimensions": dimensions,
    }
    return NewKnowledgeBase(arn=arn, region=region, name=params["name"], document=document, tags=tags)


def add(house: KnowledgeRooms, new: NewKnowledgeBase) -> Resource:
    """Put a knowledge base on record. Raises Conflict when its name is in use."""
    with house.store.transaction():
        created = house.knowledge_bases.add(new.arn, new.region, new.name, new.document)
        house.store.tags.put(new.arn, new.tags)
    dimensions = new.document["dimensions"]
    logs.tell(
        _log,
        "knowledge base created",
        knowledge_base=new.arn,
        store=told_store(new.document.get("storageConfiguration"), has_vectors=dimensions is not None),
        search=LEXICAL_ALONE if dimensions is None else f"words and vectors of {dimensions} numbers",
    )
    return created


def update(house: KnowledgeRooms, row: Resource, params: Mapping[str, Any]) -> Resource:
    """Change name, description and role of a knowledge base. Raises Invalid for what cannot be changed, Conflict."""
    for member in ("knowledgeBaseConfiguration", "storageConfiguration"):
        if member in params and params[member] != row.document.get(member):
            raise Invalid(f"{member}: it cannot be changed. Give it as it was, or create another knowledge base.")
    _check_role(house, params["roleArn"], row.document["embeddingModelArn"], row.arn)
    check_may_store(house, params["roleArn"], read_storage(row.document.get("storageConfiguration")))
    kept = {member: value for member, value in row.document.items() if member != "description"}
    if "description" in params:
        kept["description"] = params["description"]
    return house.knowledge_bases.change(row, params["name"], {**kept, "roleArn": params["roleArn"]})


def _vectors(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration of a knowledge base of vectors. Raises Invalid for another type."""
    kind = configuration["type"]
    if kind in _UNREAL_TYPES:
        raise Invalid(f"knowledgeBaseConfiguration.type: {kind}: {_UNREAL_TYPES[kind]}. Use VECTOR.")
    vectors: Mapping[str, Any] | None = configuration.get("vectorKnowledgeBaseConfiguration")
    if vectors is None:
        raise Invalid("knowledgeBaseConfiguration: vectorKnowledgeBaseConfiguration is missing, where type is VECTOR.")
    if "supplementalDataStorageConfiguration" in vectors:
        raise Invalid(
            "supplementalDataStorageConfiguration: pictures of documents are not kept in Outcrop. Leave it out."
        )
    return vectors


def _check_role(house: KnowledgeRooms, role_arn: str, model_arn: str, knowledge_base_arn: str) -> None:
    """Raises Invalid for a role that Bedrock could not take on for this, or that may not use the model."""
    try:
        house.access.assert_passable(role_arn, source_arn=knowledge_base_arn)
    except Invalid as refused:
        raise Invalid(
            "Bedrock Knowledge Base was unable to assume the given role. Provide the proper permissions and retry the "
            f"request. ({refused.message})"
        ) from refused
    check_may_embed(house, role_arn, model_arn)
