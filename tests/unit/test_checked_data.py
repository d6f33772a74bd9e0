"""The same bytes are checked once for a base model and a form, and the report is found again."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.cli.app import run
from outcrop.customization.checked_data import CheckedData, CheckedDatasets, CheckedFor, checked_for
from outcrop.datasets import dataset as dataset_of
from outcrop.datasets import preflight
from outcrop.datasets.report.value import Report
from outcrop.settings import Settings
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.homes import TINY, pairs, with_tiny_models
from tests.support.job_house import JobHouse

AGAIN = "the same bytes; --again checks them anew."


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_tiny_models(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def nothing_checked(home: Path) -> Iterator[None]:
    yield
    for each in CheckedDatasets(Settings(home=home)).all():
        CheckedDatasets(Settings(home=home)).remove(each.digest)


def check(home: Path, file: Path, *more: str) -> int:
    return run(["check-data", str(file), "--base", TINY, "--home", str(home), *more])


def test_a_file_is_checked_once(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Given a file, checked
    file, copy = tmp_path / "train.jsonl", tmp_path / "copy.jsonl"
    file.write_bytes(pairs(12))
    copy.write_bytes(pairs(12))
    assert check(home, file) == 0
    first = capsys.readouterr().out
    assert AGAIN not in first
    # Then the same bytes are told from there
    assert check(home, file) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[:5] == first.splitlines()[:5]  # what a run would take is foreseen anew
    assert AGAIN in told
    # unless they are to be checked anew, or something else is asked for, or problems would name another file
    for more in (
        ["--again"],
        ["--hyper", "outcrop.promptFormat=Q: {prompt}"],
        ["--validation", str(copy)],
        ["--strict"],
    ):
        assert check(home, file, *more) == 0
        assert AGAIN not in capsys.readouterr().out
    assert check(home, copy) == 0
    assert AGAIN not in capsys.readouterr().out
    # and another byte is another dataset
    file.write_bytes(pairs(12) + b"\n")
    assert check(home, file) == 0
    assert AGAIN not in capsys.readouterr().out


def test_a_report_is_read_back_as_it_was(home: Path, tmp_path: Path) -> None:
    # Given a dataset with problems, copies, near copies, personal data and a second file
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(pairs(12) + b"\n" + pairs(2) + b'\n{"prompt": "a"}\n')
    (folder / "b.jsonl").write_text(json.dumps({"prompt": "Write to", "completion": "ann@example.org, 2026"}))
    base = Catalog(home).usable(TINY)
    assert base.folder is not None
    tokenizer, dataset = Tokenizer.open(base.folder), dataset_of.of_path(folder)
    report = preflight.examine(
        [dataset], tokenizer=tokenizer, context_length=base.context_length, customization="FINE_TUNING"
    )
    about = checked_for(
        [dataset],
        [dataset_of.digest(dataset)],
        base,
        tokenizer,
        customization="FINE_TUNING",
        prompt_format=PromptFormat.TEXT,
    )
    CheckedDatasets(Settings(home=home)).keep(
        CheckedData(checked=datetime(2026, 1, 1, tzinfo=UTC), by="check-data", checked_for=about, report=report)
    )
    found = CheckedDatasets(Settings(home=home)).find(about)
    assert found is not None
    assert found.checked_for == about
    assert found.report.to_json() == report.without_texts().to_json()
    assert found.report.to_text() == report.to_text()
    assert found.report.to_html() == report.to_html()
    assert list(found.report.sequences_of(0)) == list(report.sequences_of(0))


def test_bad_data_is_bad_from_the_record_too(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"prompt": "a"}\n')
    assert [check(home, file), check(home, file)] == [1, 1]
    assert AGAIN in capsys.readouterr().out
    assert run(["datasets", "--home", str(home), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["files"], row["records"], row["ready"], row["by"]) == ("train.jsonl", "0", "no", "check-data")
    # and the listing leads to the report, and takes it away
    assert run(["datasets", row["dataset"], "--home", str(home)]) == 1
    assert "train.jsonl:1: completion: missing" in capsys.readouterr().out
    assert run(["datasets", row["dataset"], "--remove", "--home", str(home)]) == 0
    assert run(["datasets", row["dataset"], "--home", str(home)]) == 2


def test_what_a_job_found_need_not_be_checked(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    house = JobHouse(home)
    try:
        job = house.create("checked", validate=False, more={"epochCount": "1"})
        house.work(job)
    finally:
        house.context.store.close()
    file = tmp_path / "train.jsonl"
    file.write_bytes(pairs(12))
    capsys.readouterr()
    assert check(home, file) == 0
    assert AGAIN in capsys.readouterr().out
    assert [each.by for each in CheckedDatasets(Settings(home=home)).all()] == [job]


def test_only_so_many_are_kept_and_a_damaged_one_is_checked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop.customization.checked_data._MOST", 3)
    datasets = CheckedDatasets(Settings(home=tmp_path))
    made = [one(number) for number in range(5)]
    for each in made:
        datasets.keep(each)
    assert datasets.all() == made[:1:-1]
    (tmp_path / "checked" / f"{made[4].digest}.json.gz").write_bytes(
        gzip.compress(b'{"checked": "by another version"}')
    )
    assert datasets.find(made[4].checked_for) is None
    assert datasets.all() == made[3:1:-1]


def one(number: int) -> CheckedData:
    about = CheckedFor(
        sha256=(f"{number}",), names=("train.jsonl",), base="b", base_files="f", context_length=8, customization="FINE_TUNING",
        prompt_format="text", prompt_day=None, strict=False, program="outcrop",
    )  # fmt: skip
    return CheckedData(
        checked=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number),
        by="check-data",
        checked_for=about,
        report=Report(context_length=8, customization="FINE_TUNING", files=()),
    )


def test_what_records_say_is_not_kept(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "secret.jsonl"
    file.write_text('{"prompt": "who is there?", "completion": "quetzalcoatl"}\n' * 3, "utf-8")
    page = tmp_path / "page.html"
    for more in ([], ["--html", str(page)], ["--html", str(page)]):
        check(home, file, *more)
    assert "quetzal" in page.read_text("utf-8")
    kept = [gzip.decompress(path.read_bytes()) for path in (home / "checked").iterdir()]
    assert kept
    assert not any(b"quetzal" in content for content in kept)
    capsys.readouterr()
