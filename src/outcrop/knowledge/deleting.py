"""Deletion of knowledge bases and data sources.

A knowledge base goes at once, with its index: nothing else could use that. Copies in a store of the owner's go with it,
except those of data sources whose policy is RETAIN. A data source whose policy is DELETE goes
when a job has taken out its passages; with RETAIN it goes at once, and they stay to be found.
"""

from outcrop.errors import Conflict
from outcrop.knowledge.changes.adding import add_source_removal
from outcrop.knowledge.changes.kind import KIND as CHANGE
from outcrop.knowledge.ingestion.kind import KIND as INGESTION
from outcrop.knowledge.ingestion.starting import check_idle
from outcrop.knowledge.knowledge_bases import id_of
from outcrop.knowledge.rooms import KnowledgeRooms
from outcrop.knowledge.states import DataSourceStatus
from outcrop.store.damage import understood
from outcrop.store.database import alone, writing
from outcrop.store.resources import Resource


def delete_knowledge_base(house: KnowledgeRooms, knowledge_base: Resource) -> None:
    """Forget a knowledge base with its data sources, jobs and index. Raises Conflict while one of its jobs runs."""
    assert house.jobs  # opened before the transaction, see `api/knowledge/once.py`
    with writing(house.store.engine) as connection:
        alone(connection, f"ingestion into {knowledge_base.arn}")
        check_idle(house, knowledge_base.arn)
        _check_no_changes(house, knowledge_base.arn)
        sources = house.knowledge_bases.sources(knowledge_base.arn)
        emptied = [id_of(each.arn) for each in sources if each.document.get("dataDeletionPolicy") != "RETAIN"]
        for source in sources:
            house.knowledge_bases.remove(source)
        _forget_jobs(house, "knowledgeBaseArn", knowledge_base.arn)
        house.knowledge_bases.remove(knowledge_base)
    # The row first: a kill here leaves a folder that nothing leads to, and never a knowledge base without an index.
    house.knowledge_indexes.drop(knowledge_base, copies_of=emptied)


def delete_source(house: KnowledgeRooms, knowledge_base: Resource, source: Resource) -> Resource:
    """The data source, DELETING; it is gone at once where its passages are to stay.

    Raises Conflict while an ingestion job of the knowledge base runs.
    """
    assert house.jobs
    with writing(house.store.engine) as connection:
        alone(connection, f"ingestion into {knowledge_base.arn}")
        check_idle(house, knowledge_base.arn)
        if source.status == DataSourceStatus.DELETING:
            return source
        with understood(source.arn):
            retains = source.document["dataDeletionPolicy"] == "RETAIN"
        deleting = house.knowledge_bases.begin_deletion(source)
        if retains:
            forget_source(house, source)
        else:
            add_source_removal(house, knowledge_base, source)
        return deleting


def forget_source(house: KnowledgeRooms, source: Resource) -> None:
    """Take a data source and its ingestion jobs off the record."""
    with house.store.transaction():
        _forget_jobs(house, "dataSourceArn", source.arn)
        house.knowledge_bases.remove(source)


def _forget_jobs(house: KnowledgeRooms, member: str, arn: str) -> None:
    for job in house.knowledge_bases.jobs(member, arn):
        assert job.status in INGESTION.lifecycle.ended, "what runs was refused before"
        house.jobs.forget(job.arn)


def _check_no_changes(house: KnowledgeRooms, knowledge_base_arn: str) -> None:
    for job in house.jobs.running(CHANGE):
        if job.document.get("knowledgeBaseArn") == knowledge_base_arn:
            raise Conflict(
                f"KnowledgeBase with id {id_of(knowledge_base_arn)} has documents that are being ingested or deleted. "
                "Wait for their end."
            )
