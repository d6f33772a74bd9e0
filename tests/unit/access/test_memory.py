"""What is kept in memory between requests, and that no change of the records, wherever made, is overlooked."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from outcrop.access import decision_cache
from outcrop.access.access import Access
from outcrop.access.caller import Caller
from outcrop.access.changes import Changes
from outcrop.access.credentials import Issued
from outcrop.access.names import Kind
from outcrop.clock import MovableClock
from outcrop.errors import Denied
from outcrop.settings import Settings
from outcrop.store.database import writing
from outcrop.store.resources import Resource
from outcrop.store.store import Store
from tests.support.patience import PATIENCE_S

S3 = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


@dataclass(frozen=True, kw_only=True)
class Asking:
    caller: Caller
    service: str = "s3"
    operation: str = "ListBuckets"
    params: dict[str, Any] = field(default_factory=dict)
    region: str = "us-east-1"
    headers: Mapping[str, str] = field(default_factory=dict)
    source_ip: str = "127.0.0.1"
    secure: bool = False
    known: Mapping[str, str] = field(default_factory=dict)
    started: float = math.inf
    line: Hashable | None = None
    found: dict[tuple[str, str], Any] = field(default_factory=dict)


@pytest.fixture
def key(access: Access) -> Issued:
    access.identities.create_user("jane")
    access.attachments.put_inline(Kind.USER, "jane", "s3", S3)
    return access.credentials.create_key("jane")


def caller_of(access: Access, key_id: str) -> Caller:
    found = access.secret_for(key_id)
    assert found is not None
    return found.caller


def elsewhere(settings: Settings, line: str) -> None:
    """Run a line with `access` of the same home in another process."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom outcrop.access.access import Access\n"
        "from outcrop.access.names import Kind\nfrom outcrop.clock import SystemClock\n"
        "from outcrop.settings import Settings\nfrom outcrop.store.store import Store\n"
        "settings = Settings(home=Path(sys.argv[1]))\n"
        f"access = Access.open(Store.open(settings), settings, SystemClock())\n{line}\n"
    )
    subprocess.run([sys.executable, "-c", program, str(settings.home)], check=True, timeout=PATIENCE_S)


def test_an_unchanged_installation_is_asked_nothing_twice(access: Access, key: Issued, store: Store) -> None:
    caller = caller_of(access, key.key_id)
    access.authorize(Asking(caller=caller))
    # With its tables gone, only memory can answer.
    with store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE access_identities RENAME TO gone")
        connection.exec_driver_sql("ALTER TABLE access_keys RENAME TO gone_too")
    assert access.secret_for(key.key_id) is access.secret_at_hand(key.key_id)
    access.authorize(Asking(caller=caller))


def test_a_key_deleted_by_another_process_is_unknown_at_the_next_request(
    access: Access, key: Issued, settings: Settings
) -> None:
    assert access.secret_for(key.key_id) is not None
    elsewhere(settings, f"access.credentials.delete_key('jane', '{key.key_id}')")
    assert access.secret_at_hand(key.key_id) is None
    assert access.secret_for(key.key_id) is None


def test_a_policy_changed_by_another_process_counts_at_the_next_request(
    access: Access, key: Issued, settings: Settings
) -> None:
    caller = caller_of(access, key.key_id)
    access.authorize(Asking(caller=caller))
    elsewhere(settings, "access.attachments.delete_inline(Kind.USER, 'jane', 's3')")
    with pytest.raises(Denied):
        access.authorize(Asking(caller=caller))
    elsewhere(settings, f"access.attachments.put_inline(Kind.USER, 'jane', 's3', {S3!r})")
    access.authorize(Asking(caller=caller))


def test_a_key_made_later_works_at_once_though_it_was_asked_for_before(
    access: Access, store: Store, settings: Settings, clock: MovableClock
) -> None:
    other = Access.open(store, settings, clock)
    other.identities.create_user("jane")
    assert access.secret_for("AKIAAAAAAAAAAAAAAAAA") is None
    made = other.credentials.create_key("jane")
    assert access.secret_for(made.key_id) is not None


def test_what_a_transaction_sees_before_it_fails_is_not_remembered(access: Access, key: Issued, store: Store) -> None:
    caller = caller_of(access, key.key_id)

    def delete_and_fail() -> None:
        with store.transaction():
            access.attachments.delete_inline(Kind.USER, "jane", "s3")
            with pytest.raises(Denied):
                access.authorize(Asking(caller=caller))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        delete_and_fail()
    access.authorize(Asking(caller=caller))


def test_a_change_that_is_not_committed_yet_is_not_seen_and_then_is(access: Access, key: Issued, store: Store) -> None:
    number = access.identities.records.changes.number
    before = number()
    with store.transaction():
        access.attachments.delete_inline(Kind.USER, "jane", "s3")
        assert number() == before
    assert number() > before


