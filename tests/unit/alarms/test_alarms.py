"""Alarms: the state that follows from values and their absence, by the clock of the house; what is written of it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from outcrop.alarms import rule as rules
from outcrop.alarms.alarms import KIND, Alarms
from outcrop.alarms.evaluation import PeriodValue, evaluate
from outcrop.alarms.rule import AlarmState, Missing
from outcrop.clock import MovableClock
from outcrop.errors import Invalid, NotFound
from outcrop.metrics.points import Points
from outcrop.metrics.series import Resolution, in_region, series
from outcrop.settings import Settings
from outcrop.store.store import Store

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REGION = "us-east-1"
MEMBERS: dict[str, Any] = {
    "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip
OK, ALARM, INSUFFICIENT = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA
KEPT = None
"The state that it was in before."


class AlarmHouse:
    """Alarms over points, both by one clock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = MovableClock(NOON)
        self.points = Points(store, self.clock)
        self.alarms = Alarms(store, self.points, self.clock, "123456789012")

    def put(self, name: str = "a", **more: Any) -> None:
        self.alarms.put(name, MEMBERS | more, region=REGION, tags={})

    def add(self, value: float, *, unit: str = "None") -> None:
        self.points.add(series("n", "m", unit=unit), value)
        self.points.flush()

    def states(self, name: str = "a") -> list[str]:
        items = self.alarms.history.items(region=REGION, alarm=name, descending=False, most=100)
        return [item.summary for item in items]

    def state(self, name: str = "a") -> str:
        return self.alarms.find(name, region=REGION).status

    def pass_minutes(self, number: int = 1) -> None:
        for _ in range(number):
            self.clock.move(MINUTE)
            self.alarms.turn()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[AlarmHouse]:
    store = Store.open(Settings(home=tmp_path))
    yield AlarmHouse(store)
    store.close()


# The tables of the user guide, by which the treatments of missing data are told: 0 is well, X breaches, - is missing.
THREE_OF_THREE = [
    ("0 - X - X", OK, OK, OK, OK),
    ("0 - - - -", OK, OK, OK, OK),
    ("- - - - -", INSUFFICIENT, KEPT, ALARM, OK),
    ("0 X X - X", ALARM, ALARM, ALARM, ALARM),
    ("- - X - -", ALARM, KEPT, ALARM, OK),
]
TWO_OF_THREE = [
    ("0 - X - X", ALARM, ALARM, ALARM, ALARM),
    ("0 0 X 0 X", ALARM, ALARM, ALARM, ALARM),
    ("0 - X - -", OK, OK, ALARM, OK),
    ("- - - - 0", OK, OK, ALARM, OK),
    ("- - - X -", ALARM, KEPT, ALARM, OK),
]


@pytest.mark.parametrize("current", list(AlarmState))
@pytest.mark.parametrize(("needed", "row"), [(3, row) for row in THREE_OF_THREE] + [(2, row) for row in TWO_OF_THREE])
def test_missing_data_count_as_the_user_guide_tells(
    needed: int, row: tuple[str, Any, Any, Any, Any], current: AlarmState
) -> None:
    rule = rules.read(MEMBERS | {"EvaluationPeriods": 3, "DatapointsToAlarm": needed})
    told = {"0": 1.0, "X": 9.0, "-": None}
    values = [PeriodValue(NOON + place * MINUTE, told[each]) for place, each in enumerate(row[0].split())]
    treatments = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
    for treatment, expected in zip(treatments, row[1:], strict=True):
        found = evaluate(replace(rule, missing=treatment), values, current)
        assert found.state == (expected or current), treatment


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanOrEqualToThreshold", [5.0, 6.0]),
        ("GreaterThanThreshold", [6.0]),
        ("LessThanThreshold", [4.0]),
        ("LessThanOrEqualToThreshold", [4.0, 5.0]),
    ],
)
def test_a_value_is_compared_as_it_is_said(comparison: str, breaching: list[float]) -> None:
    rule = rules.read(MEMBERS | {"ComparisonOperator": comparison})
    assert [value for value in (4.0, 5.0, 6.0) if rule.breaches(value)] == breaching


