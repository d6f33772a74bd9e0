"""A job takes a prefix of several files in any form, and learns from it just as from one file of the same records."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.errors import Invalid
from tests.support.homes import pairs, with_tiny_models
from tests.support.job_house import BUCKET, JobHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[JobHouse]:
    opened = JobHouse(with_tiny_models(tmp_path / "home"))
    yield opened
    opened.context.store.close()


def test_a_prefix_of_other_forms_trains_to_the_same_loss(house: JobHouse) -> None:
    # Given the records of train.jsonl again: the first half as a packed Alpaca array, the rest as a table
    records = [json.loads(line) for line in pairs(12).splitlines()]
    alpaca = [{"instruction": one["prompt"], "input": "", "output": one["completion"]} for one in records[:6]]
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerows([("prompt", "completion"), *((one["prompt"], one["completion"]) for one in records[6:])])
    house.put("several/1.json.gz", gzip.compress(json.dumps(alpaca).encode()))
    house.put("several/2.csv", table.getvalue().encode())
    house.put("several/_SUCCESS", b"")
    house.put("held/out.jsonl", pairs(2))
    # When a job learns from each
    one = house.create("one")
    several = house.create("several", data="several/", validation="held/")
    for job in (one, several):
        assert house.work(job)
    # Then they are the same run
    losses = [house.training_csv(job).to_csv() for job in (one, several)]
    assert losses[0] == losses[1]
    report = json.loads(house.output(several, "preflight/report.json"))
    assert [(file["name"], file["part"], file["num_records"]) for file in report["files"]] == [
        ("several/1.json.gz", 0, 6), ("several/2.csv", 0, 6), ("held/out.jsonl", 1, 2),
    ]  # fmt: skip
    converted = [rule["form"] for rule in report["files"][0]["converted"]]
    assert converted == ["a JSON array compressed with gzip", "Alpaca's form (instruction, input, output)"]


def test_a_prefix_without_objects_is_refused_at_creation(house: JobHouse) -> None:
    with pytest.raises(Invalid, match=rf"^s3://{BUCKET}/nowhere/: no object begins with this\. Name a folder"):
        house.create("none", data="nowhere/")
