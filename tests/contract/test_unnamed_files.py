"""Files that no row names any more: they go, but never before whoever was told of them is done."""

import asyncio
from datetime import timedelta

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.names import Place
from outcrop.buckets.records import Details
from outcrop.buckets.sweeping import BATCH, GRACE, LEFTOVER_AGE
from outcrop.clock import MovableClock
from outcrop.server.serve import sweep_all
from outcrop.store.store import Store
from tests.support.buckets_room import HERE, LONG, files, put_part


def test_a_file_goes_a_while_after_its_last_row(buckets: Buckets, store: Store, clock: MovableClock) -> None:
    buckets.put_bytes("books", "one", LONG)
    path = buckets.path(buckets.copy(Place("books", "one"), Place("books", "two")))
    buckets.remove("books", "one")
    clock.move(2 * GRACE)
    assert buckets.sweep().removed == 0  # the other row still names it

    buckets.put_bytes("books", "two", LONG[1:])
    assert path.exists()  # whoever was told the path may be about to open it
    clock.move(2 * GRACE)
    assert buckets.sweep().removed == 1

    assert not path.exists()
    assert files(store) == [buckets.path_of("books", "two")]


def test_a_file_that_is_put_again_before_the_sweep_stays(buckets: Buckets, clock: MovableClock) -> None:
    buckets.put_bytes("books", "a", b"same")
    buckets.remove("books", "a")
    clock.move(2 * GRACE)
    buckets.put_bytes("books", "b", b"same")
    clock.move(2 * GRACE)
    buckets.sweep()

    assert buckets.read_bytes("books", "b") == b"same"


def test_what_a_crash_left_is_taken_up_at_the_next_start(buckets: Buckets, store: Store, clock: MovableClock) -> None:
    buckets.put_bytes("books", "a", LONG)
    orphan = store.objects.path("ab" + "0" * 62)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"renamed, but its row was never written")
    unfinished = orphan.parent.parent / "incoming" / "0123"
    unfinished.write_bytes(b"half")
    newest = max(path.stat().st_mtime for path in files(store))
    clock.move(timedelta(seconds=newest - clock.now().timestamp()) + LEFTOVER_AGE / 2)
    assert buckets.sweep_leftovers() == 0

    clock.move(LEFTOVER_AGE)
    assert buckets.sweep_leftovers() == 2
    clock.move(2 * GRACE)
    buckets.sweep()

    assert files(store) == [buckets.path_of("books", "a")]


def test_everything_that_is_due_goes_in_one_sweep_of_many_short_transactions(
    buckets: Buckets, store: Store, clock: MovableClock
) -> None:
    due = 3 * BATCH + 7
    for number in range(due):
        buckets.put_bytes("books", str(number), b"%d" % number)
        buckets.remove("books", str(number))
    buckets.put_bytes("books", "kept", LONG)
    clock.move(2 * GRACE)
    assert buckets.sweep() == (BATCH, True)  # one transaction holds the lock for no more than this

    assert asyncio.run(sweep_all(buckets)) == due - BATCH
    assert buckets.sweep() == (0, False)
    assert files(store) == [buckets.path_of("books", "kept")]


def test_parts_of_an_aborted_upload_go_all_at_once(buckets: Buckets, store: Store, clock: MovableClock) -> None:
    upload = buckets.uploads.begin(HERE, details=Details())
    for number in range(1, 131):
        put_part(buckets, upload.id, number, LONG + b"%d" % number)
    assert len(files(store)) == 130
    buckets.uploads.abort(HERE, upload.id)
    clock.move(2 * GRACE)

    assert asyncio.run(sweep_all(buckets)) == 130
    assert files(store) == []


def test_a_sweep_of_contents_that_are_all_wanted_again_ends(buckets: Buckets, clock: MovableClock) -> None:
    for number in range(BATCH + 5):
        buckets.put_bytes("books", str(number), b"%d" % number)
        buckets.copy(Place("books", str(number)), Place("books", f"copy {number}"))
        buckets.remove("books", str(number))
    clock.move(2 * GRACE)

    assert asyncio.run(sweep_all(buckets)) == 0
    assert buckets.read_bytes("books", "copy 104") == b"104"
