"""Which adapters leave an engine: what nobody asks for, and what was asked for longest ago where room is needed."""

import pytest

from outcrop.inference.adapters_in_use import AdaptersInUse


class Watch:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_an_adapter_goes_once_nobody_has_used_it_for_as_long_as_one_stays(watch: Watch) -> None:
    adapters = AdaptersInUse(idle_s=60, now=watch)
    adapters.came("a", 1)
    watch.now += 30
    adapters.came("b", 1)
    assert adapters.idle() == []
    watch.now += 30
    assert adapters.idle() == ["a"]
    with adapters.used("a"):
        pass
    assert adapters.idle() == []
    watch.now += 59
    assert adapters.idle() == ["b"]
    adapters.went("b")
    assert adapters.told() == {"a": 59.0}


def test_an_adapter_in_use_stays_and_its_time_begins_with_the_end_of_the_last_request(watch: Watch) -> None:
    adapters = AdaptersInUse(idle_s=60, most_bytes=1, now=watch)
    adapters.came("a", 5)
    with adapters.used("a"):
        with adapters.used("a"):
            watch.now += 600
        assert adapters.idle() == []
        assert adapters.beyond(but="") == []
        assert adapters.told() == {"a": 0.0}
        watch.now += 600
    assert adapters.idle() == []
    watch.now += 60
    assert adapters.idle() == ["a"]


def test_an_adapter_that_comes_while_it_is_asked_for_counts_as_in_use(watch: Watch) -> None:
    adapters = AdaptersInUse(idle_s=60, now=watch)
    with adapters.used("a"):
        adapters.came("a", 1)
        watch.now += 600
        assert adapters.idle() == []


def test_where_room_is_short_the_least_recently_used_goes_first_never_the_one_that_just_came(watch: Watch) -> None:
    adapters = AdaptersInUse(most_bytes=10, now=watch)
    for name in "abcd":
        adapters.came(name, 4)
        watch.now += 1
    with adapters.used("a"):
        watch.now += 1
    assert adapters.beyond(but="d") == ["b", "c"]
    adapters.went("b")
    assert adapters.beyond(but="d") == ["c"]
    adapters.went("c")
    assert adapters.beyond(but="d") == []
    adapters.came("huge", 100)
    assert adapters.beyond(but="huge") == ["d", "a"]


def test_without_limits_all_stay(watch: Watch) -> None:
    adapters = AdaptersInUse(now=watch)
    adapters.came("a", 10**12)
    watch.now += 10**9
    assert (adapters.idle(), adapters.beyond(but="")) == ([], [])
