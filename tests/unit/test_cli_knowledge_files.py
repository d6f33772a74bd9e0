"""`outcrop knowledge add`: folders and files become objects under a prefix of their own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.cli.knowledge_files import DocumentSource, make_bucket, num_documents, read_source, send
from outcrop.errors import Invalid
from tests.support.servers import running_server

BUCKET = "knowledge-123456789012-us-east-1"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running_server(tmp_path_factory.mktemp("files") / "home") as server:
        client = server.client("s3")
        make_bucket(client, BUCKET, "us-east-1")
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "my rules (2026)"
    for name in ("a.txt", "deep/b.md", "deep/b.md.metadata.json", ".git/config", "deep/.hidden"):
        file = made / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return made


def source_of(folder: Path) -> DocumentSource:
    return read_source(str(folder), "rules", BUCKET)


def keys(s3: Any, source: DocumentSource) -> list[str]:
    told = s3.list_objects_v2(Bucket=source.bucket, Prefix=source.prefix)
    return [each["Key"].removeprefix(source.prefix) for each in told.get("Contents", ())]


def test_a_folder_has_a_prefix_and_a_name_that_bedrock_takes(folder: Path) -> None:
    source = source_of(folder)
    assert (source.name, source.uri) == ("my-rules-2026", f"s3://{BUCKET}/rules/my-rules-2026/")
    assert source.description == str(folder)
    assert [key.removeprefix(source.prefix) for key in source.files] == [
        "a.txt",
        "deep/b.md",
        "deep/b.md.metadata.json",
    ]


def test_only_what_differs_is_put_and_what_is_gone_is_deleted(s3: Any, folder: Path) -> None:
    assert (send(s3, source_of(folder)), num_documents(s3, source_of(folder))) == (sent(3, 0), 2)
    assert send(s3, source_of(folder)) == sent(0, 0)
    (folder / "a.txt").write_text("changed")
    (folder / "deep" / "b.md.metadata.json").unlink()
    assert send(s3, source_of(folder)) == sent(1, 1)
    assert keys(s3, source_of(folder)) == ["a.txt", "deep/b.md"]


def sent(put: int, removed: int) -> Any:
    from outcrop.cli.knowledge_files import SentFiles

    return SentFiles(put=put, removed=removed)


def test_nothing_beside_the_folders_own_prefix_is_deleted(s3: Any, folder: Path) -> None:
    s3.put_object(Bucket=BUCKET, Key="rules/my-rules-2026-b/kept.txt", Body=b"kept")
    send(s3, source_of(folder))
    assert s3.get_object(Bucket=BUCKET, Key="rules/my-rules-2026-b/kept.txt")["Body"].read() == b"kept"


def test_a_bucket_is_made_once(s3: Any) -> None:
    make_bucket(s3, BUCKET, "us-east-1")
    make_bucket(s3, "knowledge-123456789012-eu-west-1", "eu-west-1")
    make_bucket(s3, "knowledge-123456789012-eu-west-1", "eu-west-1")
    names = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert names.count("knowledge-123456789012-eu-west-1") == 1


def test_a_prefix_of_a_bucket_is_taken_as_it_is(s3: Any) -> None:
    source = read_source("s3://books/law/", "rules", BUCKET)
    assert (source.name, source.bucket, source.prefix, source.files) == ("books-law", "books", "law/", {})
    assert send(s3, source) == sent(0, 0)
    assert read_source("s3://books", "rules", BUCKET).prefix == ""


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("no-such-folder", "no-such-folder: no such file or folder."),
        ("s3://", "s3://: it names no bucket. Write s3://bucket/prefix/."),
        ("empty", "empty: there is no file in it."),
    ],
)
def test_what_is_no_source_is_told(given: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid) as refused:
        read_source(given, "rules", BUCKET)
    assert refused.value.message == problem


def test_a_name_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"\xff.txt")).write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    with pytest.raises(Invalid, match="its name is not UTF-8"):
        read_source(str(tmp_path), "rules", BUCKET)


def test_names_in_other_scripts_become_names_that_differ(tmp_path: Path) -> None:
    names = set()
    for name in ("規則", "条文"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text("x")
        names.add(source_of(tmp_path / name).name)
    assert len(names) == 2
    assert all(name.startswith("source-") for name in names)


def test_a_long_place_is_told_apart_by_its_digest(tmp_path: Path) -> None:
    places = [
        DocumentSource(name="x", place="/a" * 150 + end, bucket=BUCKET, prefix="", files={}) for end in ("b", "c")
    ]
    first, second = (place.description for place in places)
    assert first != second
    assert max(len(first), len(second)) <= 200
