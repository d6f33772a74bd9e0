"""The CreateModelImportJob request, checked and put on record as a job.

The files are looked at here by their names and sizes: what is no model, or a pickle, is refused before anything comes.
"""

from collections.abc import Mapping
from typing import Any

from outcrop import arn
from outcrop.catalog import imported_models
from outcrop.data import model_fetching
from outcrop.errors import Invalid
from outcrop.keys import sealing
from outcrop.keys.sealing import AuthorizeKey
from outcrop.model_import.kind import KIND
from outcrop.model_import.rooms import ImportRooms
from outcrop.model_import.states import LIFECYCLE
from outcrop.store.idempotency import digest_of
from outcrop.store.tags import check_number, tags_of

_OPERATION = "CreateModelImportJob"
_KEY = "importedModelKmsKeyId"
_KEPT = ("roleArn", "modelDataSource", "importedModelName")


def create(
    house: ImportRooms,
    params: Mapping[str, Any],
    *,
    region: str,
    account: str,
    owner: str,
    authorize_key: AuthorizeKey = sealing.nobody_may,
) -> str:
    """Check the request, write the job's row, and return its ARN; a worker takes it from there.

    `authorize_key` knows which KMS keys whoever asks may use. The same clientRequestToken gets the first
    ARN again. Raises Invalid.
    """
    token, scope = params.get("clientRequestToken"), f"{region}:{_OPERATION}"
    before = house.store.idempotency.recall(scope, token, digest_of(params)) if token else None
    if before is not None:
        return str(before["jobArn"])
    tags = tags_of("jobTags", params.get("jobTags"))
    model_tags = tags_of("importedModelTags", params.get("importedModelTags"))
    job_arn = arn.bedrock(region, account, f"{KIND.name}/{arn.new_id()}")
    model_arn = imported_models.new_arn(region, account)
    check_number(model_arn, model_tags)
    data = house.data.under(params["roleArn"], source_arn=job_arn)
    model_fetching.look(data, source_of(params))
    seal = sealing.choose(
        house,
        params.get(_KEY, ""),
        member=_KEY,
        parent=None,
        model_arn=model_arn,
        region=region,
        authorize=authorize_key,
    )
    document = {
        **{member: params[member] for member in _KEPT},
        "importedModelArn": model_arn,
        "importedModelTags": params.get("importedModelTags", []),
        **seal,
    }

    def add() -> dict[str, Any]:
        _check_names(house, params, region)
        house.jobs.add(KIND, job_arn=job_arn, name=params["jobName"], region=region, document=document, owner=owner)
        house.store.tags.put(job_arn, tags)
        return {"jobArn": job_arn}

    return str(house.store.idempotency.once(scope, token, params, add)["jobArn"])


def source_of(params: Mapping[str, Any]) -> str:
    """The prefix that the model lies under. Raises Invalid where none is named."""
    uri = params["modelDataSource"].get("s3DataSource", {}).get("s3Uri")
    if uri is None:
        raise Invalid("modelDataSource.s3DataSource.s3Uri: missing. Name a folder, s3://bucket/prefix/.")
    return str(uri)


def _check_names(house: ImportRooms, params: Mapping[str, Any], region: str) -> None:
    if house.store.resources.find(KIND.name, region, params["jobName"]) is not None:
        raise Invalid("The provided job name is currently in use.")
    name = params["importedModelName"]
    promised = house.store.references.naming(KIND.name, ["importedModelName"], name, states=LIFECYCLE.running)
    if house.imported_models.is_taken(region, name) or any(job.region == region for job in promised):
        raise Invalid(f"The provided imported model name {name} is currently in use. Choose another name.")
