"""Batch jobs from a request to their output: every kind of line, model, end and trouble, over a real socket."""

import threading
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from outcrop.access.names import Kind
from outcrop.access.policies.key_policy import default_key_policy
from outcrop.batch import run, work
from outcrop.clock import MovableClock
from outcrop.errors import Invalid
from outcrop.keys.specs import SPECS, KeyUsage
from tests.support.batch_house import BASE, BUCKET, BatchHouse, asked, batch_house, texts
from tests.support.policies import policy, trusting


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, clock: MovableClock) -> Iterator[BatchHouse]:
    with batch_house(tmp_path_factory.mktemp("batch") / "home", clock=clock) as made:
        yield made


def test_every_line_has_its_result_in_order_whatever_is_wrong_with_it(house: BatchHouse) -> None:
    long = "word " * 5000
    house.put(
        "kinds/all.jsonl",
        asked("one", recordId="FIRST"),
        b"{",
        b"",
        {"recordId": "x"},
        asked(long, recordId="LONG"),
        {"modelInput": {"prompt": "a", "max_tokens": -1}},
        {"modelInput": {"nothing": "known"}},
        asked("two"),
    )
    ended = house.work(job := house.create("kinds/"))

    results = house.output(job, "all.jsonl.out")
    assert texts(results) == ["one", None, None, None, None, None, "two"]
    assert [result["recordId"] for result in results][:4:3] == ["FIRST", "LONG"]
    assert all(len(result["recordId"]) == 11 for result in (results[1], results[6]))
    errors = [result["error"] for result in results if "error" in result]
    assert {error["errorCode"] for error in errors} == {400}
    assert [error["errorMessage"][:38] for error in errors] == [
        "Malformed record at line 2: it is not ",
        "Malformed record at line 4: modelInput",
        "Input is too long for requested model.",
        "Malformed input request: #/max_tokens:",
        "Malformed input request: #: none of th",
    ]
    assert results[4]["modelInput"] == {"prompt": "a", "max_tokens": -1}
    counts = {"totalRecordCount": 7, "processedRecordCount": 7, "successRecordCount": 2, "errorRecordCount": 5}
    assert house.manifest(job) == {
        **counts,
        "inputTokenCount": house.manifest(job)["inputTokenCount"],
        "outputTokenCount": 6,
    }
    assert ended.status == "Completed"
    assert {name: ended.document[name] for name in counts} == counts


def test_each_request_says_that_it_gives_way_to_others(house: BatchHouse) -> None:
    house.engine.requests.clear()
    house.put("quiet/a.jsonl", asked("one"), asked("two"))
    house.work(house.create("quiet/"))
    assert [request["priority"] for request in house.engine.requests] == [1, 1]


def test_a_prefix_keeps_its_folders_and_passes_over_what_is_no_jsonl(house: BatchHouse) -> None:
    house.put("many/a.jsonl", asked("one"))
    house.put("many/below/b.jsonl", asked("two"), asked("three"))
    house.put("many/readme.txt", b"not asked")
    house.put("many-more/c.jsonl", b"not asked")
    job = house.create("many")  # without a slash it is the same folder
    assert house.work(job).status == "Completed"
    assert texts(house.output(job, "a.jsonl.out")) == ["one"]
    assert texts(house.output(job, "below/b.jsonl.out")) == ["two", "thr"]
    assert house.manifest(job)["totalRecordCount"] == 3


def test_one_object_is_an_input_too(house: BatchHouse) -> None:
    house.put("single/only.jsonl", asked("one"))
    job = house.create("single/only.jsonl")
    house.work(job)
    assert texts(house.output(job, "only.jsonl.out")) == ["one"]


