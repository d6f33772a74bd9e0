"""The audit: entries are found by what they say, survive what ends the process, and show when one was touched."""

import logging
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from outcrop.audit import audit as room
from outcrop.audit.audit import Audit
from outcrop.audit.entry import Entry, keepable, requests_of_event
from outcrop.audit.kinds import is_data_event, is_read_only
from outcrop.audit.noted_end import NotedEnd
from outcrop.audit.records import AuditRecords, Link, Search, next_digest
from outcrop.clock import MovableClock
from outcrop.keys.root_key import Sealer
from outcrop.settings import Retention, Settings
from outcrop.store.database import writing
from outcrop.store.store import Store

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = Entry(
    at=NOON,
    service="bedrock",
    operation="CreateModelCustomizationJob",
    region="us-east-1",
    caller="arn:aws:iam::123456789012:user/admin",
    user_id="AIDA",
    key_id="AKIA",
    session="",
    resources=("arn:one", "arn:two"),
    source_ip="127.0.0.1",
    user_agent="Boto3",
    request_id="first",
    status=201,
    code="",
    read_only=False,
    data=False,
)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOON)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def audit(store: Store, clock: MovableClock) -> Audit:
    return Audit(store, clock)


def write(audit: Audit, *changes: dict[str, Any]) -> None:
    for each in changes:
        audit.record(FIRST._replace(**each))
    audit.flush()


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    """The fields that tell the audit entry of a minute apart."""
    return {"at": NOON + timedelta(minutes=number), "request_id": str(number), **changes}


def ids(audit: Audit, **asked: Any) -> list[str]:
    return [each.entry.request_id for each in audit.entries(**asked)]


def test_an_entry_is_read_as_it_was_recorded(audit: Audit) -> None:
    write(audit, {})
    (found,) = audit.entries()
    assert found.entry == FIRST


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["3", "2", "1", "0"]),
        ({"since": NOON + timedelta(minutes=1), "until": NOON + timedelta(minutes=3)}, ["2", "1"]),
        ({"caller": "arn:jane"}, ["1"]),
        ({"operation": "DeleteCustomModel"}, ["2"]),
        ({"service": "s3"}, ["3"]),
        ({"resource": "arn:two"}, ["1", "0"]),
        ({"resource": "arn:three", "since": NOON + timedelta(minutes=3)}, ["3"]),
        ({"request_id": "2"}, ["2"]),
        ({"request_id": "none"}, []),
        ({"most": 1}, ["3"]),
    ],
)
def test_entries_are_found_by_what_they_say(audit: Audit, asked: dict[str, Any], found: list[str]) -> None:
    write(
        audit,
        numbered(0),
        numbered(1, caller="arn:jane"),
        numbered(2, operation="DeleteCustomModel", resources=("arn:three",)),
        numbered(3, service="s3", resources=("arn:three",)),
    )
    assert ids(audit, **asked) == found


def test_an_entry_that_names_several_of_what_is_asked_for_comes_once(audit: Audit) -> None:
    write(audit, numbered(0), numbered(1, resources=("arn:three",)), numbered(2, resources=("arn:two",)))
    found = audit.search(Search(resources=("arn:one", "arn:two")))
    assert [each.entry.request_id for each in found] == ["2", "0"]
    assert audit.named_resources("one") == ["arn:one"]
    assert audit.callers() == [FIRST.caller]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Search(failed=True), ["1"]),
        (Search(code="AccessDenied"), ["1"]),
        (Search(read_only=True), ["2"]),
        (Search(key_id="AKIB"), ["2"]),
        (Search(region="eu-west-1"), ["1"]),
        (Search(data=True), ["2"]),
        (Search(callers=()), []),
        (Search(resource_like="arn:t%"), ["2", "1", "0"]),
        (Search(resource_like="arn:o%"), ["1", "0"]),
    ],
)
def test_entries_are_found_by_what_stands_in_no_column(audit: Audit, asked: Search, found: list[str]) -> None:
    quoting = '{"code":"AccessDenied","read_only":true,"data":true,"key_id":"AKIB","region":"eu-west-1"}'
    write(
        audit,
        numbered(0, params=quoting),
        numbered(1, code="AccessDenied", region="eu-west-1"),
        numbered(2, read_only=True, data=True, key_id="AKIB", resources=("arn:two",)),
    )
    assert [each.entry.request_id for each in audit.search(asked)] == found


