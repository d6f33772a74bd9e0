"""Two writers at the same moment, on every database: each rule that only one of them may pass lets one pass."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.access.access import Access
from outcrop.buckets.buckets import Buckets
from outcrop.clock import MovableClock
from outcrop.errors import Conflict, Refusal
from outcrop.settings import Settings
from outcrop.store.resources import Resource, Stale
from outcrop.store.store import Store

NOW = datetime(2026, 5, 4, tzinfo=UTC)
WRITERS = 6


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """The results that six threads got at once, or the refusals in their place."""
    start = threading.Barrier(WRITERS)

    def outcome(number: int) -> Any:
        start.wait()
        try:
            return work(number)
        except Refusal as refusal:
            return type(refusal)

    with ThreadPoolExecutor(WRITERS) as threads:
        return list(threads.map(outcome, range(WRITERS)))


def job(number: int = 0, *, name: str = "a") -> Resource:
    return Resource(arn=f"arn:job/{number}", kind="job", region="r", name=name, created=NOW, updated=NOW)


def test_a_home_is_opened_by_several_processes_at_its_first_moment(settings: Settings) -> None:
    def opened(_number: int) -> str:
        store = Store.open(settings)
        access = Access.open(store, settings, MovableClock())
        store.close()
        return access.account

    assert len(set(at_once(opened))) == 1


def test_a_name_goes_to_one(store: Store) -> None:
    outcomes = at_once(lambda number: store.resources.add(job(number)))
    assert len([each for each in outcomes if isinstance(each, Resource)]) == 1
    assert all(isinstance(each, Resource) or issubclass(each, Conflict) for each in outcomes)
    assert len(store.resources.all("job")) == 1


def test_a_version_is_followed_by_one(store: Store) -> None:
    read = store.resources.add(job())
    outcomes = at_once(lambda number: store.resources.replace(read, at=NOW, status=str(number)))
    assert outcomes.count(Stale) == WRITERS - 1
    kept = store.resources.get(read.arn)
    assert kept is not None
    assert kept in outcomes


def test_a_request_token_makes_one_thing_and_gives_all_the_same_answer(store: Store) -> None:
    made: list[int] = []

    def create(number: int) -> dict[str, Any]:
        made.append(number)
        store.resources.add(job(number, name=str(number)))
        return {"jobArn": f"arn:job/{number}"}

    outcomes = at_once(lambda number: store.idempotency.once("CreateJob", "token", {"n": 1}, lambda: create(number)))
    assert len(made) == 1
    assert outcomes == [{"jobArn": f"arn:job/{made[0]}"}] * WRITERS


def test_tags_of_all_writers_stay(store: Store) -> None:
    at_once(lambda number: store.tags.put("arn:job/0", {str(number): "v"}))
    assert sorted(store.tags.get("arn:job/0")) == [str(number) for number in range(WRITERS)]


def test_a_bucket_and_an_object_are_made_once(buckets: Buckets) -> None:
    outcomes = at_once(lambda _number: buckets.create("shelf", "eu-west-1"))
    assert len([each for each in outcomes if not isinstance(each, type)]) == 1
    at_once(lambda number: buckets.put_bytes("shelf", "key", b"%d" % number))
    assert buckets.read_bytes("shelf", "key") in {b"%d" % number for number in range(WRITERS)}
    assert [record.key for record in buckets.under("shelf", "")] == ["key"]


def test_a_user_is_made_once_and_every_change_counts(access: Access) -> None:
    before = access.identities.records.changes.number()
    outcomes = at_once(lambda _number: access.identities.create_user("jane"))
    assert len([each for each in outcomes if not isinstance(each, type)]) == 1
    assert access.identities.records.changes.number() > before


@pytest.mark.parametrize("rows", [7])
def test_a_transaction_that_fails_leaves_nothing_of_its_rows(store: Store, rows: int) -> None:
    def add(number: int) -> None:
        with store.transaction():
            for row in range(rows):
                store.resources.add(job(100 * number + row, name=f"{number}-{row}"))
            if number % 2:
                raise Conflict("given up")

    at_once(add)
    assert len(store.resources.all("job")) == rows * WRITERS // 2
