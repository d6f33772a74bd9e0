"""Ingestion jobs in this very process, whose worker dies where the test says."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from outcrop.clock import MovableClock
from outcrop.house import House
from outcrop.jobs.execution import execute
from outcrop.jobs.running import RunningJob
from outcrop.knowledge import creating, data_sources
from outcrop.knowledge.ingestion import document_files, indexing
from outcrop.knowledge.ingestion.kind import KIND
from outcrop.knowledge.ingestion.starting import start
from outcrop.knowledge.knowledge_bases import id_of
from outcrop.knowledge.passage_index import PassageIndex
from outcrop.knowledge.passages import DocumentState
from outcrop.settings import Settings
from outcrop.store.resources import Resource
from tests.support.knowledge_bases import BUCKET, TITAN_ARN, stand_behind_titan

REGION, OWNER = "us-east-1", "arn:aws:iam::123456789012:user/somebody"


class Killed(BaseException):
    """What `kill -9` is to a process: nothing of the job's code runs after it but what closes things."""


class Bench:
    """A knowledge base over a bucket, and its jobs."""

    def __init__(self, house: House) -> None:
        self.house = house
        stand_behind_titan(house, None)
        house.buckets.create(BUCKET, REGION)
        model = {"type": "VECTOR", "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": TITAN_ARN}}
        asked: dict[str, Any] = {"name": "base", "roleArn": house.access.installation.service_role_arn}
        asked["knowledgeBaseConfiguration"] = model
        self.base = creating.add(house, creating.check(house, asked, region=REGION))
        place = {"type": "S3", "s3Configuration": {"bucketArn": f"arn:aws:s3:::{BUCKET}"}}
        params = {"name": "source", "dataSourceConfiguration": place}
        document = data_sources.check(self.base, params, house.account)
        self.source = house.knowledge_bases.add_source(self.base, "source", document)

    @property
    def index(self) -> PassageIndex:
        return self.house.knowledge_indexes.of(self.base)

    def put(self, key: str, text: str) -> None:
        self.house.buckets.put_bytes(BUCKET, key, text.encode())

    def start(self) -> str:
        return start(self.house, self.base, self.source, {}, owner=OWNER).arn

    def work(self, job: str, *, attempt: int = 1) -> Resource:
        """Run the job as a worker does; its record then, or as it was when the worker died."""
        running = RunningJob(self.house.jobs, KIND, job, attempt=attempt, stop=threading.Event())
        with suppress(Killed):
            execute(self.house, running)
        return self.house.jobs.get(job)

    def states(self) -> dict[str, DocumentState]:
        records = self.index.records(id_of(self.source.arn))
        return {record.key.identifier.rsplit("/", 1)[-1]: record.state for record in records}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with House.open(Settings(home=tmp_path / "home"), MovableClock()) as house:
        yield Bench(house)


def statistics(job: Resource) -> dict[str, int]:
    told: dict[str, int] = job.document["statistics"]
    return {name.removeprefix("numberOf"): number for name, number in told.items() if number}


def test_a_document_that_ends_its_worker_is_given_up_and_the_others_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(file: Path) -> document_files.ReadDocument:
        if file.name == "b.txt":
            raise Killed
        return document_files.read_file(file)

    monkeypatch.setattr(indexing, "read_file", read)
    for name in "abc":
        bench.put(f"{name}.txt", f"Document {name}.")
    job = bench.start()
    assert [bench.work(job).status for _ in range(2)] == ["IN_PROGRESS"] * 2
    assert bench.states() == {"a.txt": DocumentState.INDEXED}
    ended = bench.work(job)
    assert (ended.status, statistics(ended)) == (
        "COMPLETE",
        {"DocumentsScanned": 3, "NewDocumentsIndexed": 2, "DocumentsFailed": 1},
    )
    assert ended.document["failureReasons"] == [
        f"s3://{BUCKET}/b.txt: The worker ended each time it read this document. Leave it out."
    ]
    assert bench.states()["b.txt"] is DocumentState.FAILED


@pytest.mark.parametrize("method", ["put", "note", "remove"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_kill_around_any_change_of_the_index_counts_each_document_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, method: str, when: str, count: int
) -> None:
    # Given an index of four documents, of which one is changed, one deleted, one new, and one cannot be read
    for name in "abcd":
        bench.put(f"{name}.txt", f"Document {name}.")
    assert bench.work(bench.start()).status == "COMPLETE"
    bench.put("a.txt", "Document a is new.")
    bench.house.buckets.remove(BUCKET, "b.txt")
    bench.put("e.txt", "Document e.")
    bench.put("f.txt", "")
    bench.put("g.txt", "")
    bench.put("d.txt.metadata.json", '{"metadataAttributes": {"year": 2024}}')

    # When the worker dies around a change of the index
    kind, left = type(bench.index), count
    real = getattr(kind, method)

    def dying(*arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            raise Killed
        real(*arguments)
        if left == 0:
            raise Killed

    job = bench.start()
    monkeypatch.setattr(kind, method, dying)
    bench.work(job)
    monkeypatch.setattr(kind, method, real)

    # Then its successor ends the job with what one worker would have told
    ended = bench.work(job)
    assert (ended.status, statistics(ended)) == (
        "COMPLETE",
        {
            "DocumentsScanned": 6,
            "MetadataDocumentsScanned": 1,
            "NewDocumentsIndexed": 1,
            "ModifiedDocumentsIndexed": 1,
            "MetadataDocumentsModified": 1,
            "DocumentsDeleted": 1,
            "DocumentsFailed": 2,
        },
    )
    assert sorted(bench.states()) == ["a.txt", "c.txt", "d.txt", "e.txt", "f.txt", "g.txt"]
    assert bench.index.count_passages() == 4
    assert statistics(bench.work(bench.start())) == {
        "DocumentsScanned": 6, "MetadataDocumentsScanned": 1, "DocumentsFailed": 2,
    }  # fmt: skip


def test_a_job_of_an_empty_bucket_completes(bench: Bench) -> None:
    ended = bench.work(bench.start())
    assert (ended.status, statistics(ended)) == ("COMPLETE", {})


def test_a_prefix_that_is_changed_takes_what_is_outside_of_it_out(bench: Bench) -> None:
    for key in ("in/a.txt", "out/b.txt", "in/", "in/a.txt.metadata.json"):
        bench.put(key, '{"metadataAttributes": {"a": 1}}')
    assert bench.work(bench.start()).status == "COMPLETE"
    place = {"bucketArn": f"arn:aws:s3:::{BUCKET}", "inclusionPrefixes": ["in/"]}
    params = {"name": "source", "dataSourceConfiguration": {"type": "S3", "s3Configuration": place}}
    bench.source = data_sources.update_source(
        bench.house.knowledge_bases, bench.base, bench.source, params, bench.house.account
    )
    assert statistics(bench.work(bench.start())) == {
        "DocumentsScanned": 1, "MetadataDocumentsScanned": 1, "DocumentsDeleted": 1,
    }  # fmt: skip
