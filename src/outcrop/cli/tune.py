"""`outcrop tune`: a search over the hyperparameters of a customization job, watched to its end.

It asks the API as any client would: the data into a bucket, one CreateModelCustomizationJob whose hyperparameters say
what is searched, and then the job's own study.json, trial by trial. Given the name of a job that is there already, it
goes on watching that one.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from outcrop.buckets.names import parse_s3_uri
from outcrop.cli import export
from outcrop.cli.data_check import write_page
from outcrop.cli.data_files import check_data_file
from outcrop.cli.study_shown import print_study, trial_line
from outcrop.customization.choices.hyperparameters import of_pairs
from outcrop.customization.choices.search_space import AT_ONCE, PRUNER, SAMPLER, SPACE, TRIALS
from outcrop.customization.output.artifacts import STUDY, uri_of
from outcrop.errors import Invalid
from outcrop.evaluation.studies.page import study_page
from outcrop.settings import DEFAULT_REGION, Settings

_PAUSE_S = 0.5
_UNDER_WAY = ("InProgress", "Stopping")


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """The options of the command, as they were given."""

    name: str
    base: str
    data: str | None
    validation: Sequence[str]
    trials: int
    space: Path | None
    ranges: Sequence[str]
    "NAME=LEAST..MOST or NAME=WORD|WORD, of options of their own."
    sampler: str
    pruner: str
    at_once: int | None
    seed: int
    hyper: Sequence[str]
    customization: str
    region: str | None
    html: Path | None
    "Where the study is written as a page, too."
    as_json: bool


def tune(settings: Settings, asked: TuneOptions) -> int:
    """Create the job, or find it, and watch it; 1 when it did not complete. Raises Invalid, MachineTrouble."""
    if asked.html is not None and not asked.html.expanduser().parent.is_dir():
        raise Invalid(f"--html: there is no folder {asked.html.parent}. Make it first.")
    region = asked.region or DEFAULT_REGION
    bedrock, s3 = (export.client(settings, service, region) for service in ("bedrock", "s3"))
    job = _found(bedrock, asked.name)
    if job is None:
        _create(settings, bedrock, s3, asked)
    elif asked.data is not None:
        raise Invalid(
            f"--name: there is a job {asked.name} already. Leave --data out to watch it, or choose another name."
        )
    job = _watched(bedrock, s3, asked)
    study = _study(s3, job)
    if study is not None:
        print_study(study, as_json=asked.as_json)
        if asked.html is not None:
            write_page(asked.html.expanduser(), study_page(study, title=asked.name, about=_about(job)))
            if not asked.as_json:
                print(f"\nWritten: {asked.html}")
    if not asked.as_json and job["status"] == "Completed":
        print(f"\nThe custom model is {job['outputModelName']} ({job['outputModelArn']}).")
    if "failureMessage" in job:
        print(job["failureMessage"], file=sys.stderr)
    return int(job["status"] != "Completed")


def _about(job: dict[str, Any]) -> str:
    """Whose search it is, for the page."""
    base = job["baseModelArn"].rpartition("/")[2]
    return f"{job['customizationType']} of {base}, ended as {job['status']}"


def _found(bedrock: Any, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = bedrock.get_model_customization_job(jobIdentifier=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    return found


def _create(settings: Settings, bedrock: Any, s3: Any, asked: TuneOptions) -> None:
    if asked.data is None:
        raise Invalid(f"--data: missing, and there is no job {asked.name} to watch. Name a JSONL file or an S3 URI.")
    bucket = f"tune-{asked.name}".lower().replace("_", "-")
    uris = [_uploaded(s3, bucket, given) for given in (asked.data, *asked.validation)]
    bedrock.create_model_customization_job(
        jobName=asked.name,
        customModelName=asked.name,
        roleArn=export.installation(settings).service_role_arn,
        baseModelIdentifier=asked.base,
        customizationType=asked.customization,
        trainingDataConfig={"s3Uri": uris[0]},
        validationDataConfig={"validators": [{"s3Uri": uri} for uri in uris[1:]]},
        outputDataConfig={"s3Uri": f"s3://{_bucket(s3, bucket)}/output/"},
        hyperParameters=_hyperparameters(asked),
    )


def _hyperparameters(asked: TuneOptions) -> dict[str, str]:
    ranges = list(asked.ranges)
    if asked.space is not None:
        lines = check_data_file(asked.space).read_text("utf-8").splitlines()
        ranges += [line for line in lines if line.strip() and not line.startswith("#")]
    if not ranges:
        raise Invalid("tune: nothing to search. Give --rank 4..64, --learning-rate 1e-5..1e-3, or --space FILE.")
    at_once = {} if asked.at_once is None else {AT_ONCE: str(asked.at_once)}
    return {
        **of_pairs(asked.hyper),
        SPACE: "; ".join(ranges),
        TRIALS: str(asked.trials),
        SAMPLER: asked.sampler,
        PRUNER: asked.pruner,
        "outcrop.seed": str(asked.seed),
        **at_once,
    }


def _uploaded(s3: Any, bucket: str, given: str) -> str:
    """The S3 URI of the data, which is uploaded where it is a file."""
    if given.startswith("s3://"):
        return given
    file = check_data_file(Path(given))
    s3.upload_file(str(file), _bucket(s3, bucket), file.name)
    return f"s3://{bucket}/{file.name}"


def _bucket(s3: Any, bucket: str) -> str:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)
    return bucket


def _watched(bedrock: Any, s3: Any, asked: TuneOptions) -> dict[str, Any]:
    """The job once it has ended; trials are told as they end."""
    told = 0
    while True:
        job: dict[str, Any] = bedrock.get_model_customization_job(jobIdentifier=asked.name)
        study = None if asked.as_json else _study(s3, job)
        ended = [] if study is None else [trial for trial in study["trials"] if trial["end"] is not None]
        for trial in sorted(ended, key=lambda each: int(each["number"]))[told:]:
            print(trial_line(trial), flush=True)
        told = max(told, len(ended))
        if job["status"] not in _UNDER_WAY:
            return job
        time.sleep(_PAUSE_S)


def _study(s3: Any, job: dict[str, Any]) -> dict[str, Any] | None:
    """The job's study as it stands; None while there is none."""
    output = job["outputDataConfig"]["s3Uri"]
    bucket, key = parse_s3_uri(uri_of(STUDY, output_uri=output, job_arn=job["jobArn"]))
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    found: dict[str, Any] = json.loads(body)
    return found


def usual_name(base: str) -> str:
    """A name for a job that was given none."""
    return f"tune-{base.split('.')[-1]}-{time.strftime('%Y%m%d-%H%M%S')}"