def test_a_line_that_was_permitted_is_refused_once_a_policy_changed(access: Access, key: Issued) -> None:
    caller = caller_of(access, key.key_id)
    access.authorize(Asking(caller=caller, line="GET /"))
    access.authorize(Asking(caller=caller, line="GET /"))
    access.attachments.delete_inline(Kind.USER, "jane", "s3")
    with pytest.raises(Denied):
        access.authorize(Asking(caller=caller, line="GET /"))


def test_a_line_permitted_to_one_is_not_thereby_permitted_to_another(access: Access, key: Issued) -> None:
    access.authorize(Asking(caller=caller_of(access, key.key_id), line="GET /"))
    access.identities.create_user("mei")
    mei = caller_of(access, access.credentials.create_key("mei").key_id)
    access.authorize(Asking(caller=caller_of(access, key.key_id), line="GET /"))
    with pytest.raises(Denied):
        access.authorize(Asking(caller=mei, line="GET /"))


def test_a_condition_is_asked_again_for_the_same_line(access: Access, key: Issued) -> None:
    at_home = {"IpAddress": {"aws:SourceIp": "127.0.0.1/32"}}
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": at_home}
    access.attachments.put_inline(
        Kind.USER, "jane", "s3", json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    caller = caller_of(access, key.key_id)
    access.authorize(Asking(caller=caller, line="GET /"))
    with pytest.raises(Denied):
        access.authorize(Asking(caller=caller, line="GET /", source_ip="203.0.113.7"))


def test_a_name_that_comes_to_mean_another_thing_is_looked_up_again(
    access: Access, key: Issued, store: Store, clock: MovableClock
) -> None:
    first, second = (f"arn:aws:bedrock:us-east-1:{access.account}:custom-model/x/{each}" for each in "ab")
    allow = {"Effect": "Allow", "Action": "bedrock:*", "Resource": first}
    access.attachments.put_inline(Kind.USER, "jane", "s3", json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    asking = Asking(
        caller=caller_of(access, key.key_id),
        service="bedrock",
        operation="GetCustomModel",
        params={"modelIdentifier": "mine"},
        line="GET /custom-models/mine",
    )

    def name(arn: str) -> None:
        now = clock.now()
        store.resources.add(
            Resource(arn=arn, kind="custom-model", region="us-east-1", name="mine", created=now, updated=now)
        )

    name(first)
    access.authorize(asking)
    store.resources.remove(first)
    name(second)
    with pytest.raises(Denied):
        access.authorize(replace(asking, found={}))


def test_what_was_read_since_a_request_came_in_holds_for_it_and_not_for_the_next(
    access: Access, key: Issued, settings: Settings
) -> None:
    caller = caller_of(access, key.key_id)
    came_in = time.monotonic()
    access.authorize(Asking(caller=caller))
    elsewhere(settings, "access.attachments.delete_inline(Kind.USER, 'jane', 's3')")
    access.authorize(Asking(caller=caller, started=came_in))
    with pytest.raises(Denied):
        access.authorize(Asking(caller=caller, started=time.monotonic()))


def test_jobs_and_other_records_leave_the_memory_alone(access: Access, key: Issued, store: Store) -> None:
    before = access.identities.records.changes.number()
    store.tags.put("arn:aws:s3:::bucket", {"a": "b"})
    assert access.identities.records.changes.number() == before


def test_a_variable_written_with_an_escape_is_still_a_variable(access: Access, key: Issued) -> None:
    escaped = r"""{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*",
        "Resource": "arn:aws:s3:::\u0024{aws:username}/*"}]}"""
    access.attachments.put_inline(Kind.USER, "jane", "mine-not", escaped)
    asking = Asking(
        caller=caller_of(access, key.key_id), operation="GetObject", params={"Bucket": "jane", "Key": "diary"}
    )
    with pytest.raises(Denied, match="explicit deny"):
        access.authorize(asking)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_cache, "MAX_KEPT", 3)
    kept: decision_cache.CappedCache[str, str] = decision_cache.CappedCache()
    for name in "abcdefg":
        assert kept.get(name, str.upper) == name.upper()
    assert [name for name in "abcdefg" if kept.at_hand(name)] == ["g"]


def test_another_database_is_asked_once_a_second_and_after_own_changes_every_time(store: Store) -> None:
    now = [100.0]
    ours, theirs = Changes(store.engine, lambda: now[0]), Changes(store.engine)
    ours._is_sqlite = False
    first = ours.number()
    with writing(store.engine) as connection:
        theirs.note(connection)
    assert ours.number() == first, "asked within the same second"
    now[0] += 1
    assert ours.number() == first + 1
    with writing(store.engine) as connection:
        ours.note(connection)
    assert ours.number() == first + 2
