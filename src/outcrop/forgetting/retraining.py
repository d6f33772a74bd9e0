"""A job once more, without some of its records and otherwise unchanged, asked for through the API.

The data that is left goes into the job's output prefix, in the order it had, as JSON Lines. The new job has
the hyperparameters that were used, the role, the tags, the form of the prompts and the day that chat templates wrote.
So it computes what it would have computed had the records never been there. A model that a key of KMS seals is followed
by one under the same key, and so is the data that is left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from outcrop import arn
from outcrop.buckets.names import parse_s3_uri
from outcrop.customization.choices import prompting
from outcrop.datasets.reading import read_file
from outcrop.datasets.record_file import TRAINING
from outcrop.datasets.record_json import to_line
from outcrop.datasets.records import digest
from outcrop.forgetting.family import FORGETS, FamilyMember, ModelFamily
from outcrop.forgetting.originals import LearnedDataset
from outcrop.forgetting.plan import Retraining

_LONGEST_STEM = 48
_MARK = "-forgot-"
_FOLDER = "without-forgotten"
_JSON_LINES = ".jsonl"


@dataclass(frozen=True, kw_only=True)
class JobAgain:
    """A job that trains a model again."""

    arn: str
    model_name: str
    folder: str
    "S3 URI below which its data lies, and its report will."


def new_name(name: str, token: str) -> str:
    """A name for the model that forgets; forgetting twice does not make it longer."""
    return f"{name.partition(_MARK)[0][:_LONGEST_STEM].rstrip('-_')}{_MARK}{token}"


def start(
    family: ModelFamily,
    s3: Any,
    step: Retraining,
    digests: frozenset[bytes],
    *,
    start_arn: str,
    name: str | None,
    work: Path,
) -> JobAgain:
    """Write the data that is left, and ask for the job. `start_arn` is the model it begins with; `work` a folder."""
    told = step.member.told
    key_arn = kms_key_of(step.member)
    token = arn.new_id()
    job = family.bedrock.get_model_customization_job(jobIdentifier=told["jobArn"])
    output = job["outputDataConfig"]["s3Uri"]
    folder = f"{output.rstrip('/')}/{_FOLDER}/{token}"
    uris = {
        dataset.part: _put(s3, dataset, digests, folder=folder, work=work, key_arn=key_arn)
        if step.forgotten[dataset.part] or not dataset.is_unchanged
        else dataset.source.uri
        for dataset in step.datasets
        if step.left[dataset.part]
    }
    model_name = name or new_name(step.member.name, token[:6])
    validators = [{"s3Uri": uri} for part, uri in uris.items() if part != TRAINING]
    created = family.bedrock.create_model_customization_job(
        jobName=model_name,
        customModelName=model_name,
        roleArn=job["roleArn"],
        baseModelIdentifier=start_arn,
        customizationType=job["customizationType"],
        trainingDataConfig={"s3Uri": uris[TRAINING]},
        **({"validationDataConfig": {"validators": validators}} if validators else {}),
        outputDataConfig={"s3Uri": output},
        hyperParameters=hyperparameters(step),
        jobTags=_tags(family.tags(job["jobArn"])),
        customModelTags=_tags({**family.tags(step.member.arn), FORGETS: step.member.arn}),
        **({"customModelKmsKeyId": key_arn} if key_arn else {}),
    )
    return JobAgain(arn=created["jobArn"], model_name=model_name, folder=folder)


def kms_key_of(member: FamilyMember) -> str:
    """The ARN of the KMS key that seals a model; empty where none does."""
    return str(member.told.get("modelKmsKeyArn") or "")


def put_encryption(key_arn: str) -> dict[str, str]:
    """The members of a request that puts an object under a key of KMS; none without one."""
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn} if key_arn else {}


def hyperparameters(step: Retraining) -> dict[str, str]:
    """The values that the first job used, with the day of its prompts, which was its own."""
    assert step.member.lineage is not None
    day = step.member.lineage.document.get("prompt_day")
    return {**step.member.told["hyperParameters"], **({} if day is None else {prompting.DAY: day})}


def write_without(dataset: LearnedDataset, digests: frozenset[bytes], place: Path) -> None:
    """Write the records of a dataset to a file, but for those of these digests, and read it back.

    A file of JSON Lines that is as it was keeps its lines. Of any other the records are written, which say the same.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    if dataset.is_unchanged and dataset.path.is_file() and dataset.name.endswith(_JSON_LINES):
        _copy_lines(dataset, digests, place)
        if _is_what_is_left(dataset, digests, place):
            return
    with place.open("wb") as file:
        for known, record in dataset.records():
            if known.digest not in digests:
                file.write(to_line(record))
    # What a record says must survive being written: only then is the new job the old one without the others.
    assert _is_what_is_left(dataset, digests, place), f"{place}: read back otherwise"


def _copy_lines(dataset: LearnedDataset, digests: frozenset[bytes], place: Path) -> None:
    gone = {known.line for known, _ in dataset.records() if known.digest in digests}
    with dataset.path.open("rb") as lines, place.open("wb") as file:
        file.writelines(line for number, line in enumerate(lines, start=1) if number not in gone)


def _is_what_is_left(dataset: LearnedDataset, digests: frozenset[bytes], place: Path) -> bool:
    again = read_file(place, customization=dataset.lineage.document["customization_type"])
    said = (None if line.record is None else digest(line.record) for line in again)
    expected = (known.digest for known, _ in dataset.records() if known.digest not in digests)
    return all(one == two for one, two in zip_longest(said, expected))


def _put(s3: Any, dataset: LearnedDataset, digests: frozenset[bytes], *, folder: str, work: Path, key_arn: str) -> str:
    """The S3 URI of what is left of a dataset."""
    name = dataset.name if dataset.name.endswith(_JSON_LINES) else f"{dataset.name}{_JSON_LINES}"
    place = work / str(dataset.part) / name
    write_without(dataset, digests, place)
    uri = f"{folder}/{dataset.part}/{name}"
    bucket, key = parse_s3_uri(uri)
    s3.upload_file(str(place), bucket, key, ExtraArgs=put_encryption(key_arn))
    place.unlink()
    return uri


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
