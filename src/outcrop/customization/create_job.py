"""The CreateModelCustomizationJob request, checked and put on record as a job.

Everything that can be refused is refused here, before any compute. What only the content of the data can show is found
in the job's validation phase.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from outcrop import arn
from outcrop.buckets.names import parse_s3_uri
from outcrop.catalog import custom_models
from outcrop.catalog.base_model import BaseModel, Customization
from outcrop.customization import base as base_of
from outcrop.customization import memory
from outcrop.customization.choices import hyperparameters, initialize, search_space
from outcrop.customization.kind import KIND
from outcrop.customization.names import check_model_name
from outcrop.customization.rooms import Rooms
from outcrop.data.data import RoleData
from outcrop.engines.sharing import MemorySharing
from outcrop.errors import Invalid
from outcrop.keys import sealing
from outcrop.keys.sealed_records import key_arn_of
from outcrop.keys.sealing import AuthorizeKey
from outcrop.network import headers
from outcrop.store.idempotency import digest_of
from outcrop.store.resources import Resource
from outcrop.store.tags import check_number, tags_of

_MAX_VALIDATORS = 10
_KEY = "customModelKmsKeyId"


def create(
    house: Rooms,
    params: Mapping[str, Any],
    *,
    base: object,
    parent: Resource | None,
    region: str,
    account: str,
    owner: str,
    authorize_key: AuthorizeKey = sealing.nobody_may,
) -> str:
    """Check the request, write the job's row, and return its ARN; a worker takes it from there.

    `base` and `parent` are what `baseModelIdentifier` was found to name: a foundation model, or a custom model's row.
    `owner` is the user or role that asks, with whom others take turns; `authorize_key` knows which KMS keys it may use.
    The same clientRequestToken gets the first ARN again. Raises Invalid, Denied.
    """
    token, scope = params.get("clientRequestToken"), f"{region}:CreateModelCustomizationJob"
    before = house.store.idempotency.recall(scope, token, digest_of(params)) if token else None
    if before is not None:
        return str(before["jobArn"])
    tags = tags_of("jobTags", params.get("jobTags"))
    model_tags = tags_of("customModelTags", params.get("customModelTags"))
    identifier = params["baseModelIdentifier"]
    start = base_of.resolve(house.catalog, house.models, identifier=identifier, base=base, parent=parent)
    job_arn = arn.bedrock(region, account, f"{KIND.name}/{start.base.full_id}/{arn.new_id()}")
    document = _document(house, params, start, region=region, authorize_key=authorize_key)
    check_number(document["modelArn"], model_tags)
    kms_key_id = key_arn_of(document) or ""

    def add() -> dict[str, Any]:
        # Names are asked for in here and not before: a request sent twice at once would find its own name taken.
        _check_names(house, params, region)
        house.jobs.add(KIND, job_arn=job_arn, name=params["jobName"], region=region, document=document, owner=owner)
        house.store.tags.put(job_arn, tags)
        return {"jobArn": job_arn}

    job_id = job_arn.rsplit("/", 1)[-1]
    # Its role may write only once it is granted the key, and the grant is there only if the job is.
    with house.store.transaction() if kms_key_id else nullcontext():
        sealing.grant_writing(house, document, role_arn=params["roleArn"], name=job_id)
        _check_data(house.data.under(params["roleArn"], source_arn=job_arn, kms_key_id=kms_key_id), params)
        made = str(house.store.idempotency.once(scope, token, params, add)["jobArn"])
        if made != job_arn:  # an equal request was faster
            sealing.take_back(house, document, name=job_id)
    return made


def _document(
    house: Rooms,
    params: Mapping[str, Any],
    start: base_of.Start,
    *,
    region: str,
    authorize_key: AuthorizeKey,
) -> dict[str, Any]:
    customization = _customization(start.base, params)
    values = hyperparameters.filled(start.base.hyperparameters, params.get("hyperParameters", {}))
    model_arn = custom_models.new_arn(region, house.access.account, start.base)
    seal = sealing.choose(
        house,
        params.get(_KEY, ""),
        member=_KEY,
        parent=start.parent,
        model_arn=model_arn,
        region=region,
        authorize=authorize_key,
    )
    if seal:
        initialize.check_sealed(values)
    _check_training(start, values, customization, house.sharing)
    _check_search(start, values, params)
    kept = (
        "clientRequestToken",
        "roleArn",
        "trainingDataConfig",
        "outputDataConfig",
    )
    return {
        **{member: params[member] for member in kept if member in params},
        "validationDataConfig": params.get("validationDataConfig") or {"validators": []},
        "outputModelName": params["customModelName"],
        "customModelTags": params.get("customModelTags", []),
        "customizationType": customization.value,
        "hyperParameters": values,
        "baseId": start.base.id,
        "baseModelArn": arn.foundation_model(region, start.base.full_id),
        "parentArn": start.parent.arn if start.parent else None,
        "modelArn": model_arn,
        **seal,
    }


def _customization(base: BaseModel, params: Mapping[str, Any]) -> Customization:
    asked = params.get("customizationType", Customization.FINE_TUNING.value)
    offered = ", ".join(base.customizations)
    if not offered:
        raise Invalid(f"baseModelIdentifier: {base.id} is not customized here: it does not write text. Choose another.")
    if params.get("customizationConfig"):
        raise Invalid("customizationConfig: distillation and reinforcement are not built in Outcrop yet. Leave it out.")
    if params["trainingDataConfig"].get("invocationLogsConfig"):
        raise Invalid(
            "trainingDataConfig.invocationLogsConfig: training on invocation logs is not built in Outcrop yet. Name "
            "one JSONL object in s3Uri."
        )
    if asked not in set(Customization):
        raise Invalid(f"customizationType: {asked} is not built in Outcrop yet. Choose one of {offered}.")
    if asked not in base.customizations:
        raise Invalid(f"customizationType: {base.id} does not offer {asked}. Choose one of {offered}.")
    if "s3Uri" not in params["trainingDataConfig"]:
        raise Invalid("trainingDataConfig.s3Uri: missing. Name one JSONL object, s3://bucket/key.")
    return Customization(asked)


def _check_names(house: Rooms, params: Mapping[str, Any], region: str) -> None:
    if house.store.resources.find(KIND.name, region, params["jobName"]) is not None:
        raise Invalid("The provided job name is currently in use.")
    check_model_name(house, params["customModelName"], region)


def _check_data(data: RoleData, params: Mapping[str, Any]) -> None:
    """Every file or prefix is there and may be read, and the output may be written."""
    validators = params.get("validationDataConfig", {}).get("validators", [])
    if len(validators) > _MAX_VALIDATORS:
        raise Invalid(f"validationDataConfig.validators: {len(validators)} files. Give at most {_MAX_VALIDATORS}.")
    uris = [params["trainingDataConfig"]["s3Uri"], *(validator["s3Uri"] for validator in validators)]
    for uri in uris:
        if not parse_s3_uri(uri)[1]:
            raise Invalid(f"{uri}: names a bucket, not an object. Name one JSONL object, s3://bucket/key.")
    for uri in uris:
        if not uri.endswith("/"):
            data.find(uri)
        elif next(data.list_objects(uri), None) is None:
            raise Invalid(f"{uri}: no object begins with this. Name a folder that holds files, s3://bucket/folder/.")
    data.check_output(params["outputDataConfig"]["s3Uri"])


def _check_training(
    start: base_of.Start, values: Mapping[str, str], customization: Customization, sharing: MemorySharing
) -> None:
    """The method suits the network, and the machine has the memory for it, if not yet for every row."""
    base = start.base
    assert base.folder is not None
    at_random = initialize.check(values, base, parent=start.parent, customization=customization)
    rate = memory.suitable_rate(base, at_random)
    hyper = hyperparameters.resolve(base.hyperparameters, values, recommended_rate=rate, parent=start.method).hyper
    headers.check_method(base.folder, hyper.method)
    memory.check(base.id, memory.need(base.folder, method=hyper.method, start=at_random), sharing.most())


def _check_search(start: base_of.Start, values: Mapping[str, str], params: Mapping[str, Any]) -> None:
    """Raises Invalid where the base or the method does not take an end of a searched range."""
    has_validation = bool(params.get("validationDataConfig", {}).get("validators")) or search_space.sets_aside(values)
    family = start.base.hyperparameters
    plan = search_space.read(family, values, has_validation=has_validation)
    if plan is None:
        return
    rate = memory.suitable_rate(start.base, initialize.random_start(values))
    for corner in plan.corners():
        asked = {**values, **corner}
        resolved = hyperparameters.resolve(family, asked, recommended_rate=rate, parent=start.method)
        assert start.base.folder is not None
        headers.check_method(start.base.folder, resolved.hyper.method)