def test_records_of_converse_are_answered_as_converse_answers(house: BatchHouse) -> None:
    message = {"role": "user", "content": [{"text": "hello"}]}
    house.put(
        "talk/a.jsonl",
        {"recordId": "GOOD", "modelInput": {"messages": [message], "inferenceConfig": {"maxTokens": 5}}},
        {"recordId": "BAD", "modelInput": {"messages": [message], "inferenceConfig": {"maxTokens": 0}}},
        {"recordId": "ODD", "modelInput": {"messages": "hello"}},
    )
    job = house.create("talk/", modelInvocationType="Converse")
    house.work(job)
    good, bad, odd = house.output(job, "a.jsonl.out")
    assert good["modelOutput"]["output"]["message"]["role"] == "assistant"
    assert good["modelOutput"]["usage"]["outputTokens"] == house.manifest(job)["outputTokenCount"] > 0
    assert good["modelInput"]["inferenceConfig"] == {"maxTokens": 5}
    assert "inferenceConfig.maxTokens" in bad["error"]["errorMessage"]
    assert odd["error"] == {"errorCode": 400, "errorMessage": odd["error"]["errorMessage"]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{BUCKET}/absent/"}}}, "ends in .jsonl"),
        (
            {"inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{BUCKET}/no.jsonl"}}},
            "Could not validate GetObject",
        ),
        ({"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://absent/out/"}}}, "Could not validate PutObject"),
        ({"inputDataConfig": {}}, "inputDataConfig: s3InputDataConfig is missing"),
        ({"modelId": "nobody.knows-v1"}, "The provided model identifier is invalid."),
        (
            {
                "outputDataConfig": {
                    "s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/o/", "s3EncryptionKeyId": "alias/k"}
                }
            },
            r"Could not validate PutObject .* \(Key 'alias/k' does not exist\)",
        ),
        (
            {"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/o/", "s3BucketOwner": "1" * 12}}},
            "s3BucketOwner 111111111111 is another account",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_on_record(
    house: BatchHouse, change: dict[str, Any], sentence: str
) -> None:
    house.put("asked/a.jsonl", asked("one"))
    before = house.house.store.resources.counts()
    with pytest.raises(Invalid, match=sentence):
        house.create("asked/", **change)
    assert house.house.store.resources.counts() == before


