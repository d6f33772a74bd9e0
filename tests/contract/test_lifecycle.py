"""What expires, when, and what stays, on every database; the clock is moved."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.lifecycle import check_rules
from outcrop.buckets.records import Details
from outcrop.buckets.settings_records import LIFECYCLE, VERSIONING
from outcrop.buckets.version_listing import VersionRequest
from outcrop.clock import MovableClock
from outcrop.errors import ServiceRefusal
from tests.support.buckets_room import HERE, put, put_part

BUCKET, KEY = HERE
DAY = timedelta(days=1)


def rule(**given: Any) -> dict[str, Any]:
    return {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **given}


def expire_after(days: int, **given: Any) -> dict[str, Any]:
    return rule(Expiration={"Days": days}, **given)


def set_rules(buckets: Buckets, *rules: dict[str, Any]) -> None:
    buckets.set_setting(BUCKET, LIFECYCLE, {"Rules": check_rules(list(rules)), "LeastSize": ""})


def passed(buckets: Buckets) -> int:
    """The number of objects and versions that a pass through all buckets removes."""
    removed = 0
    while True:
        swept = buckets.expire()
        removed += swept.removed
        if not swept.more_due:
            return removed


def left(buckets: Buckets) -> list[str]:
    return [each.key for each in buckets.under(BUCKET, "")]


def kept(buckets: Buckets) -> list[str]:
    """Versions by their content, and `-` for a marker."""
    page = buckets.list_versions(BUCKET, VersionRequest())
    return ["-" if each.is_marker else b"".join(buckets.blocks(each.object)).decode() for each in page.versions]


@pytest.fixture
def versioned(buckets: Buckets) -> Buckets:
    buckets.set_setting(BUCKET, VERSIONING, "Enabled")
    return buckets


def test_an_object_expires_at_the_midnight_after_its_days(buckets: Buckets, clock: MovableClock) -> None:
    clock.move(timedelta(hours=10))  # of 1 January
    set_rules(buckets, expire_after(1))
    expiry = buckets.expiry(put(buckets, b"x"))
    assert expiry is not None
    assert expiry.header() == 'expiry-date="Sat, 03 Jan 2026 00:00:00 GMT", rule-id="r"'
    for moment, removed in ((DAY, 0), (timedelta(hours=13, minutes=59), 0), (timedelta(minutes=1), 1), (DAY, 0)):
        clock.move(moment)
        assert passed(buckets) == removed
    assert left(buckets) == []


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"Prefix": "logs/"}, ["big", "done", "small"]),
    ({"Prefix": "nothing"}, ["big", "done", "logs/1", "small"]),
    ({"Tag": {"Key": "stage", "Value": "done"}}, ["big", "logs/1", "small"]),
    ({"ObjectSizeGreaterThan": 3}, ["done", "logs/1", "small"]),
    ({"ObjectSizeLessThan": 3}, ["big", "done", "logs/1"]),
    ({"And": {"Prefix": "d", "Tags": [{"Key": "stage", "Value": "done"}]}}, ["big", "logs/1", "small"]),
    ({"And": {"Prefix": "logs/", "Tags": [{"Key": "stage", "Value": "done"}]}}, ["big", "done", "logs/1", "small"]),
    ({"And": {"ObjectSizeGreaterThan": 1, "ObjectSizeLessThan": 4}}, ["big", "small"]),
    ({}, []),
]


@pytest.mark.parametrize(("given", "staying"), FILTERS, ids=[str(given) for given, _ in FILTERS])
def test_a_rule_is_about_what_its_filter_says(
    buckets: Buckets, clock: MovableClock, given: dict[str, Any], staying: list[str]
) -> None:
    for key, body in (("big", b"12345"), ("small", b"1"), ("logs/1", b"123"), ("done", b"123")):
        buckets.put_bytes(BUCKET, key, body)
    buckets.tag(BUCKET, "done", {"stage": "done", "more": "1"})
    set_rules(buckets, expire_after(1, Filter=given))
    clock.move(3 * DAY)
    passed(buckets)
    assert left(buckets) == staying


def test_a_date_lets_everything_expire_that_was_written_before_it_and_after(
    buckets: Buckets, clock: MovableClock
) -> None:
    set_rules(buckets, rule(Expiration={"Date": datetime(2026, 2, 1, tzinfo=UTC)}))
    put(buckets, b"x")
    clock.move(30 * DAY)
    assert passed(buckets) == 0
    clock.move(DAY)
    assert passed(buckets) == 1
    clock.move(timedelta(hours=1))
    put(buckets, b"later")
    clock.move(DAY)
    assert passed(buckets) == 1


def test_a_disabled_rule_and_a_changed_one(buckets: Buckets, clock: MovableClock) -> None:
    put(buckets, b"x")
    set_rules(buckets, {**expire_after(1), "Status": "Disabled"})
    clock.move(5 * DAY)
    assert passed(buckets) == 0
    set_rules(buckets, expire_after(1))  # the same day: looked through anew
    assert passed(buckets) == 1


def test_an_expired_object_leaves_a_marker_where_versions_are_kept(versioned: Buckets, clock: MovableClock) -> None:
    put(versioned, b"one")
    set_rules(versioned, expire_after(1))
    clock.move(2 * DAY)
    assert passed(versioned) == 1
    assert (left(versioned), kept(versioned)) == ([], ["-", "one"])
    clock.move(5 * DAY)
    assert passed(versioned) == 0, "there is a version behind the marker"


def test_older_versions_expire_some_days_after_the_next_came(versioned: Buckets, clock: MovableClock) -> None:
    for text in (b"1", b"2", b"3", b"4"):
        put(versioned, text)
        clock.move(DAY)  # 1 to 4 are written on the 1st to the 4th of January; it is the 5th
    set_rules(versioned, rule(NoncurrentVersionExpiration={"NoncurrentDays": 2}))
    assert passed(versioned) == 2  # 1 was followed on the 2nd, 2 on the 3rd
    assert kept(versioned) == ["4", "3"]
    clock.move(DAY)
    assert passed(versioned) == 1
    clock.move(9 * DAY)
    assert (passed(versioned), kept(versioned)) == (0, ["4"])


def test_the_newest_of_the_older_versions_may_stay(versioned: Buckets, clock: MovableClock) -> None:
    for text in (b"1", b"2", b"3", b"4", b"5"):
        put(versioned, text)
    kept_two = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}
    set_rules(versioned, rule(NoncurrentVersionExpiration=kept_two))
    clock.move(9 * DAY)
    assert passed(versioned) == 2
    assert kept(versioned) == ["5", "4", "3"]


def test_a_marker_before_nothing_goes_when_a_rule_says_so(versioned: Buckets, clock: MovableClock) -> None:
    put(versioned, b"one")
    versioned.remove(*HERE)
    versioned.put_bytes(BUCKET, "other", b"two")
    set_rules(
        versioned,
        rule(Expiration={"ExpiredObjectDeleteMarker": True}),
        rule(ID="s", NoncurrentVersionExpiration={"NoncurrentDays": 1}),
    )
    assert passed(versioned) == 0
    clock.move(2 * DAY)
    assert passed(versioned) == 1
    assert kept(versioned) == ["-", "two"]
    clock.move(DAY)
    assert (passed(versioned), kept(versioned)) == (1, ["two"])


def test_days_take_markers_before_nothing_too(versioned: Buckets, clock: MovableClock) -> None:
    versioned.remove(*HERE)
    set_rules(versioned, expire_after(2))
    clock.move(DAY)
    assert passed(versioned) == 0
    clock.move(DAY)
    assert (passed(versioned), kept(versioned)) == (1, [])


def test_uploads_that_nobody_completes_expire(buckets: Buckets, clock: MovableClock) -> None:
    upload = buckets.uploads.begin(HERE, details=Details()).id
    put_part(buckets, upload, 1, b"x")
    set_rules(buckets, rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 3}, Filter={"Prefix": "gen/"}))
    clock.move(2 * DAY)
    assert passed(buckets) == 0
    clock.move(DAY)
    assert passed(buckets) == 1
    assert buckets.uploads.of_bucket(BUCKET) == []


def test_what_was_written_anew_while_a_pass_went_by_stays(buckets: Buckets, clock: MovableClock) -> None:
    for number in range(3):
        buckets.put_bytes(BUCKET, str(number), b"x")
    set_rules(buckets, expire_after(1))
    clock.move(3 * DAY)
    found = buckets._expirations._seen(BUCKET)
    seen = [each for each in found if each is not None]
    buckets.put_bytes(BUCKET, "1", b"new")
    assert buckets._expirations._remove(BUCKET, seen) == 2
    assert left(buckets) == ["1"]


def test_more_than_a_page_expires_in_pages(
    buckets: Buckets, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop.buckets.expiration.PAGE", 4)
    monkeypatch.setattr("outcrop.buckets.expiration.BATCH", 3)
    for number in range(11):
        buckets.put_bytes(BUCKET, f"{number:02}", b"x")
    set_rules(buckets, expire_after(1))
    clock.move(3 * DAY)
    assert (passed(buckets), left(buckets)) == (11, [])


def test_the_soonest_rule_is_told(buckets: Buckets) -> None:
    set_rules(buckets, expire_after(9), expire_after(2, ID="soon/er"), expire_after(1, ID="no", Filter={"Prefix": "z"}))
    expiry = buckets.expiry(put(buckets, b"x"))
    assert expiry is not None
    assert expiry.header() == 'expiry-date="Sat, 03 Jan 2026 00:00:00 GMT", rule-id="soon/er"'


MALFORMED, ARGUMENT, REQUEST, UNBUILT = "MalformedXML", "InvalidArgument", "InvalidRequest", "NotImplemented"


@pytest.mark.parametrize(
    ("rules", "code", "sentence"),
    [
        ([], MALFORMED, "has rules"),
        ([rule()], REQUEST, "At least one action needs to be specified in a rule"),
        ([expire_after(0)], ARGUMENT, "'Days' for Expiration action must be a positive integer"),
        ([expire_after(1), expire_after(2)], ARGUMENT, "Rule ID must be unique. Found same ID for more than one rule"),
        ([expire_after(1, ID="x" * 256)], ARGUMENT, "ID length should not exceed allowed limit of 255"),
        ([{**expire_after(1), "Status": "enabled"}], MALFORMED, "Status"),
        ([expire_after(1, Prefix="a")], MALFORMED, "Filter"),
        ([{"ID": "r", "Status": "Enabled", "Expiration": {"Days": 1}}], MALFORMED, "Filter"),
        ([expire_after(1, Filter={"Prefix": "a", "ObjectSizeLessThan": 1})], MALFORMED, "And"),
        ([expire_after(1, Filter={"And": {"Prefix": "a"}})], MALFORMED, "two conditions"),
        ([expire_after(1, Filter={"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 5}})], REQUEST, "greater than"),
        ([expire_after(1, Filter={"Tag": {"Key": "a"}})], MALFORMED, "Key and Value"),
        ([rule(Expiration={"Days": 1, "Date": datetime(2027, 1, 1, tzinfo=UTC)})], MALFORMED, "Days, Date"),
        ([rule(Expiration={"Date": datetime(2027, 1, 1, 5, tzinfo=UTC)})], ARGUMENT, "'Date' must be at midnight GMT"),
        ([rule(Expiration={"ExpiredObjectDeleteMarker": True}, Filter={"Tag": {"Key": "a", "Value": "b"}})], REQUEST, "Tags"),
        ([rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 1})], MALFORMED, "NoncurrentDays"),
        ([rule(NoncurrentVersionExpiration={"NoncurrentDays": 0})], ARGUMENT, "positive"),
        ([rule(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 101})], ARGUMENT, "100"),
        ([rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}, Filter={"ObjectSizeLessThan": 1})], REQUEST, "Size"),
        ([expire_after(1, Transitions=[{"Days": 1, "StorageClass": "GLACIER"}])], UNBUILT, "Transitions"),
        ([expire_after(1, NoncurrentVersionTransitions=[{"NoncurrentDays": 1}])], UNBUILT, "NoncurrentVersionTransitions"),
    ],
)  # fmt: skip
def test_rules_that_are_none_are_refused(rules: list[dict[str, Any]], code: str, sentence: str) -> None:
    with pytest.raises(ServiceRefusal, match=sentence.replace("(", r"\(")) as refused:
        check_rules(rules)
    assert refused.value.code == code