def test_pages_follow_each_other_also_within_one_moment(audit: Audit) -> None:
    write(audit, *({"request_id": str(number)} for number in range(5)))
    seen: list[str] = []
    before = None
    while page := audit.entries(most=2, before=before):
        seen += [each.entry.request_id for each in page]
        before = page[-1]
    assert seen == ["4", "3", "2", "1", "0"]


def test_a_program_that_asks_again_at_once_is_counted_in_one_entry(audit: Audit) -> None:
    for _ in range(3):
        if not audit.again("key"):
            audit.record(FIRST, "key")
    audit.flush()
    assert not audit.again("key")  # what is written is not changed
    assert [each.entry.times for each in audit.entries()] == [3]
    assert audit.verify().broken is None


def test_strangers_fill_no_more_than_their_share(audit: Audit) -> None:
    write(audit, *[numbered(0, caller="")] * 70, numbered(0), *[numbered(1, caller="")] * 5)
    assert len(audit.entries(caller="", most=100)) == 65
    assert len(audit.entries(caller=FIRST.caller)) == 1
    assert audit.left_out == 10


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE audit_entries SET caller = 'arn:nobody' WHERE number = 3", "entry 3 is not as it was written"),
        ("UPDATE audit_entries SET at = at + 1 WHERE number = 5", "entry 5 is not as it was written"),
        ("UPDATE audit_entries SET rest = 'no JSON' WHERE number = 2", "entry 2 is not as it was written"),
        ("UPDATE audit_entries SET rest = replace(rest, '201', '403')", "entry 1 is not as it was written"),
        ("DELETE FROM audit_entries WHERE number = 4", "entry 4 is missing"),
        ("DELETE FROM audit_entries WHERE number = 1", "entry 1 is missing"),
        ("UPDATE audit_entries SET digest = zeroblob(32) WHERE number = 2", "entry 2 is not as it was written"),
    ],
)
def test_whatever_is_touched_is_found(store: Store, audit: Audit, change: str, broken: str) -> None:
    write(audit, *map(numbered, range(5)))
    assert audit.verify().broken is None
    with writing(store.engine) as connection:
        connection.execute(sql.text(change))
    found = audit.verify().broken
    assert found is not None
    assert found.startswith(broken)


def forged(store: Store, number: int) -> None:
    """Change an entry and make all digests behind it anew, as who knows how but has no key can."""
    records = AuditRecords(store.engine)
    before = Link(number - 1, b"")
    for link, entry in list(records.chain(0)):
        if link.number < number:
            before = link
            continue
        assert entry is not None
        told = entry._replace(caller="arn:nobody") if link.number == number else entry
        before = Link(link.number, next_digest(before.digest, link.number, told, None))
        with writing(store.engine) as connection:
            change = sql.text("UPDATE audit_entries SET caller = :caller, digest = :digest WHERE number = :number")
            connection.execute(change, {"caller": told.caller, "digest": before.digest, "number": link.number})


def test_who_has_the_database_but_not_the_root_key_makes_no_chain_that_holds(store: Store, clock: MovableClock) -> None:
    audit = Audit(store, clock, sealer=Sealer(b"k" * 32))
    write(audit, *map(numbered, range(5)))
    assert audit.verify().broken is None
    forged(store, 3)
    assert audit.verify().broken == "entry 3 is not as it was written, or the one before was put in"
    with writing(store.engine) as connection:  # as if the digests had been without a key
        connection.execute(sql.text("UPDATE audit_keys SET since = 100"))
    assert "cannot be opened" in str(audit.verify().broken)


