"""Pipelines: create, describe, list, update, delete."""

from typing import Any

from outcrop.api.bedrock.listing import summaries, told
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.sagemaker.pipelines import pipelines
from outcrop.sagemaker.pipelines.kind import KIND as EXECUTION
from outcrop.sagemaker.pipelines.pipelines import KIND, OF_EXECUTION
from outcrop.store.listing import Filters, SortKey
from outcrop.store.resources import Resource

TOKEN = "ClientRequestToken"
_DEFAULT_RESULTS = 10
_SORTED_BY: dict[str, SortKey] = {"CreationTime": "created", "Name": "name"}


def create_pipeline(house: House, call: Call) -> Answered:
    document = pipelines.prepared(house, call.params, region=call.region, by=by(call))

    def create() -> dict[str, Any]:
        return {"PipelineArn": pipelines.create(house, call.params, document, region=call.region)}

    return house.store.idempotency.once(call.token_scope, call.params[TOKEN], call.params, create, member=TOKEN)


def update_pipeline(house: House, call: Call) -> Answered:
    before = pipelines.row_of(house, call.region, call.params["PipelineName"]).resource()
    document = pipelines.prepared(house, call.params, region=call.region, by=by(call), before=before)
    pipelines.update(house, before.arn, document)
    return {"PipelineArn": before.arn}


def describe_pipeline(house: House, call: Call) -> Answered:
    if "PipelineVersionId" in call.params:
        raise Invalid("PipelineVersionId: the newest definition is kept alone. Leave it out.")
    row = pipelines.row_of(house, call.region, call.params["PipelineName"])
    return told(row.resource(), lambda pipeline: _pipeline(house, pipeline))


def delete_pipeline(house: House, call: Call) -> Answered:
    def remove() -> dict[str, Any]:
        row = pipelines.row_of(house, call.region, call.params["PipelineName"])
        pipelines.remove(house, row.arn)
        return {"PipelineArn": row.arn}

    return house.store.idempotency.once(call.token_scope, call.params[TOKEN], call.params, remove, member=TOKEN)


def list_pipelines(house: House, call: Call) -> Answered:
    params = call.params
    found = house.store.resources.list(
        KIND,
        call.region,
        filters=Filters(
            name_prefix=params.get("PipelineNamePrefix"),
            created_after=params.get("CreatedAfter"),
            created_before=params.get("CreatedBefore"),
        ),
        sort_by=_SORTED_BY[params.get("SortBy", "CreationTime")],
        descending=params.get("SortOrder", "Descending") == "Descending",
        max_results=params.get("MaxResults", _DEFAULT_RESULTS),
        token=page_tokens.read(call),
    )
    return {
        "PipelineSummaries": summaries(found, lambda pipeline: _summary(house, pipeline)),
        "NextToken": found.next_token and page_tokens.write(call, found.next_token),
    }


def by(call: Call) -> dict[str, str]:
    """The caller, as records of pipelines keep it."""
    return {"Arn": call.caller.arn, "PrincipalId": call.caller.user_id}


def _pipeline(house: House, pipeline: Resource) -> dict[str, Any]:
    document = pipeline.document
    return {
        **{member: value for member, value in _summary(house, pipeline).items() if member != "LastExecutionTime"},
        "PipelineDefinition": document["definition"],
        "PipelineStatus": pipeline.status,
        "LastRunTime": _last_run(house, pipeline),
        "CreatedBy": {"IamIdentity": document["createdBy"]},
        "LastModifiedBy": {"IamIdentity": document["modifiedBy"]},
        "ParallelismConfiguration": document.get("ParallelismConfiguration"),
    }


def _summary(house: House, pipeline: Resource) -> dict[str, Any]:
    document = pipeline.document
    return {
        "PipelineArn": pipeline.arn,
        "PipelineName": pipeline.name,
        "PipelineDisplayName": document.get("PipelineDisplayName"),
        "PipelineDescription": document.get("PipelineDescription"),
        "RoleArn": document["RoleArn"],
        "CreationTime": pipeline.created,
        "LastModifiedTime": pipeline.updated,
        "LastExecutionTime": _last_run(house, pipeline),
    }


def _last_run(house: House, pipeline: Resource) -> Any:
    filters = Filters(equals={OF_EXECUTION: pipeline.arn})
    found = house.store.resources.list(EXECUTION.name, pipeline.region, filters=filters, max_results=1).items
    return found[0].created if found else None


OPERATIONS: dict[str, Handler] = {
    "CreatePipeline": create_pipeline,
    "UpdatePipeline": update_pipeline,
    "DescribePipeline": describe_pipeline,
    "DeletePipeline": delete_pipeline,
    "ListPipelines": list_pipelines,
}