def test_an_alarm_goes_off_and_recovers_by_the_clock(house: AlarmHouse) -> None:
    house.put()
    assert house.state() == INSUFFICIENT
    house.add(6)
    assert house.alarms.turn() == []  # the minute is not over
    house.pass_minutes()
    assert house.state() == ALARM
    house.add(5)
    house.pass_minutes()
    assert house.state() == OK
    house.pass_minutes(3)
    assert house.state() == INSUFFICIENT
    assert house.states() == [
        'Alarm "a" created',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to INSUFFICIENT_DATA",
    ]


def test_the_reason_tells_values_and_threshold(house: AlarmHouse) -> None:
    house.put(EvaluationPeriods=2, DatapointsToAlarm=1)
    house.add(6.5)
    house.pass_minutes()
    document = house.alarms.find("a", region=REGION).document
    assert document["reason"] == (
        "Threshold Crossed: 1 out of the last 1 datapoints [6.5 (04/05/26 12:00:00)] was greater than the threshold (5.0) "
        "(minimum 1 datapoint for INSUFFICIENT_DATA -> ALARM transition)."
    )
    assert json.loads(document["reasonData"])["recentDatapoints"] == [6.5]


def test_points_of_clients_of_its_region_count_and_those_of_others_do_not(house: AlarmHouse) -> None:
    house.put()
    for region, value in ((REGION, 6.0), ("eu-west-1", 100.0)):
        of = series("n", "m")._replace(namespace=in_region(region, "n"))
        house.points.add(of, value, resolution=Resolution.SECOND)
    house.points.flush()
    house.pass_minutes()
    assert json.loads(house.alarms.find("a", region=REGION).document["reasonData"])["recentDatapoints"] == [6.0]


def test_of_several_units_the_value_that_breaches_counts(house: AlarmHouse) -> None:
    house.put("any")
    house.put("one", Unit="Count")
    house.add(6, unit="Bytes")
    house.add(1, unit="Count")
    house.pass_minutes()
    assert (house.state("any"), house.state("one")) == (ALARM, OK)


def test_an_alarm_is_looked_at_once_in_its_period(house: AlarmHouse) -> None:
    house.put(Period=10, TreatMissingData="ignore")
    house.alarms.turn()
    of = series("n", "m")
    house.points.add(of, 9, resolution=Resolution.SECOND)
    house.points.flush()
    house.clock.move(timedelta(seconds=9))
    assert house.alarms.turn() == []
    house.clock.move(timedelta(seconds=1))
    assert [transition.after for transition in house.alarms.turn()] == [ALARM]


def test_actions_that_are_due_are_told_and_not_carried_out(house: AlarmHouse) -> None:
    action = "arn:aws:sns:us-east-1:123456789012:topic"
    house.put(AlarmActions=[action])
    house.put("quiet", AlarmActions=[action], ActionsEnabled=False)
    house.add(6)
    house.clock.move(MINUTE)
    transitions = house.alarms.turn()
    assert sorted((transition.alarm.name, list(transition.actions)) for transition in transitions) == [
        ("a", [action]),
        ("quiet", []),
    ]
    assert house.states()[-1] == f"Not carried out in Outcrop: action {action}"
    assert len(house.states("quiet")) == 2


def test_a_state_that_was_set_lasts_until_the_next_evaluation(house: AlarmHouse) -> None:
    house.put()
    house.alarms.turn()
    house.alarms.set_state("a", ALARM, "a drill", None, region=REGION)
    assert house.state() == ALARM
    house.alarms.turn()
    assert house.state() == INSUFFICIENT


