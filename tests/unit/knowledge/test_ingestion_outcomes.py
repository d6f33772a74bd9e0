"""What an ingestion job writes down, so that its successor after a kill counts each document once."""

from dataclasses import replace
from pathlib import Path

import pytest

from outcrop.knowledge.ingestion.digests import FileVersion, change_between, version_of, version_of_bytes
from outcrop.knowledge.ingestion.outcomes import IngestionOutcome, OutcomeKind, Outcomes
from outcrop.knowledge.ingestion.statistics import MOST_REASONS, IngestionStatistics
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState

A = IngestionOutcome(identifier="s3://b/a", kind=OutcomeKind.NEW)


def written(file: Path, *kinds: OutcomeKind) -> Outcomes:
    outcomes = Outcomes(file)
    for kind in kinds:
        outcomes.write(replace(A, kind=kind))
    outcomes.close()
    again = Outcomes(file)
    again.close()
    return again


def test_the_last_outcome_of_a_document_counts(tmp_path: Path) -> None:
    again = written(tmp_path / "x" / "o", OutcomeKind.READING, OutcomeKind.READ, OutcomeKind.NEW, OutcomeKind.FAILED)
    assert again.earlier == {A.identifier: replace(A, kind=OutcomeKind.FAILED)}
    assert again.num_written == 4


def test_a_line_that_was_torn_is_taken_away(tmp_path: Path) -> None:
    written(tmp_path / "o", OutcomeKind.NEW)
    with (tmp_path / "o").open("a") as file:
        file.write('{"identifier": "s3://b/b", "ki')
    again = written(tmp_path / "o", OutcomeKind.MODIFIED)
    assert list(again.earlier) == [A.identifier]
    assert again.earlier[A.identifier].kind is OutcomeKind.MODIFIED
    assert written(tmp_path / "o").num_written == 2


@pytest.mark.parametrize(
    ("kinds", "deaths"),
    [
        ([], 0),
        ([OutcomeKind.READING], 1),
        ([OutcomeKind.READING, OutcomeKind.READING], 2),
        ([OutcomeKind.READING, OutcomeKind.READ, OutcomeKind.READING], 1),
        ([OutcomeKind.READING, OutcomeKind.READ], 0),
    ],
)
def test_a_reading_that_nothing_followed_was_the_end_of_its_worker(
    tmp_path: Path, kinds: list[OutcomeKind], deaths: int
) -> None:
    assert written(tmp_path / "o", *kinds).num_deaths(A.identifier) == deaths


def test_failures_beyond_the_first_are_counted_and_told() -> None:
    statistics = IngestionStatistics()
    for number in range(MOST_REASONS + 2):
        statistics.fail(f"s3://b/{number}", "an empty file")
    assert statistics.members()["numberOfDocumentsFailed"] == MOST_REASONS + 2
    *_, last, told = statistics.told_reasons()
    assert last == f"s3://b/{MOST_REASONS - 1}: an empty file"
    assert told == "2 more documents failed; ListKnowledgeBaseDocuments names them."


def test_versions_are_read_back_and_tell_what_has_changed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    version = version_of(tmp_path / "a", "etag-2")
    assert version == version_of_bytes(b"content", "etag-2")
    assert FileVersion.read(version.digest) == version
    embedded = version.marked(is_embedded=True)
    assert FileVersion.read(embedded.digest) == embedded
    assert FileVersion.read("") == FileVersion()
    assert FileVersion().digest == ""

    def record(content: bytes, metadata: FileVersion) -> DocumentRecord:
        return DocumentRecord(
            key=DocumentKey("S", "s3://b/a"),
            state=DocumentState.INDEXED,
            content_digest=version_of_bytes(content, "e").digest,
            metadata_digest=metadata.digest,
            updated=0.0,
        )

    one, other = version_of_bytes(b"1"), version_of_bytes(b"2")
    assert change_between(record(b"a", one), record(b"a", replace(one, etag="another"))) == (False, False)
    assert change_between(record(b"a", one), record(b"b", one)) == (True, False)
    assert change_between(record(b"a", one), record(b"a", other)) == (False, True)
    assert change_between(record(b"a", one), record(b"a", FileVersion())) == (False, True)
    assert change_between(record(b"a", one), record(b"a", other.marked(is_embedded=True))) == (True, True)
