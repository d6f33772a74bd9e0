"""The knowledge base, data source and job that a request names, by ids alone."""

from outcrop.api.door.call import Call
from outcrop.errors import NotFound
from outcrop.house import House
from outcrop.knowledge.knowledge_bases import INGESTION_JOB
from outcrop.store.resources import Resource


def knowledge_base_of(house: House, call: Call) -> Resource:
    """Raises NotFound."""
    return house.knowledge_bases.find(call.region, call.params["knowledgeBaseId"])


def source_of(house: House, call: Call) -> Resource:
    """Raises NotFound."""
    return house.knowledge_bases.find_source(call.region, call.params["knowledgeBaseId"], call.params["dataSourceId"])


def job_of(house: House, call: Call) -> Resource:
    """Raises NotFound, for a job of another data source too."""
    source = source_of(house, call)
    job_id = call.params["ingestionJobId"]
    knowledge_base_arn = house.knowledge_bases.arn(call.region, call.params["knowledgeBaseId"])
    row = house.store.resources.get(f"{knowledge_base_arn}/{INGESTION_JOB}/{job_id}")
    if row is None or row.document.get("dataSourceArn") != source.arn:
        raise NotFound(f"IngestionJob with id {job_id} does not exist.")
    return row
