"""Fine-tuning jobs over customization jobs: create, look, list, cancel; their events and checkpoints.

A job runs under the installation's service role, so whoever makes one needs iam:PassRole on it, as at Bedrock; and
s3:GetObject on the files it names.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from outcrop.api.bedrock import model_keys
from outcrop.api.bedrock.named import resource_of
from outcrop.api.door import object_keys
from outcrop.api.door.call import Answered, Call
from outcrop.api.openai import invoking, model_names, pages, refusals, stored_files, training_jobs
from outcrop.api.openai.endpoint import BODY, QUERY, Endpoint, EndpointRequest, MeantOperation, Takes
from outcrop.api.openai.stored_files import FINE_TUNE, StoredFile
from outcrop.api.openai.training_events import checkpoints, events
from outcrop.api.openai.training_members import AUTO, members
from outcrop.catalog.base_model import BaseModel
from outcrop.customization import create_job, stop_job
from outcrop.customization.choices.hyperparameters import MULTIPLIER
from outcrop.customization.kind import KIND
from outcrop.errors import Invalid, ServiceRefusal
from outcrop.house import House
from outcrop.invocation.schema import Malformed, Number, Struct, Text

_NOUN = "Fine-tuning job"
_LONGEST_SUFFIX = 50
"A custom model's name has 63 characters, 13 of which are the job's id."
_SUFFIX = re.compile(r"[0-9a-zA-Z]([_-]?[0-9a-zA-Z])*")
_NUMBERS = {
    "n_epochs": Number(least=1, integer=True),
    "batch_size": Number(least=1, integer=True),
    "learning_rate_multiplier": Number(least=0),
}
_OURS = {"n_epochs": "epochCount", "batch_size": "outcrop.batchSize", "learning_rate_multiplier": MULTIPLIER}
"Hyperparameters of OpenAI's, and ours that mean the same."
_SEED = Number(least=0, most=2**31 - 1, integer=True)
_UNSERVED = {
    "integrations": "metrics go to no other service from here; events and result files have them. Leave it out.",
    "metadata": "it is not kept with jobs. Leave it out, or name the job by suffix.",
}
_KNOWN = {"model", "training_file", "validation_file", "suffix", "seed", "hyperparameters", "method", *_UNSERVED}
_MOST = 100


def create_job_of_files(house: House, call: Call) -> Answered:
    """A new job, put on record and not begun; its data is checked once it runs."""
    body = call.params[BODY]
    params = {**_params(house, call, body), "hyperParameters": _hyperparameters(body)}
    base, parent = (
        house.access.named(call, "baseModelIdentifier").foundation,
        house.access.row(call, "baseModelIdentifier"),
    )
    if parent is None and (not isinstance(base, BaseModel) or base.folder is None):
        raise refusals.no_model(body["model"])
    try:
        arn = create_job.create(
            house,
            params,
            base=base,
            parent=None if parent is None else parent.resource(),
            region=call.region,
            account=house.account,
            owner=call.caller.principal,
            authorize_key=model_keys.authorizing(house, call),
        )
    except Invalid as invalid:
        raise _in_openais_words(invalid) from invalid
    return members(house, house.jobs.get(arn))


def list_jobs(house: House, call: Call) -> Answered:
    """All jobs of the region, those that boto3 made too, newest first."""
    query = call.params[QUERY]
    if any(name.startswith("metadata") for name in query):
        raise refusals.unserved("metadata", "it is not kept with jobs. Leave it out.")
    found = pages.rows(house, KIND.name, call.region, descending=True)
    return pages.page((members(house, row) for row in found), query, usual=20, most=_MOST)


def get_job(house: House, call: Call) -> Answered:
    return members(house, resource_of(house, call, "jobIdentifier", _NOUN))


def cancel_job(house: House, call: Call) -> Answered:
    """Ask a job to stop. Raises Conflict where it has ended."""
    job = resource_of(house, call, "jobIdentifier", _NOUN)
    stop_job.stop(house, job.arn)
    return members(house, house.jobs.get(job.arn))


def list_events(house: House, call: Call) -> Answered:
    job = resource_of(house, call, "jobIdentifier", _NOUN)
    return pages.page(events(house, job), call.params[QUERY], usual=20, most=_MOST)


def list_checkpoints(house: House, call: Call) -> Answered:
    job = resource_of(house, call, "jobIdentifier", _NOUN)
    return pages.page(checkpoints(house, job), call.params[QUERY], usual=10, most=_MOST)


def pause_or_resume(_house: House, _call: Call) -> Answered:
    text = "jobs are not paused here: cancel one, and make a new one of its model. A stopped worker resumes by itself."
    raise refusals.unserved("pause", text)


def _params(house: House, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
    """The members of CreateModelCustomizationJob, as they were authorized, with the files' places."""
    training = _file(house, call, body.get("training_file"), "training_file")
    given = {name: call.params[name] for name in ("jobName", "customModelName", "roleArn", "baseModelIdentifier")}
    validators = []
    if "validation_file" in body:
        validation = _file(house, call, body["validation_file"], "validation_file")
        validators = [{"s3Uri": stored_files.uri_of(validation)}]
    bucket = stored_files.make_bucket(house)
    return {
        **given,
        "trainingDataConfig": {"s3Uri": stored_files.uri_of(training)},
        "outputDataConfig": {"s3Uri": f"s3://{bucket}/fine-tuning"},
        **({"validationDataConfig": {"validators": validators}} if validators else {}),
    }