def test_outputs_are_sealed_by_the_key_that_the_request_names(house: BatchHouse) -> None:
    key = house.house.keys.create(
        region="us-east-1", spec=SPECS["SYMMETRIC_DEFAULT"], usage=KeyUsage.ENCRYPT_DECRYPT, description="",
        policy=default_key_policy(house.house.account), tags={},
    )  # fmt: skip
    house.put("sealed/a.jsonl", asked("one"))
    wanted = {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/out-sealed/", "s3EncryptionKeyId": key.arn}}
    with pytest.raises(Invalid, match="does not allow kms:GenerateDataKey"):
        house.create("sealed/", outputDataConfig=wanted)
    role = house.role.rpartition("/")[2]
    let = policy("Allow", ["kms:GenerateDataKey", "kms:Decrypt"], key.arn)
    house.house.access.attachments.put_inline(Kind.ROLE, role, "kms", let)
    job = house.create("sealed/", outputDataConfig=wanted)
    assert house.work(job).status == "Completed"
    found = [record.details.encryption for record in house.house.buckets.under(BUCKET, "out-sealed/")]
    assert [each and each.key_arn for each in found] == [key.arn, key.arn]


def test_a_role_needs_to_be_let_invoke_the_model(house: BatchHouse) -> None:
    access = house.house.access
    role = access.identities.create_role("only-data", trust=trusting({"Service": "bedrock.amazonaws.com"})).arn
    access.attachments.put_inline(Kind.ROLE, "only-data", "data", policy("Allow", "s3:*"))
    house.put("role/a.jsonl", asked("one"))
    with pytest.raises(
        Invalid, match=r"^Customer doesn't have permissions to invokeModel \(the role .* does not allow"
    ):
        house.create("role/", roleArn=role)
    access.attachments.put_inline(Kind.ROLE, "only-data", "model", policy("Allow", "bedrock:InvokeModel"))
    job = house.create("role/", roleArn=role)
    access.attachments.delete_inline(Kind.ROLE, "only-data", "model")
    ended = house.work(job)
    assert ended.status == "Failed"
    assert ended.document["failureMessage"].startswith("Customer doesn't have permissions to invokeModel")


def test_a_job_of_nothing_fails_and_so_does_one_of_less_than_asked_for(tmp_path: Path) -> None:
    with batch_house(tmp_path / "home", batch_least_records=3) as house:
        house.put("in/a.jsonl", asked("one"), asked("two"))
        job = house.create()
        ended = house.work(job)
        assert (ended.status, ended.document["failureMessage"]) == (
            "Failed",
            f"Batch job {job} contains less records (2) than the required minimum of: 3",
        )


def test_a_file_that_is_gone_leaves_the_others_done(house: BatchHouse) -> None:
    house.put("partly/a.jsonl", asked("one"))
    house.put("partly/b.jsonl", asked("two"))
    job = house.create("partly/")
    access = house.house.access
    access.attachments.put_inline(
        Kind.ROLE, "OutcropServiceRole", "no-b", policy("Deny", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/partly/b.jsonl")
    )
    try:
        ended = house.work(job)
    finally:
        access.attachments.delete_inline(Kind.ROLE, "OutcropServiceRole", "no-b")
    assert ended.status == "PartiallyCompleted"
    assert "partly/b.jsonl" in ended.document["failureMessage"]
    assert texts(house.output(job, "a.jsonl.out")) == ["one"]


def test_a_stopped_job_keeps_what_is_done(house: BatchHouse) -> None:
    job = house.half_done("stopped")
    house.house.jobs.request_stop(job)
    done = house.work(job)  # as the killed worker's successor finds it
    assert done.status == "Stopped"
    results = house.output(job, "a.jsonl.out")
    assert 0 < len(results) < 60
    assert house.manifest(job)["processedRecordCount"] == len(results) == done.document["processedRecordCount"]
    assert not house.folder(job).exists()


def test_a_job_that_is_stopped_while_it_works_keeps_what_is_made(
    house: BatchHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_GRACE_S", 0.1)

    def stop(job: str) -> bool:
        house.house.jobs.request_stop(job)
        return False

    job = house.half_done("stopped-working", when=stop)
    assert house.house.jobs.get(job).status == "Stopped"
    results = house.output(job, "a.jsonl.out")
    assert 0 < len(results) <= 40
    assert set(texts(results)) == {"sho"}
    assert house.manifest(job)["processedRecordCount"] == len(results)


def test_a_job_beyond_its_time_expires_with_what_is_done(house: BatchHouse, clock: MovableClock) -> None:
    job = house.half_done("late", timeoutDurationInHours=24)
    clock.move(timedelta(hours=24))
    ended = house.work(job)
    assert ended.status == "Expired"
    assert 0 < len(house.output(job, "a.jsonl.out")) == house.manifest(job)["processedRecordCount"] < 60
    assert "its time is over" in ended.document["failureMessage"]


def test_a_worker_that_ends_leaves_the_job_to_its_successor(house: BatchHouse) -> None:
    house.put("handed/a.jsonl", *(asked(f"number {number}") for number in range(8)))
    job, ended = house.create("handed/"), threading.Event()
    ended.set()
    assert house.work(job, stop=ended).status == "Submitted"
    assert house.work(job).status == "Completed"


def test_an_engine_that_dies_in_the_middle_costs_no_line(house: BatchHouse) -> None:
    house.put("deaths/a.jsonl", *(asked(f"{number} lives") for number in range(6)))
    house.engine.die_after = [1, 0, 1]
    job = house.create("deaths/")
    house.work(job)
    house.engine.die_after = []
    assert house.manifest(job)["successRecordCount"] == 6
    assert len(set(texts(house.output(job, "a.jsonl.out")))) == 6


def test_requests_in_flight_fill_the_engine_and_shrink_beside_others(house: BatchHouse) -> None:
    house.engine.others = 5
    try:
        house.put("beside/a.jsonl", *(asked(f"number {number}") for number in range(40)))
        job = house.create("beside/")
        assert house.work(job).status == "Completed"
    finally:
        house.engine.others = 0
    assert house.house.batch_shares.in_flight(BASE) == 0


def test_progress_is_told_in_the_record_and_as_points(house: BatchHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_NOTE_EVERY_S", 0.0)
    house.put("told/a.jsonl", *(asked(f"{number} told") for number in range(5)), b"{")
    job, seen = house.create("told/"), list[dict[str, Any]]()

    def look() -> bool:
        seen.append(house.house.jobs.get(job).document)
        return False

    house.work_until(job, look)
    noted = [told["processedRecordCount"] for told in seen if "processedRecordCount" in told]
    assert noted == sorted(noted)
    assert {told["totalRecordCount"] for told in seen if "totalRecordCount" in told} == {6}
    house.house.points.flush()
    now = house.house.clock.now()
    of_model = {"ModelId": "arn:aws:bedrock:us-east-1::foundation-model/outcrop.starter-v1"}

    def points(metric: str, statistic: str) -> list[float]:
        found = house.house.points.statistics(
            [statistic],
            namespace="AWS/Bedrock/Batch",
            metric=metric,
            dimensions=of_model,
            since=now - timedelta(minutes=1),
            until=now + timedelta(minutes=1),
        )
        return [point.values[statistic] for point in found]

    assert points("NumberOfRecordsPendingProcessing", "Minimum")[-1] == 0
    assert points("NumberOfOutputTokensProcessedPerMinute", "Sum")[-1] >= house.manifest(job)["outputTokenCount"] > 0


def test_memory_does_not_grow_with_the_number_of_lines(house: BatchHouse) -> None:
    def peak(name: str, lines: int) -> int:
        house.put(f"{name}/a.jsonl", *(b"no record" for _ in range(lines)))
        job = house.create(f"{name}/")
        tracemalloc.start()
        try:
            assert house.work(job).status == "Completed"
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert house.manifest(job)["errorRecordCount"] == lines

    assert peak("large", 8000) < peak("small", 800) + 3_000_000
