"""Points: what is added is what is read, whoever wrote it and whenever; nothing that is added can hurt who adds it."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql

from outcrop.clock import MovableClock
from outcrop.errors import Invalid, QuotaExceeded, Throttled
from outcrop.metrics import points as room
from outcrop.metrics.points import Points
from outcrop.metrics.records import PointRecords
from outcrop.metrics.series import Point, Resolution, Summary, Unit, in_region, point, series
from outcrop.settings import Retention, Settings
from outcrop.store.database import writing
from outcrop.store.store import Store

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LOSS = series("Outcrop/Jobs", "TrainingLoss", {"JobArn": "arn:one"})
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOON)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def points(store: Store, clock: MovableClock) -> Points:
    return Points(store, clock)


def read(points: Points, *statistics: str, period_s: int = 60, **more: str) -> list[dict[str, float]]:
    found = points.statistics(
        statistics,
        namespace=LOSS.namespace,
        metric=LOSS.metric,
        dimensions={"JobArn": "arn:one"},
        since=NOON - 400 * DAY,
        until=NOON + DAY,
        period_s=period_s if period_s != 60 else 86400 * 401,
        **more,
    )
    return [dict(each.values) for each in found]


def test_the_same_dimensions_in_any_order_are_one_series() -> None:
    assert series("n", "m", {"a": "1", "b": "2"}) == series("n", "m", {"b": "2", "a": "1"})


@pytest.mark.parametrize(
    ("namespace", "dimensions", "problem"),
    [
        ("", {}, "namespace: '' has 0 letters. Give it 1 to 255."),
        ("n", {"a": ""}, "dimension a: '' has 0 letters. Give it 1 to 1024."),
        ("n", {str(number): "x" for number in range(31)}, "m: 31 dimensions are more than 30. Leave some out."),
    ],
)
def test_a_series_without_a_name_is_refused(namespace: str, dimensions: dict[str, str], problem: str) -> None:
    with pytest.raises(Invalid) as raised:
        series(namespace, "m", dimensions)
    assert raised.value.message == problem


def test_periods_begin_at_their_own_length_and_hold_what_began_within(points: Points) -> None:
    for second, value in ((0, 1.0), (59, 3.0), (60, 5.0), (299, 7.0), (300, 9.0)):
        points.add(LOSS, value, at=NOON + timedelta(seconds=second), resolution=Resolution.SECOND)
    points.flush()
    found = points.statistics(
        ["Sum"],
        namespace=LOSS.namespace,
        metric=LOSS.metric,
        dimensions={"JobArn": "arn:one"},
        since=NOON + timedelta(seconds=30),
        until=NOON + timedelta(minutes=6),
        period_s=300,
    )
    assert [(each.at, each.values["Sum"]) for each in found] == [(NOON, 16.0), (NOON + timedelta(minutes=5), 9.0)]


def test_every_statistic_is_that_of_the_values(points: Points) -> None:
    for value in (4.0, 1.0, 2.0, 2.0):
        points.add(LOSS, value)
    points.flush()
    asked = ("SampleCount", "Sum", "Average", "Minimum", "Maximum", "p0", "p50", "p75", "p99.9", "p100")
    assert read(points, *asked) == [
        {"SampleCount": 4.0, "Sum": 9.0, "Average": 2.25, "Minimum": 1.0, "Maximum": 4.0}
        | {"p0": 1.0, "p50": 2.0, "p75": 2.0, "p99.9": 4.0, "p100": 4.0}
    ]


def test_a_minute_is_written_again_and_again_and_counts_once(points: Points, clock: MovableClock) -> None:
    points.add(LOSS, 1.0)
    assert points.flush() == 1
    assert points.flush() == 0
    points.add(LOSS, 2.0)
    assert points.flush() == 1
    clock.move(timedelta(minutes=2))
    points.add(LOSS, 3.0, at=NOON)  # late, and its minute is forgotten here
    points.flush()
    points.flush()
    assert points.waiting == 0
    assert read(points, "Sum", "SampleCount") == [{"Sum": 6.0, "SampleCount": 3.0}]


def test_two_processes_add_to_the_same_minute(store: Store, clock: MovableClock, points: Points) -> None:
    other = Points(store, clock)
    for each in (points, other, points):
        each.add(LOSS, 1.0)
        each.flush()
    assert read(points, "Sum") == [{"Sum": 3.0}]


def test_what_is_no_number_is_left_out_and_counted(points: Points) -> None:
    points.add(LOSS, float("nan"))
    points.add(LOSS, float("inf"))
    points.add(LOSS, 1.0)
    points.flush()
    assert read(points, "SampleCount", "Sum") == [{"SampleCount": 1.0, "Sum": 1.0}]
    assert points.left_out == 2


def test_units_are_told_apart(points: Points) -> None:
    points.add(LOSS, 1.0)
    points.add(LOSS._replace(unit=Unit.SECONDS), 2.0)
    points.flush()
    assert read(points, "Sum") == [{"Sum": 1.0}, {"Sum": 2.0}]
    assert read(points, "Sum", unit=Unit.SECONDS) == [{"Sum": 2.0}]


def test_series_are_listed_by_their_names_and_some_of_their_dimensions(points: Points) -> None:
    several = [series("n", "m", {"a": a, "b": "x"}) for a in ("1", "2")]
    points.add_many([point(each, 1.0, NOON) for each in (*several, LOSS)])
    points.flush()
    assert points.series(namespace="n") == several
    assert points.series(dimensions={"a": "2"}) == several[1:]
    assert points.series(metric="TrainingLoss") == [LOSS]
    assert points.series(dimensions={"a": "3"}) == []


@pytest.mark.parametrize("statistic", ["Median", "p101", "p", "TM(10%:90%)", "sum"])
def test_a_statistic_that_is_not_known_is_refused(points: Points, statistic: str) -> None:
    with pytest.raises(Invalid, match=r"not known here\. Choose among SampleCount, Sum, Average, Minimum, Maximum"):
        read(points, statistic)


def test_more_periods_than_an_answer_holds_are_refused(points: Points) -> None:
    with pytest.raises(Invalid, match="more than 100,800 datapoints"):
        read(points, "Sum", period_s=1)


def test_points_beyond_their_age_go_and_their_series_with_them(points: Points, clock: MovableClock) -> None:
    old = series("n", "old")
    points.add(old, 1.0)
    points.add(LOSS, 1.0)
    points.flush()
    clock.move(16 * DAY)
    points.add(LOSS, 2.0)
    points.flush()
    assert points.sweep() == 2
    assert points.series() == [LOSS]
    points.add(old, 3.0)  # its number is not known any more
    points.flush()
    assert points.series() == [LOSS, old]


def test_a_series_that_another_process_removed_is_made_anew(store: Store, clock: MovableClock, points: Points) -> None:
    points.add(LOSS, 1.0)
    points.flush()
    clock.move(16 * DAY)
    Points(store, clock).sweep()
    points.add(LOSS, 2.0, at=NOON + timedelta(hours=1))
    points.flush()
    assert read(points, "Sum") == [{"Sum": 2.0}]


def test_the_oldest_hours_go_when_there_is_more_than_may_be(store: Store, clock: MovableClock) -> None:
    points = Points(store, clock, Retention(days=15, megabytes=1))
    for hour in range(40):  # each of them about 40 KB
        at = NOON - timedelta(hours=hour)
        steps = [point(LOSS, 1.0, at + timedelta(seconds=second), Resolution.SECOND) for second in range(600)]
        points.add_many(steps)
        points.flush()
    clock.move(timedelta(minutes=30))
    points.sweep()
    kept = [each["SampleCount"] for each in read(points, "SampleCount", period_s=3600)]
    assert kept == [600.0] * (1_000_000 // (600 * 64))
    assert points.sweep() == 0


def test_new_series_are_left_out_while_there_are_too_many(
    points: Points, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_SERIES", 2)
    for name in ("a", "b"):
        points.add(series("n", name), 1.0)
    points.flush()
    points.sweep()
    points.add_many([point(series("n", name), 1.0, NOON) for name in ("a", "c")])
    points.flush()
    assert [each.metric for each in points.series()] == ["a", "b"]
    assert points.left_out == 1


def test_nothing_is_collected_where_nothing_is_kept(store: Store, clock: MovableClock) -> None:
    points = Points(store, clock, Retention(days=0, megabytes=1))
    points.add(LOSS, 1.0)
    assert points.flush() == 0


def test_what_cannot_be_written_waits_up_to_a_bound_and_is_told_once(
    store: Store,
    points: Points,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "outcrop.metrics")
    points.add(LOSS, 1.0)
    points.flush()
    monkeypatch.setattr(room, "MOST_WAITING", 3)
    with store.engine.connect() as connection:  # nobody else can write now
        connection.exec_driver_sql("DROP TABLE metric_points")
        connection.commit()
    for second in range(1, 6):
        points.add(LOSS, 1.0, at=NOON + timedelta(minutes=second))
        points.flush()
    assert points.left_out == 3
    PointRecords(store.engine)  # makes the table anew
    points.flush()
    assert read(points, "Sum") == [{"Sum": 2.0}]
    assert [record.getMessage() for record in caplog.records] == ["points are not written", "points are written again"]


def test_counts_are_taken_in_as_they_were_seen(points: Points) -> None:
    points.add_many([Point(series=LOSS, at=NOON, counts={1.5: 3, 4.0: 1})])
    points.flush()
    assert read(points, "SampleCount", "Sum", "p75") == [{"SampleCount": 4.0, "Sum": 8.5, "p75": 1.5}]


def test_points_are_written_while_a_request_holds_a_transaction(store: Store, points: Points) -> None:
    """Adding waits for nobody, whatever the database does."""
    with writing(store.engine) as connection:
        connection.execute(sql.text("SELECT 1"))
        points.add(LOSS, 1.0)
    assert points.flush() == 1


def test_points_that_are_put_are_on_record_at_once(store: Store, points: Points, clock: MovableClock) -> None:
    points.put([point(LOSS, 1.0, NOON), point(LOSS, 2.0, NOON)])
    assert read(Points(store, clock), "Sum") == [{"Sum": 3.0}]


def test_points_that_find_no_room_are_refused_together(
    store: Store, points: Points, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Invalid, match="OUTCROP_METRICS_DAYS is 0"):
        Points(store, clock, Retention(days=0, megabytes=1)).put([point(LOSS, 1.0, NOON)])
    monkeypatch.setattr(room, "MOST_SERIES", 2)
    points.put([point(LOSS, 1.0, NOON)])
    with pytest.raises(QuotaExceeded, match="There are 2 series already"):
        points.put([point(series("n", name), 1.0, NOON) for name in "ab"])
    points.put([point(LOSS, 1.0, NOON), point(series("n", "a"), 1.0, NOON)])
    monkeypatch.setattr(room, "MOST_WAITING", 3)
    with pytest.raises(Throttled, match="More than 3 intervals wait to be written"):
        points.put([point(LOSS, 1.0, NOON + timedelta(minutes=minute)) for minute in range(4)])
    assert read(points, "Sum") == [{"Sum": 2.0}]
    assert points.left_out == 0


def test_values_that_were_summed_up_keep_all_but_their_percentiles(points: Points) -> None:
    points.add_many([Point(series=LOSS, at=NOON, counts={}, summary=Summary(4, 10.0, 1.0, 4.0))])
    points.add(LOSS, 7.0)
    points.flush()
    assert read(points, "SampleCount", "Sum", "Minimum", "Maximum", "p50") == [
        {"SampleCount": 5.0, "Sum": 17.0, "Minimum": 1.0, "Maximum": 7.0}
    ]


def test_a_region_sees_its_own_points_and_those_of_the_house(points: Points) -> None:
    for region in ("us-east-1", "eu-west-1"):
        points.add(LOSS._replace(namespace=in_region(region, LOSS.namespace)), 5.0)
    points.add(LOSS, 1.0)
    points.flush()
    assert read(points, "Sum") == [{"Sum": 1.0}]
    assert read(points, "Sum", region="us-east-1") == [{"Sum": 6.0}]
    assert read(points, "Sum", region="ap-northeast-1") == [{"Sum": 1.0}]
    assert points.series(region="us-east-1") == [LOSS]
    assert len(points.series()) == 3


def test_series_are_found_by_their_last_points(points: Points) -> None:
    points.add(LOSS, 1.0, at=NOON - timedelta(hours=4))
    points.add(series("n", "new"), 1.0)
    points.flush()
    assert [each.metric for each in points.series(since=NOON - timedelta(hours=3))] == ["new"]
