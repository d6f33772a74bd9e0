"""The CreateModelInvocationJob request, checked and put on record as a job.

Everything that can be refused is refused here. What only the records can show is found when the job runs.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from outcrop import arn as arns
from outcrop.access.needs.named import Named
from outcrop.batch import inputs
from outcrop.batch.answering import InvocationType
from outcrop.batch.kind import KIND, PRIORITY
from outcrop.batch.model import model_arn
from outcrop.batch.rooms import BatchRooms
from outcrop.errors import Invalid
from outcrop.invocation.background.models import check_may_invoke
from outcrop.store.idempotency import digest_of
from outcrop.store.resources import Resource
from outcrop.store.tags import tags_of

DEFAULT_TIMEOUT_HOURS = 24
_KEPT = ("clientRequestToken", "roleArn", "inputDataConfig", "outputDataConfig")


def create(
    house: BatchRooms,
    params: Mapping[str, Any],
    *,
    thing: Named,
    row: Resource | None,
    region: str,
    account: str,
    owner: str,
) -> str:
    """Check the request, write the job's row, and return its ARN; a light worker takes it from there.

    `thing` and `row` are what `modelId` was found to name. `owner` is the user or role that asks. The same
    clientRequestToken gets the first ARN again. Raises Invalid, NotFound.
    """
    token, scope = params.get("clientRequestToken"), f"{region}:CreateModelInvocationJob"
    before = house.store.idempotency.recall(scope, token, digest_of(params)) if token else None
    if before is not None:
        return str(before["jobArn"])
    tags = tags_of("tags", params.get("tags"))
    job_arn = arns.bedrock(region, account, f"{KIND.name}/{arns.new_id()}")
    form = InvocationType(params.get("modelInvocationType", InvocationType.INVOKE_MODEL))
    model = model_arn(house, thing, row, model_id=params["modelId"], region=region, form=form)
    _check_data(house, params, job_arn=job_arn, account=account)
    check_may_invoke(house, params["roleArn"], model)
    hours = params.get("timeoutDurationInHours", DEFAULT_TIMEOUT_HOURS)
    document = {
        **{member: params[member] for member in _KEPT if member in params},
        "modelArn": model,
        "modelInvocationType": form.value,
        "timeoutDurationInHours": hours,
        "jobExpirationTime": (house.clock.now() + timedelta(hours=hours)).isoformat(),
    }

    def add() -> dict[str, Any]:
        name = params["jobName"]
        house.jobs.add(
            KIND, job_arn=job_arn, name=name, region=region, document=document, owner=owner, priority=PRIORITY
        )
        house.store.tags.put(job_arn, tags)
        return {"jobArn": job_arn}

    return str(house.store.idempotency.once(scope, token, params, add)["jobArn"])


def _check_data(house: BatchRooms, params: Mapping[str, Any], *, job_arn: str, account: str) -> None:
    """The data is there and may be read, and the output may be written."""
    asked, wanted = _s3("inputDataConfig", params), _s3("outputDataConfig", params)
    for member, config in (("inputDataConfig", asked), ("outputDataConfig", wanted)):
        owner = config.get("s3BucketOwner", account)
        if owner != account:
            raise Invalid(
                f"{member}: s3BucketOwner {owner} is another account than that of this installation, {account}, which "
                "owns every bucket here. Leave it out."
            )
    if asked.get("s3InputFormat", "JSONL") != "JSONL":
        raise Invalid(f"inputDataConfig: s3InputFormat {asked['s3InputFormat']} is not known. Use JSONL.")
    sealed_by = wanted.get("s3EncryptionKeyId", "")
    data = house.data.under(params["roleArn"], source_arn=job_arn, kms_key_id=sealed_by)
    inputs.keys_of(data, asked["s3Uri"])
    data.check_output(wanted["s3Uri"])


def _s3(member: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one member of a data configuration."""
    name = "s3InputDataConfig" if member == "inputDataConfig" else "s3OutputDataConfig"
    found: Mapping[str, Any] | None = params[member].get(name)
    if found is None:
        raise Invalid(f"{member}: {name} is missing. Name a place in S3 with it.")
    return found
