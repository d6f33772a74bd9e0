"""StartIngestionJob: one job at a time for each knowledge base, put on record for a light worker."""

from collections.abc import Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.errors import Conflict, Invalid
from outcrop.knowledge.data_sources import S3, kind_of
from outcrop.knowledge.ingestion.kind import KIND
from outcrop.knowledge.ingestion.statistics import IngestionStatistics
from outcrop.knowledge.knowledge_bases import INGESTION_JOB, id_of
from outcrop.knowledge.rooms import KnowledgeRooms
from outcrop.knowledge.states import DataSourceStatus
from outcrop.store.database import alone, writing
from outcrop.store.resources import Resource


def start(
    house: KnowledgeRooms, knowledge_base: Resource, source: Resource, params: Mapping[str, Any], *, owner: str
) -> Resource:
    """The new ingestion job. Raises Conflict while another one of the knowledge base runs.

    Raises Invalid for a CUSTOM source.
    """
    if kind_of(source) != S3:
        raise Invalid(
            f"The data source {id_of(source.arn)} is CUSTOM: there is nothing to scan. Send its documents with "
            "IngestKnowledgeBaseDocuments."
        )
    jobs, job_id = house.jobs, arns.new_agents_id()
    document = {"knowledgeBaseArn": knowledge_base.arn, "dataSourceArn": source.arn}
    if "description" in params:
        document["description"] = params["description"]
    with writing(house.store.engine) as connection:  # of two starts at once, the second sees the first one's row
        alone(connection, f"ingestion into {knowledge_base.arn}")
        check_idle(house, knowledge_base.arn)
        check_available(house.knowledge_bases.get_source(source.arn))
        return jobs.add(
            KIND,
            job_arn=f"{knowledge_base.arn}/{INGESTION_JOB}/{job_id}",
            name=job_id,
            region=knowledge_base.region,
            document={**document, "statistics": IngestionStatistics().members()},
            owner=owner,
        )


def check_idle(house: KnowledgeRooms, knowledge_base_arn: str) -> None:
    """Raises Conflict while an ingestion job of the knowledge base runs."""
    for job in house.jobs.running(KIND):
        if job.document.get("knowledgeBaseArn") == knowledge_base_arn:
            raise Conflict(
                f"KnowledgeBase with id {id_of(knowledge_base_arn)} has an ongoing ingestion job with id "
                f"{id_of(job.arn)}. Wait for its end, or stop it."
            )


def check_available(source: Resource) -> None:
    """Raises Conflict for a data source that is being deleted."""
    if source.status != DataSourceStatus.AVAILABLE:
        raise Conflict(f"DataSource with id {id_of(source.arn)} is {source.status}.")