def test_entries_without_a_key_are_followed_by_those_with_one_and_the_key_is_sealed_anew(
    store: Store, clock: MovableClock
) -> None:
    write(Audit(store, clock), *map(numbered, range(3)))
    sealer, other = Sealer(b"k" * 32), Sealer(b"o" * 32)
    audit = Audit(store, clock, sealer=sealer)
    write(audit, *map(numbered, range(3, 6)))
    assert (audit.verify().broken, audit.verify().entries) == (None, 6)
    with store.transaction():
        audit.reseal(other)
    again = Audit(store, clock, sealer=other)
    write(again, numbered(7))
    assert (again.verify().broken, again.verify().entries) == (None, 7)
    assert "cannot be opened" in str(Audit(store, clock, sealer=sealer).verify().broken)


def test_the_note_beside_the_database_misses_what_was_cut_off_and_is_kept(
    store: Store, clock: MovableClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noted, sealer = NotedEnd(tmp_path), Sealer(b"k" * 32)
    audit = Audit(store, clock, noted=noted, sealer=sealer)
    write(audit, *map(numbered, range(5)))
    assert noted.read() == audit.last()
    with writing(store.engine) as connection:
        connection.execute(sql.text("DELETE FROM audit_entries WHERE number > 3"))
    assert audit.verify().broken == "entry 4 is missing, and all after it"
    again = Audit(store, clock, noted=noted, sealer=sealer)
    write(again, numbered(8), numbered(9), numbered(10))  # a later note does not hide it
    assert again.verify().broken == "entry 5 or one before it is not what it was"
    assert "the audit is not what it was" in caplog.text
    with writing(store.engine) as connection:
        connection.execute(sql.text("DELETE FROM audit_keys"))
    assert again.verify().broken == "the key of its digests was removed"


def test_a_write_that_failed_and_came_to_the_disk_all_the_same_is_there_once(
    store: Store, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = AuditRecords.append

    def fails_afterwards(self: AuditRecords, *given: Any, **more: Any) -> Link:
        append(self, *given, **more)
        raise sql.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patched:
        patched.setattr(AuditRecords, "append", fails_afterwards)
        audit.record(FIRST)
        assert not audit.write()
    audit.record(FIRST._replace(request_id="second"))
    assert audit.write()
    assert ids(audit) == ["second", "first"]
    assert audit.verify().broken is None


def test_an_events_id_leads_to_its_request() -> None:
    entry = FIRST._replace(request_id="0123abcd-4567-4abc-a123-0123456789ab")
    prefix = requests_of_event(entry.event_id)
    assert prefix is not None
    assert entry.request_id.startswith(prefix)
    assert uuid.UUID(entry.event_id).version == 4
    assert entry.event_id != entry._replace(operation="Other").event_id
    assert FIRST.event_id == FIRST.event_id != FIRST._replace(operation="Other").event_id
    assert requests_of_event("no id") is None


def test_entries_cut_off_at_the_end_are_missed_by_who_noted_the_last(store: Store, audit: Audit) -> None:
    write(audit, *map(numbered, range(5)))
    noted = audit.last()
    assert audit.verify(noted).broken is None
    with writing(store.engine) as connection:
        connection.execute(sql.text("DELETE FROM audit_entries WHERE number > 3"))
    assert audit.verify().broken is None
    assert audit.verify(noted).broken == "entry 4 is missing, and all after it"
    write(audit, numbered(8), numbered(9))
    assert audit.verify(noted).broken == "entry 5 or one before it is not what it was"


def test_old_entries_go_as_a_range_and_the_chain_goes_on(audit: Audit, clock: MovableClock, store: Store) -> None:
    write(audit, *map(numbered, range(5)))
    clock.move(60 * DAY)
    write(audit, numbered(60 * 24 * 60))
    clock.move(31 * DAY)
    assert audit.sweep() == 5
    verified = audit.verify()
    assert (verified.first, verified.last, verified.entries, verified.broken) == (6, 6, 1, None)
    assert ids(audit, resource="arn:one") == ["86400"]
    clock.move(90 * DAY)
    assert audit.sweep() == 1
    write(audit, numbered(1))
    assert audit.last().number == 7
    assert audit.verify().broken is None


def test_the_oldest_go_when_there_are_more_than_may_be(store: Store, clock: MovableClock) -> None:
    audit = Audit(store, clock, Retention(days=90, megabytes=1))
    write(audit, *map(numbered, range(4000)))
    removed = audit.sweep()
    verified = audit.verify()
    assert verified.broken is None
    assert 1000 < verified.entries == 4000 - removed < 2500
    assert audit.sweep() == 0


def test_what_cannot_be_written_waits_and_what_finds_no_room_is_an_entry(
    store: Store, audit: Audit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "outcrop.audit")
    write(audit, numbered(0))
    monkeypatch.setattr(room, "MOST_WAITING", 2)
    with writing(store.engine) as connection:
        connection.exec_driver_sql("ALTER TABLE audit_resources RENAME TO away")
    for number in range(1, 6):
        write(audit, numbered(number))
    with writing(store.engine) as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO audit_resources")
    audit.flush()
    lost = audit.entries(operation="EntriesLost")
    assert [each.entry.times for each in lost] == [3]
    assert ids(audit) == ["2", "1", "", "0"]
    assert audit.verify().broken is None
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the audit is not written", "the audit is written again"]


def test_two_processes_write_one_chain(store: Store, clock: MovableClock, audit: Audit) -> None:
    other = Audit(store, clock)
    for number, each in enumerate((audit, other, audit)):
        write(each, numbered(number))
    assert ids(other) == ["2", "1", "0"]
    assert other.verify().entries == 3


def test_what_no_database_takes_is_kept_as_a_question_mark() -> None:
    assert keepable("curl\x00\n\udce9 é") == "curl??? é"
    assert len(keepable("x" * 5000)) == 1024


def test_calls_are_of_the_kinds_that_cloudtrail_tells_apart() -> None:
    data = ("GetObject", "PutObject", "ListObjectsV2", "UploadPart", "CreateMultipartUpload", "HeadBucket", "ListParts")
    management = ("CreateBucket", "PutBucketPolicy", "GetObjectLockConfiguration", "ListBuckets", "DeleteBucket")
    assert [is_data_event("s3", each) for each in data] == [True] * len(data)
    assert [is_data_event("s3", each) for each in management] == [False] * len(management)
    assert not is_data_event("bedrock-runtime", "InvokeModel")
    assert is_data_event("s3vectors", "PutVectors")
    assert not is_data_event("s3vectors", "ListVectorBuckets")
    reads = ("GetUser", "ListJobs", "InvokeModel", "ConverseStream", "HeadObject", "SimulateCustomPolicy")
    assert [is_read_only(each) for each in reads] == [True] * len(reads)
    assert not is_read_only("CreateUser")
    assert not is_read_only("AssumeRole")


def test_nothing_of_the_room_changes_or_removes_a_single_entry() -> None:
    """Whoever adds a method here says in which way the record is still append-only."""
    ways = {name for name in (*vars(Audit), *vars(AuditRecords)) if not name.startswith("_")}
    reads = {"entries", "last", "verify", "waiting", "begins", "chain", "search", "first_since", "size_of_newest"}
    reads |= {"at", "callers", "following", "key", "named_resources"}
    assert ways - reads == {"again", "record", "flush", "write", "append", "sweep", "remove_through", "reseal"}


def test_a_place_before_all_that_is_kept_proves_nothing(audit: Audit, clock: MovableClock) -> None:
    write(audit, numbered(0))
    noted = Link(1, b"x" * 32)
    clock.move(91 * DAY)
    audit.sweep()
    assert audit.verify(noted).broken is None
