"""Test records found in training data: the same, nearly the same, and within a text."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from outcrop.datasets.record_file import KnownRecord, RecordFile
from outcrop.datasets.records import PromptCompletion, digest
from outcrop.evaluation import contamination
from outcrop.evaluation.questions import read_questions

ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/outcrop.starter-v1:0:2k/aaaaaaaaaaaa"
PARENT = ARN.replace("aaaaaaaaaaaa", "bbbbbbbbbbbb")
LONG = "The committee on arbitration meets on the first Tuesday of each month at ten in the morning, in room {}."


@dataclass
class Buckets:
    """The two operations of S3 that are asked for, over a dict."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def download_file(self, bucket: str, key: str, path: str) -> None:
        if f"{bucket}/{key}" not in self.objects:
            missing: Any = {"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
            raise ClientError(missing, "HeadObject")
        Path(path).write_bytes(self.objects[f"{bucket}/{key}"])


class Gone(Exception):
    """The error of boto3 for a model that is not there."""


@dataclass
class Models:
    """GetCustomModel over a dict."""

    told: dict[str, dict[str, Any]]

    class exceptions:  # noqa: N801 (boto3's name)
        ResourceNotFoundException = Gone

    def get_custom_model(self, modelIdentifier: str) -> dict[str, Any]:
        if modelIdentifier not in self.told:
            raise Gone
        return self.told[modelIdentifier]


def model(arn: str, base: str, uri: str, kind: str = "FINE_TUNING") -> dict[str, Any]:
    return {
        "modelArn": arn,
        "modelName": arn[-4:],
        "jobArn": f"arn:aws:bedrock:us-east-1:123456789012:model-customization-job/x/{arn[-12:]}",
        "baseModelArn": base,
        "customizationType": kind,
        "trainingDataConfig": {"s3Uri": uri},
        "outputDataConfig": {"s3Uri": "s3://bkt/out/"},
    }


def jsonl(*records: dict[str, str]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def lineage(folder: Path, *records: KnownRecord) -> bytes:
    with RecordFile(folder / "records.lineage") as file:
        for record in records:
            file.add(record)
    return (folder / "records.lineage").read_bytes()


def test_the_same_record_and_one_nearly_the_same_are_found_in_an_ancestor_too() -> None:
    base = "arn:aws:bedrock:us-east-1::foundation-model/outcrop.starter-v1"
    models = Models(
        {ARN: model(ARN, PARENT, "s3://bkt/young.jsonl"), PARENT: model(PARENT, base, "s3://bkt/old.jsonl")}
    )
    old = [{"prompt": f"Question {n}", "completion": LONG.format(n)} for n in range(3)]
    s3 = Buckets({"bkt/young.jsonl": jsonl({"prompt": "p", "completion": "q"}), "bkt/old.jsonl": jsonl(*old)})
    test = [
        {"prompt": "p", "completion": "q"},
        {"prompt": "Question 2", "completion": LONG.format("two")},
        {"prompt": "Something else", "completion": "with an answer of its own"},
    ]
    questions = read_questions(jsonl(*test).splitlines(), name="t.jsonl")
    told = contamination.check({"bedrock": models, "s3": s3}, questions, {"mine": ARN, "base": None})
    young, above = told.learned
    assert [(each.id, each.likeness, each.where) for each in young.found] == [("t.jsonl:1", 1.0, "young.jsonl:1")]
    assert (above.model, above.compared, above.num_records) == ("bbbb", "mine", 3)
    assert [(each.id, each.where) for each in above.found] == [("t.jsonl:2", "old.jsonl:3")]
    assert 0.8 <= above.found[0].likeness < 1
    assert told.ids == {"t.jsonl:1", "t.jsonl:2"}
    assert told.notes == (
        "What base learned from before it came here is not on record: it could not be looked through.",
    )


def test_a_record_within_a_text_is_found() -> None:
    text = {"input": f"Minutes. {LONG.format(7)} Then the meeting was closed."}
    models = Models({ARN: model(ARN, "arn:x", "s3://bkt/texts.jsonl", "CONTINUED_PRE_TRAINING")})
    s3 = Buckets({"bkt/texts.jsonl": jsonl({"input": "Something else entirely."}, text)})
    record = {"prompt": "", "completion": ""} | {"prompt": "Room?", "completion": LONG.format(7)}
    questions = read_questions(jsonl(record).splitlines(), name="t.jsonl")
    (learned,) = contamination.check({"bedrock": models, "s3": s3}, questions, {"mine": ARN}).learned
    assert [(each.id, each.where) for each in learned.found] == [("t.jsonl:1", "texts.jsonl:2")]


def test_lineage_tells_of_data_that_is_gone_and_of_records_that_were_set_aside(tmp_path: Path) -> None:
    first, second = (PromptCompletion(prompt=text, completion=text, line=1) for text in ("a", "b"))
    kept = lineage(tmp_path, KnownRecord(digest(first), line=1), KnownRecord(digest(second), line=2, set_aside=True))
    folder = f"bkt/out/model-customization-job-{ARN[-12:]}/lineage/records.lineage"
    models, questions = (
        Models({ARN: model(ARN, "arn:x", "s3://bkt/train.jsonl")}),
        read_questions(
            jsonl({"prompt": "a", "completion": "a"}, {"prompt": "b", "completion": "b"}).splitlines(), name="t.jsonl"
        ),
    )
    gone = contamination.check({"bedrock": models, "s3": Buckets({folder: kept})}, questions, {"mine": ARN})
    assert [each.id for each in gone.learned[0].found] == ["t.jsonl:1"]
    assert "is gone" in gone.learned[0].note
    s3 = Buckets({folder: kept, "bkt/train.jsonl": jsonl(
        {"prompt": "a", "completion": "a"}, {"prompt": "b", "completion": "b"}
    )})  # fmt: skip
    there = contamination.check({"bedrock": models, "s3": s3}, questions, {"mine": ARN})
    assert [each.id for each in there.learned[0].found] == ["t.jsonl:1"]
    neither = contamination.check({"bedrock": models, "s3": Buckets()}, questions, {"mine": ARN})
    assert (neither.learned[0].num_records, neither.learned[0].found) == (0, ())
    assert "was not looked through" in neither.learned[0].note
