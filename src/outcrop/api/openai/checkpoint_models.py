"""Checkpoints of fine-tuning jobs as models: each becomes a custom model when it is first asked.

To make one needs what CreateCustomModel needs, and iam:PassRole on the job's role, under which its files are read.
"""

from dataclasses import replace

from anyio import to_thread

from outcrop import arn as arns
from outcrop.api.bedrock import model_keys
from outcrop.api.door.call import Call
from outcrop.api.openai import model_names, refusals, training_events, training_jobs
from outcrop.api.openai.made_aside import tell_made
from outcrop.api.openai.model_names import CheckpointName
from outcrop.customization import imported
from outcrop.customization.kind import KIND
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.store.resources import Resource


def model_of_job(house: House, region: str, name: str) -> str | None:
    """The ARN of the model that the job of a checkpoint makes; None where there is no such job.

    Permissions are asked about it until the checkpoint is a model itself.
    """
    checkpoint = model_names.parse_checkpoint(name)
    job = None if checkpoint is None else _job(house, region, checkpoint)
    return None if job is None else str(job.document["modelArn"])


async def model_arn(house: House, call: Call, name: str, found: str) -> str:
    """The ARN of a name's custom model: `found`, or that of a checkpoint, made where it is not there.

    Raises Denied.
    """
    checkpoint = model_names.parse_checkpoint(name)
    if checkpoint is None:
        return found
    job = await house.ask(_job, house, call.region, checkpoint)
    if job is None or job.document["modelArn"] != found:
        return found  # it is a model already
    told = await to_thread.run_sync(training_events.checkpoints, house, job)
    uri = next((str(each["uri"]) for each in told if each["step_number"] == checkpoint.step), None)
    if uri is None:
        raise refusals.no_model(name)
    params = {
        "modelName": checkpoint.model_name,
        "modelSourceConfig": {"s3DataSource": {"s3Uri": uri}},
        "roleArn": job.document["roleArn"],
    }
    making = replace(call, service="bedrock", operation="CreateCustomModel", params=params, found={}, line=None)
    await house.ask(house.access.authorize, making)
    return await to_thread.run_sync(_made, house, making, checkpoint)


def _made(house: House, call: Call, checkpoint: CheckpointName) -> str:
    """The ARN of the new model, or of that which another request made at the same moment."""
    try:
        made = imported.create(
            house,
            call.params,
            region=call.region,
            account=house.account,
            authorize_key=model_keys.authorizing(house, call),
        )
    except Invalid:
        model = house.models.look(call.region, checkpoint.model_name)
        if model is None:
            raise
        return model.arn
    tell_made(house, call, (made,))
    return made


def _job(house: House, region: str, checkpoint: CheckpointName) -> Resource | None:
    """The job that writes a checkpoint, by its own name or by the model that it has left."""
    model_name = checkpoint.whole.model_name
    identifier = model_name.rpartition("-")[2]
    job = house.store.resources.find(KIND.name, region, f"{training_jobs.PREFIX}{identifier}")
    if job is None:
        model = house.models.look(region, model_name)
        made_by = str(model.document.get("jobArn", "")) if model is not None else ""
        job = house.store.resources.get(made_by) if arns.is_arn(made_by) else None
    fits = job is not None and job.document.get("outputModelName") == model_name
    return job if fits and job is not None and job.document.get("baseId") == checkpoint.whole.base_id else None