def _file(house: House, call: Call, file_id: Any, param: str) -> StoredFile:
    """The file that a job is to read, which its maker must be allowed to read too. Raises Denied."""
    if file_id is None:
        raise refusals.missing(param)
    problems = Text(least_length=1).violations(file_id, f"#/{param}")
    if problems:
        raise Malformed(problems)
    file = stored_files.find(house, call.region, file_id)
    absent = refusals.invalid(param, f"there is no file {file_id} to learn from. Upload it with purpose {FINE_TUNE}.")
    if file is None or file.purpose != FINE_TUNE:
        raise absent
    read = {"Bucket": file.place.bucket, "Key": file.place.key}
    reading = replace(call, service="s3", operation="GetObject", params=read, found={}, line=None)
    house.access.authorize(reading)
    try:
        record = house.buckets.find(*file.place)
    except ServiceRefusal as gone:  # deleted as an object of its bucket
        raise absent from gone
    object_keys.check_read(house, reading, record)
    return file


def _hyperparameters(body: Mapping[str, Any]) -> dict[str, str]:
    """Ours, from OpenAI's; what is left to us (`auto`, or nothing said) is left out."""
    given, at = _given(body)
    problems = Struct(optional=_NUMBERS).violations({k: v for k, v in given.items() if v != AUTO}, at)
    if "seed" in body:
        problems += _SEED.violations(body["seed"], "#/seed")
    if problems:
        raise Malformed(problems)
    found = {_OURS[name]: _text(value) for name, value in given.items() if value != AUTO}
    return found | ({"outcrop.seed": str(body["seed"])} if "seed" in body else {})


def _given(body: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The hyperparameters of a body, of its method or beside it, and where they stand."""
    method = body.get("method")
    if method is None:
        return _object(body.get("hyperparameters"), "hyperparameters"), "#/hyperparameters"
    kind = method.get("type") if isinstance(method, dict) else None
    if kind in ("dpo", "reinforcement"):
        raise refusals.unserved("method.type", f"{kind} is not built in Outcrop yet. Use supervised.")
    if kind != "supervised":
        raise Malformed(Struct(required={"type": Text(one_of=("supervised",))}).violations(method, "#/method")[:1])
    strange = next((name for name in method if name not in ("type", "supervised")), None)
    if strange is not None:
        raise refusals.unknown(f"method.{strange}")
    supervised = _object(method.get("supervised"), "method.supervised")
    strange = next((name for name in supervised if name != "hyperparameters"), None)
    if strange is not None:
        raise refusals.unknown(f"method.supervised.{strange}")
    where = "method.supervised.hyperparameters"
    return _object(supervised.get("hyperparameters"), where), f"#/{where.replace('.', '/')}"


def _object(value: Any, param: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refusals.invalid(param, "expected an object.", code="invalid_type")
    return {name: one for name, one in value.items() if one is not None}


def _text(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.10f}".rstrip("0").rstrip(".")


def _in_openais_words(invalid: Invalid) -> Exception:
    """A refusal of hyperparameters by the names that were sent."""
    text = invalid.message
    for theirs, ours in _OURS.items():
        if text.startswith(f"hyperParameters.{ours}:"):
            told = text.replace(f"hyperParameters.{ours}", f"hyperparameters.{theirs}")
            return refusals.invalid(f"hyperparameters.{theirs}", told.partition(": ")[2])
    return invalid


def _mean_create(house: House, asked: EndpointRequest) -> MeantOperation:
    body = asked.body
    for name, why in _UNSERVED.items():
        if body.get(name):
            raise refusals.unserved(name, why)
    strange = next((name for name in body if name not in _KNOWN), None)
    if strange is not None:
        raise refusals.unknown(strange)
    name = invoking.model_in(body)
    region = model_names.region_of(name) or asked.region
    model = None if house.catalog.find(name) is not None else model_names.custom_model(house, region, name)
    job_name, model_name = training_jobs.new_names(_suffix(body.get("suffix")))
    params = {
        "jobName": job_name,
        "customModelName": model_name,
        "roleArn": house.access.installation.service_role_arn,
        "baseModelIdentifier": name if model is None else model.arn,
    }
    return MeantOperation("CreateModelCustomizationJob", params, region)


def _suffix(given: Any) -> str:
    if given is None or given == "":
        return ""
    if not isinstance(given, str) or len(given) > _LONGEST_SUFFIX or not _SUFFIX.fullmatch(given):
        what = (
            f"use letters and digits, with single dashes or underscores between, at most {_LONGEST_SUFFIX} characters."
        )
        raise refusals.invalid("suffix", what)
    return given


def _mean_list(_house: House, _asked: EndpointRequest) -> MeantOperation:
    return MeantOperation("ListModelCustomizationJobs", {})


def _mean_job(operation: str) -> Any:
    def mean(_house: House, asked: EndpointRequest) -> MeantOperation:
        return MeantOperation(operation, {"jobIdentifier": asked.label})

    return mean


def _job(method: str, path: str, operation: str, handler: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/fine_tuning/jobs/{{job}}{path}",
        service="bedrock",
        operation=operation,
        meaning=_mean_job(operation),
        handler=handler,
    )


_GET, _STOP = "GetModelCustomizationJob", "StopModelCustomizationJob"
ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/fine_tuning/jobs",
        service="bedrock",
        operation="CreateModelCustomizationJob",
        meaning=_mean_create,
        handler=create_job_of_files,
        takes=Takes.JSON,
    ),
    Endpoint(
        method="GET",
        path="/fine_tuning/jobs",
        service="bedrock",
        operation="ListModelCustomizationJobs",
        meaning=_mean_list,
        handler=list_jobs,
    ),
    _job("GET", "", _GET, get_job),
    _job("GET", "/events", _GET, list_events),
    _job("GET", "/checkpoints", _GET, list_checkpoints),
    _job("POST", "/cancel", _STOP, cancel_job),
    _job("POST", "/pause", _STOP, pause_or_resume),
    _job("POST", "/resume", _STOP, pause_or_resume),
)
