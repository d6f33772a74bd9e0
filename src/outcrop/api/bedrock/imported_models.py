"""Imported models and the jobs that import them: create, get, list, delete."""

from typing import Any

from outcrop.api.bedrock import model_keys
from outcrop.api.bedrock.listing import moment, page, summaries, told
from outcrop.api.bedrock.named import resource_of, row_of
from outcrop.api.door.call import Answered, Call, Derived, Handler, quick
from outcrop.catalog import imported_models
from outcrop.catalog.imported_models import UNITS_VERSION, engine_of
from outcrop.house import House
from outcrop.keys.sealed_records import key_arn_of
from outcrop.model_import import create_job
from outcrop.model_import.kind import KIND
from outcrop.model_import.states import ImportJobStatus
from outcrop.store.resources import Resource

_JOB, _MODEL = "model import job", "imported model"


def create_model_import_job(house: House, call: Call) -> Answered:
    created = create_job.create(
        house,
        call.params,
        region=call.region,
        account=house.account,
        owner=call.caller.principal,
        authorize_key=model_keys.authorizing(house, call),
    )
    return {"jobArn": created}


@quick
def get_model_import_job(house: House, call: Call) -> Answered:
    row = row_of(house, call, "jobIdentifier", _JOB)
    return Derived(row, lambda: told(row.resource(), _job))


def _job(job: Resource) -> dict[str, Any]:
    document = job.document
    return {
        **_job_summary(job),
        "roleArn": document["roleArn"],
        "modelDataSource": document["modelDataSource"],
        "failureMessage": document.get("failureMessage"),
        "importedModelKmsKeyArn": key_arn_of(document),
    }


def list_model_import_jobs(house: House, call: Call) -> Answered:
    found = page(house, call, KIND.name)
    return {"modelImportJobSummaries": summaries(found, _job_summary), "nextToken": found.next_token}


def _job_summary(job: Resource) -> dict[str, Any]:
    imported = job.status == ImportJobStatus.COMPLETED
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "status": job.status,
        "creationTime": job.created,
        "lastModifiedTime": job.updated,
        "endTime": moment(job.document.get("endTime")),
        "importedModelName": job.document["importedModelName"],
        "importedModelArn": job.document["importedModelArn"] if imported else None,
    }


@quick
def get_imported_model(house: House, call: Call) -> Answered:
    return told(resource_of(house, call, "modelIdentifier", _MODEL), _model)


def _model(model: Resource) -> dict[str, Any]:
    document = model.document
    units = int(document["customModelUnits"])
    return {
        **_model_summary(model),
        "jobName": document["jobName"],
        "jobArn": document["jobArn"],
        "modelDataSource": document["modelDataSource"],
        "modelKmsKeyArn": key_arn_of(document),
        "customModelUnits": {"customModelUnitsPerModelCopy": units, "customModelUnitsVersion": UNITS_VERSION},
    }


def list_imported_models(house: House, call: Call) -> Answered:
    found = page(house, call, imported_models.KIND)
    return {"modelSummaries": summaries(found, _model_summary), "nextToken": found.next_token}


def _model_summary(model: Resource) -> dict[str, Any]:
    return {
        "modelArn": model.arn,
        "modelName": model.name,
        "creationTime": model.created,
        "modelArchitecture": model.document["modelArchitecture"],
        "instructSupported": model.document["instructSupported"],
    }


def delete_imported_model(house: House, call: Call) -> Answered:
    model = resource_of(house, call, "modelIdentifier", _MODEL)
    house.imported_models.remove(model)
    house.engines.forget(engine_of(model.arn))
    return {}


OPERATIONS: dict[str, Handler] = {
    "CreateModelImportJob": create_model_import_job,
    "GetModelImportJob": get_model_import_job,
    "ListModelImportJobs": list_model_import_jobs,
    "GetImportedModel": get_imported_model,
    "ListImportedModels": list_imported_models,
    "DeleteImportedModel": delete_imported_model,
}
