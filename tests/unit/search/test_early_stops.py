"""Curves of objectives and the rules that stop training jobs by them."""

import json

import pytest

from outcrop.search.curves import ObjectiveCurve
from outcrop.search.early_stops import HyperbandRule, MedianRule, RungReport
from outcrop.search.strategy import HyperbandResources, Objective

LOW, HIGH = Objective(metric="m", maximize=False), Objective(metric="m", maximize=True)


def curve(*values: float) -> ObjectiveCurve:
    """One value in each second."""
    made = ObjectiveCurve()
    for value in values:
        made.add(1, value)
    return made


def test_running_averages_are_those_of_the_values_up_to_an_epoch() -> None:
    made = ObjectiveCurve()
    made.add(2, 6.0)  # two values in the first second
    made.add(1, 9.0)
    made.add(4, 4.0)
    assert (made.epoch, made.value(7), made.value(2)) == (7, 1.0, 3.0)
    averages = [made.running_average(epoch) for epoch in (1, 2, 3, 5, 7, 8)]
    assert averages == [3.0, 3.0, 5.0, pytest.approx(17 / 5), pytest.approx(19 / 7), None]


@pytest.mark.parametrize(("objective", "found"), [(LOW, [9]), (HIGH, [])])
def test_what_is_worse_than_the_median_of_running_averages_is_hopeless(objective: Objective, found: list[int]) -> None:
    ended = {0: curve(5, 1), 1: curve(6, 2), 2: curve(7, 3)}  # at the second epoch: 3, 4, 5
    assert MedianRule(objective).hopeless({9: curve(9, 4.5)}, ended) == found
    assert MedianRule(objective).hopeless({9: curve(9, 4.0)}, ended) == [], "as good as half of them"


def test_too_few_earlier_curves_decide_nothing() -> None:
    rule = MedianRule(LOW)
    assert rule.hopeless({9: curve(100)}, {0: curve(1), 1: curve(1)}) == []
    assert rule.hopeless({9: curve(100, 100)}, {0: curve(1), 1: curve(1)}) == []
    assert rule.hopeless({9: curve()}, {0: curve(1), 1: curve(1), 2: curve(1)}) == []


def test_a_curve_that_has_passed_the_earlier_ones_is_judged_at_the_last_epoch_that_they_came_to() -> None:
    ended = {0: curve(1, 1), 1: curve(1, 1, 1), 2: curve(1)}
    assert MedianRule(LOW).hopeless({9: curve(2, 0, 0, 0)}, ended) == [9]
    assert MedianRule(LOW).hopeless({9: curve(1, 9, 9, 9)}, ended) == []


def test_hyperband_stops_the_worst_at_a_rung_and_a_successor_decides_alike() -> None:
    resources = HyperbandResources(least=1, most=2)  # one bracket, with a rung at the first epoch

    def decided() -> tuple[HyperbandRule, list[list[int]]]:
        rule = HyperbandRule(LOW, resources, name="job")
        ended: dict[int, ObjectiveCurve] = {}
        found = []
        for number, value in enumerate([5.0, 4.0, 9.0, 8.0, 3.0, 7.0]):
            running = {number: curve(value)}
            found.append(rule.hopeless(running, ended))
            ended |= running
        return rule, found

    rule, found = decided()
    assert found == [[], [], [2], [3], [], [5]]
    assert decided()[1] == found
    assert rule.hopeless({0: curve(5, 5, 5)}, {}) == [0], "it goes beyond the most resources"


def test_who_falls_at_one_rung_falls_whoever_is_asked_about_first() -> None:
    resources = HyperbandResources(least=1, most=2)
    ended = {0: curve(5.0), 1: curve(4.0)}
    running = {2: curve(9.0), 3: curve(8.0), 4: curve(3.0)}
    together = HyperbandRule(LOW, resources, name="job").hopeless(running, ended)
    one_by_one = HyperbandRule(LOW, resources, name="job")
    # Each is asked about with the others beside it, as of trials that learn side by side
    found = [
        number
        for number in running
        if one_by_one.hopeless({number: running[number]}, {**ended, **running} | {number: running[number]})
    ]
    assert found == together == [2, 3]


def test_a_successor_that_is_given_the_reports_decides_as_its_predecessor_would_have() -> None:
    resources = HyperbandResources(least=1, most=2)
    both = {0: curve(4.0), 1: curve(5.0)}
    rule = HyperbandRule(LOW, resources, name="job")
    assert rule.hopeless({1: both[1]}, {}) == []  # the one with the larger number came to the rung first
    assert rule.hopeless(both, {}) == []
    kept = [RungReport(*each) for each in json.loads(json.dumps(rule.reports))]
    assert kept == [RungReport(1, 1, 5.0), RungReport(0, 1, 4.0)]
    successor = HyperbandRule(LOW, resources, name="job", reports=kept)
    assert (successor.hopeless(both, {}), successor.reports) == ([], kept)
    assert HyperbandRule(LOW, resources, name="job").hopeless(both, {}) == [1], "by their numbers it would fall"


def test_values_between_the_rungs_are_no_reports() -> None:
    rule = HyperbandRule(LOW, HyperbandResources(least=4, most=5), name="job")
    assert rule.hopeless({0: curve(5, 4, 3)}, {}) == []
    assert rule.reports == []
    rule.hopeless({0: curve(5, 4, 3, 2, 1)}, {})
    assert rule.reports == [RungReport(0, 4, 2.0)]