def test_another_configuration_leaves_the_state(house: AlarmHouse) -> None:
    house.put()
    house.add(6)
    house.pass_minutes()
    house.put(Threshold=100.0)
    assert house.state() == ALARM
    house.alarms.turn()
    assert house.state() == OK
    assert house.states()[-2:] == ['Alarm "a" updated', "Alarm updated from ALARM to OK"]


def test_one_alarm_that_cannot_be_read_keeps_no_other_from_its_turn(
    house: AlarmHouse, caplog: pytest.LogCaptureFixture
) -> None:
    house.put("broken")
    house.put()
    row = house.alarms.find("broken", region=REGION)
    house.store.resources.replace(row, at=NOON, document={"members": 1})
    house.add(6)
    house.pass_minutes()
    assert house.state() == ALARM
    assert "alarm:broken broke" in caplog.text


def test_a_damaged_alarm_can_be_put_anew_or_deleted(house: AlarmHouse) -> None:
    house.put()
    house.store.resources.fail(house.alarms.find("a", region=REGION).arn, at=NOON)
    with pytest.raises(NotFound, match="The alarm a is damaged"):
        house.alarms.set_state("a", ALARM, "r", None, region=REGION)
    assert (house.alarms.turn(), house.alarms.of_region(REGION)) == ([], [])
    house.put()
    assert house.state() == INSUFFICIENT
    house.store.resources.fail(house.alarms.find("a", region=REGION).arn, at=NOON)
    house.alarms.delete(["a"], region=REGION)
    assert house.store.resources.all(KIND) == []


def test_alarms_are_deleted_together_or_not_at_all(house: AlarmHouse) -> None:
    house.put("a")
    house.put("b")
    with pytest.raises(NotFound, match="There is no alarm named c"):
        house.alarms.delete(["a", "c"], region=REGION)
    assert [alarm.name for alarm in house.alarms.of_region(REGION)] == ["a", "b"]
    house.alarms.delete(["a", "b"], region=REGION)
    assert house.store.resources.all(KIND) == []
    assert house.states("a") == ['Alarm "a" created', 'Alarm "a" deleted']


def test_history_is_kept_for_thirty_days(house: AlarmHouse) -> None:
    house.put()
    house.clock.move(timedelta(days=30))
    assert house.alarms.sweep() == 0
    house.clock.move(timedelta(seconds=1))
    assert (house.alarms.sweep(), house.states()) == (1, [])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"Metrics": [{"Id": "a"}]}, "Metrics: not built in Outcrop yet."),
        ({"ThresholdMetricId": "a"}, "ThresholdMetricId: not built in Outcrop yet."),
        ({"EvaluationCriteria": {"PromQLCriteria": {"Query": "x"}}}, "EvaluationCriteria: not built in Outcrop yet."),
        ({"EvaluateLowSampleCountPercentile": "ignore"}, "EvaluateLowSampleCountPercentile: only evaluate is built"),
        ({"Threshold": None}, "Threshold: is not there."),
        (
            {"ComparisonOperator": "GreaterThanUpperThreshold"},
            "ComparisonOperator: GreaterThanUpperThreshold needs a band",
        ),
        ({"ExtendedStatistic": "p99"}, "Give either Statistic or ExtendedStatistic, not both."),
        ({"Statistic": None}, "Give either Statistic or ExtendedStatistic."),
        ({"Statistic": None, "ExtendedStatistic": "tm90"}, "statistic 'tm90': not known here."),
        ({"TreatMissingData": "well"}, "TreatMissingData: 'well' is none of missing, ignore, breaching, notBreaching."),
        ({"Period": 5}, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"EvaluationPeriods": 1441}, "Metrics cannot be checked across more than a day"),
        ({"Period": 3600, "EvaluationPeriods": 169}, "Metrics cannot be checked across more than seven days"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm must be less than or equal to EvaluationPeriods."),
        ({"Threshold": float("nan")}, "Threshold: nan is no number to compare with."),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(house: AlarmHouse, more: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid) as refused:
        house.put(**more)
    assert refused.value.message.startswith(told)
    assert house.store.resources.all(KIND) == []
