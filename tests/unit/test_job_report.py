"""The preflight report of a job: a page in the bucket, its URI told, and what the job would take."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.customization import predictions, prices
from outcrop.customization.predictions import PredictedRun
from outcrop.datasets.report.value import PastError, Price
from tests.support.homes import with_tiny_models
from tests.support.job_house import BUCKET, JobHouse


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobHouse]:
    opened = JobHouse(with_tiny_models(tmp_path_factory.mktemp("home")))
    yield opened
    opened.context.store.close()


def test_a_job_s_report_tells_time_memory_and_price_and_later_ones_how_right_they_were(house: JobHouse) -> None:
    home = house.context.settings.home
    (home / prices.FILE).write_text('currency = "JPY"\n["*"]\nper_1000_tokens = 2\n')
    first, second = house.create("first"), house.create("second")
    house.work(first)
    told = json.loads(house.output(first, "preflight/report.json"))["forecast"]
    assert (told["steps"], told["epochs"], told["past"], told["why_not"]) == (6, 2, None, "")
    assert told["seconds"] > 0
    assert told["memory_bytes"] > 1e7
    assert told["price"]["amount"] == pytest.approx(told["trained_tokens"] / 1000 * 2)
    assert b"A job with this data, on this machine" in house.output(first, "preflight/report.html")
    assert b"A job with it, on this machine" in house.output(first, "preflight/report.txt")
    (line,) = (home / predictions.FILE).read_text().split()[:1]
    assert line.startswith("{")
    house.work(second)
    past = json.loads(house.output(second, "preflight/report.json"))["forecast"]["past"]
    assert past["num_runs"] == 1
    assert past["time"] == past["worst_time"] > 0


def test_refused_data_says_where_its_report_is(house: JobHouse) -> None:
    house.put("train.jsonl", b'{"prompt": "a"}\n')
    job = house.create("refused")
    assert house.work(job)
    uri = f"s3://{BUCKET}/{house.folder(job)}/preflight/report.html"
    assert house.context.jobs.get(job).document["failureMessage"] == (
        f"train.jsonl:1: completion: missing. Give the record a completion, or remove the line. The report: {uri}"
    )
    assert [event["uri"] for event in house.events(job) if event["event"] == "report"] == [uri]
    assert b"<strong>Not ready.</strong>" in house.output(job, "preflight/report.html")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (None, "no price list: write prices.toml into the home to have one"),
        ('["other"]\nper_hour = 1', 'prices.toml names neither outcrop.starter-v1 nor "*"'),
        ('["*"]\nper_minute = 1', 'prices.toml: ["outcrop.starter-v1"] takes per_1000_tokens, per_hour, per_1000_input_tokens, per_1000_output_tokens: numbers from 0. Mend the file.'),
        ('["*"]\nper_hour = -1', 'prices.toml: ["outcrop.starter-v1"] takes per_1000_tokens, per_hour, per_1000_input_tokens, per_1000_output_tokens: numbers from 0. Mend the file.'),
        ('["*"]\nper_hour = inf', 'prices.toml: ["outcrop.starter-v1"] takes per_1000_tokens, per_hour, per_1000_input_tokens, per_1000_output_tokens: numbers from 0. Mend the file.'),
        (
            'currency = "USD"\n["outcrop.starter-v1"]\nper_1000_tokens = 0.008\n["*"]\nper_hour = 9',
            Price(amount=0.8, currency="USD", told="100,000 tokens (of the file x epochs) at 0.008 a thousand"),
        ),
        (
            '["*"]\nper_1000_tokens = 0.01\nper_hour = 2.0',
            Price(amount=2.0, currency="", told="100,000 tokens (of the file x epochs) at 0.01 a thousand + 0.50 hours at 2"),
        ),
        ('["*"]\n', Price(amount=0.0, currency="", told="it costs nothing")),
    ],
)  # fmt: skip
def test_a_price_comes_from_the_user_s_list_or_its_absence_is_told(
    written: str | None, found: object, tmp_path: Path
) -> None:
    if written is not None:
        (tmp_path / prices.FILE).write_text(written)
    assert prices.price_of(tmp_path, "outcrop.starter-v1", tokens=100_000, seconds=1800.0) == found


def test_a_list_by_the_hour_gives_no_price_where_no_time_is_predicted(tmp_path: Path) -> None:
    (tmp_path / prices.FILE).write_text('["*"]\nper_hour = 1')
    assert prices.price_of(tmp_path, "any", tokens=1, seconds=None) == (
        "prices.toml counts hours, and no time is predicted"
    )


def test_a_price_list_that_is_no_toml_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / prices.FILE).write_text("per_hour = one")
    found = prices.price_of(tmp_path, "any", tokens=1, seconds=1.0)
    assert isinstance(found, str)
    assert found.startswith("prices.toml: cannot be read: ")
    assert "line 1" in found


def run(actual_s: float, *, machine: str = "", peak: int = 0) -> PredictedRun:
    return PredictedRun(
        time="2026-11-28T00:00:00", machine=machine or predictions.machine(), job="j", base="b",
        predicted_s=10.0, actual_s=actual_s, predicted_bytes=100, peak_bytes=peak,
    )  # fmt: skip


def test_the_error_of_predictions_is_that_of_this_machine_s_last_runs(tmp_path: Path) -> None:
    assert predictions.past_error(tmp_path) is None
    for each in (run(900.0, machine="another"), run(12.0, peak=90), run(5.0), run(11.0, peak=110)):
        predictions.keep(tmp_path, each)
    assert predictions.past_error(tmp_path) == PastError(num_runs=3, time=1.1, worst_time=0.5, memory=1.0)


def test_half_a_line_of_a_killed_worker_loses_no_other_prediction(tmp_path: Path) -> None:
    predictions.keep(tmp_path, run(12.0))
    with (tmp_path / predictions.FILE).open("a") as file:
        file.write('{"time": "2026-')
    predictions.keep(tmp_path, run(14.0))
    found = predictions.past_error(tmp_path)
    assert found is not None
    assert (found.num_runs, found.worst_time) == (2, 1.4)
