"""Ingestion jobs: start, get, list, stop."""

from typing import Any

from outcrop.api.bedrock.listing import summaries, told
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.knowledge.named import job_of, knowledge_base_of, source_of
from outcrop.api.knowledge.once import Create, once
from outcrop.house import House
from outcrop.knowledge.knowledge_bases import INGESTION_JOB, id_of
from outcrop.store.listing import Filters, SortKey
from outcrop.store.resources import Resource

_DEFAULT_RESULTS = 100
_SORTED_BY: dict[str, SortKey] = {"STARTED_AT": "created", "STATUS": "status"}


def start_ingestion_job(house: House, call: Call) -> Answered:
    from outcrop.knowledge.ingestion.starting import start

    knowledge_base, source = knowledge_base_of(house, call), source_of(house, call)

    def prepare() -> Create:
        assert house.jobs
        return lambda: {"arn": start(house, knowledge_base, source, call.params, owner=call.caller.principal).arn}

    arn = once(house, call, prepare)["arn"]
    return _answer(house.jobs.get(arn))


def get_ingestion_job(house: House, call: Call) -> Answered:
    return _answer(job_of(house, call))


def list_ingestion_jobs(house: House, call: Call) -> Answered:
    source, params = source_of(house, call), call.params
    (wanted,) = params.get("filters") or ({"values": ()},)
    sort = params.get("sortBy", {"attribute": "STARTED_AT", "order": "DESCENDING"})
    found = house.store.resources.list(
        INGESTION_JOB,
        call.region,
        filters=Filters(statuses=tuple(dict.fromkeys(wanted["values"])), equals={"dataSourceArn": source.arn}),
        sort_by=_SORTED_BY[sort["attribute"]],
        descending=sort["order"] == "DESCENDING",
        max_results=params.get("maxResults", _DEFAULT_RESULTS),
        token=page_tokens.read(call),
    )
    token = found.next_token and page_tokens.write(call, found.next_token)
    return {"ingestionJobSummaries": summaries(found, _summary), "nextToken": token}


def stop_ingestion_job(house: House, call: Call) -> Answered:
    return _answer(house.jobs.request_stop(job_of(house, call).arn))


def _answer(job: Resource) -> dict[str, Any]:
    return {"ingestionJob": told(job, _members)}


def _members(job: Resource) -> dict[str, Any]:
    document = job.document
    failure = [document["failureMessage"]] if "failureMessage" in document else []
    return {**_summary(job), "failureReasons": [*document.get("failureReasons", ()), *failure] or None}


def _summary(job: Resource) -> dict[str, Any]:
    document = job.document
    return {
        "knowledgeBaseId": id_of(document["knowledgeBaseArn"]),
        "dataSourceId": id_of(document["dataSourceArn"]),
        "ingestionJobId": id_of(job.arn),
        "description": document.get("description"),
        "status": job.status,
        "startedAt": job.created,
        "updatedAt": job.updated,
        "statistics": document["statistics"],
    }


OPERATIONS: dict[str, Handler] = {
    "StartIngestionJob": start_ingestion_job,
    "GetIngestionJob": get_ingestion_job,
    "ListIngestionJobs": list_ingestion_jobs,
    "StopIngestionJob": stop_ingestion_job,
}
