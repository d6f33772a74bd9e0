"""Changes that wait together: one commit, each with its own answer."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sql
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from outcrop.buckets.checksums import Algorithm, Checksum, joined, of_blocks
from outcrop.buckets.grouping import Grouping
from outcrop.errors import Invalid
from outcrop.settings import Settings
from outcrop.store.database import reading, writing
from outcrop.store.store import Store
from tests.support.patience import PATIENCE_S

CREATE = sql.text("create table notes (text varchar primary key)")
INSERT = sql.text("insert into notes values (:text)")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    with writing(opened.engine) as connection:
        connection.execute(CREATE)
    yield opened
    opened.close()


def noted(store: Store) -> list[str]:
    with reading(store.engine) as connection:
        return sorted(connection.execute(sql.text("select text from notes")).scalars())


class Held:
    """Changes of which the one named "first" waits within its transaction until it is let go."""

    def __init__(self) -> None:
        self.first_is_in, self.others_wait = threading.Event(), threading.Event()

    def note(self, text: str) -> Callable[[Connection], str]:
        def change(connection: Connection) -> str:
            if text == "first":
                self.first_is_in.set()
                assert self.others_wait.wait(PATIENCE_S)
            if text == "refused":
                raise Invalid("refused")
            connection.execute(INSERT, {"text": text})
            return text

        return change


def test_changes_that_wait_share_a_commit_and_keep_their_own_refusals(store: Store) -> None:
    grouping, commits = Grouping(store.engine), []
    sql.event.listen(store.engine, "commit", lambda _: commits.append(1))
    held = Held()

    def note(text: str) -> str:
        try:
            return grouping.make(held.note(text))
        except Invalid as error:
            return error.message.upper()
        except sql.exc.IntegrityError:
            return "TWICE"

    with ThreadPoolExecutor(5) as threads:
        first = threads.submit(note, "first")
        assert held.first_is_in.wait(PATIENCE_S)
        others = [threads.submit(note, text) for text in ("a", "refused", "b")]
        while len(grouping._queue) < 3:
            threading.Event().wait(0.005)
        held.others_wait.set()
        assert [each.result() for each in (first, *others)] == ["first", "a", "REFUSED", "b"]
    assert len(commits) == 2
    assert note("a") == "TWICE"
    assert noted(store) == ["a", "b", "first"]


def test_one_change_that_breaks_the_transaction_breaks_no_other(store: Store) -> None:
    grouping = Grouping(store.engine)

    def note(text: str) -> str:
        try:
            grouping.make(lambda connection: connection.execute(INSERT, {"text": text}))
        except sql.exc.IntegrityError:
            return "twice"
        return "noted"

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(note, ["a", "b", "a", "c", "a", "d"]))

    assert sorted(answers) == ["noted"] * 4 + ["twice"] * 2
    assert noted(store) == ["a", "b", "c", "d"]


def test_tasks_share_a_commit_with_each_other_and_keep_their_own_refusals(store: Store) -> None:
    grouping, commits = Grouping(store.engine), []
    sql.event.listen(store.engine, "commit", lambda _: commits.append(1))
    held = Held()

    async def all_of_them() -> list[str | BaseException]:
        first = asyncio.create_task(grouping.made(held.note("first")))
        assert await asyncio.to_thread(held.first_is_in.wait, 30)
        others = [asyncio.create_task(grouping.made(held.note(text))) for text in ("a", "refused", "left", "b")]
        while len(grouping._queue) < 4:
            await asyncio.sleep(0.005)
        others[2].cancel()
        held.others_wait.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, a, refused, left, b = asyncio.run(all_of_them())

    assert (first, a, b) == ("first", "a", "b")
    assert isinstance(refused, Invalid)
    assert isinstance(left, asyncio.CancelledError)
    assert len(commits) == 2
    assert noted(store) == ["a", "b", "first", "left"]  # whoever left had asked for it


def test_tasks_and_threads_wait_side_by_side(store: Store) -> None:
    grouping = Grouping(store.engine)

    def note(text: str) -> Callable[[Connection], object]:
        return lambda connection: connection.execute(INSERT, {"text": text})

    async def all_of_them() -> None:
        by_tasks = [grouping.made(note(f"task {number}")) for number in range(100)]
        by_threads = [asyncio.to_thread(grouping.make, note(f"thread {number}")) for number in range(100)]
        await asyncio.gather(*by_tasks, *by_threads)

    asyncio.run(all_of_them())

    assert noted(store) == sorted(f"{who} {number}" for who in ("task", "thread") for number in range(100))


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_the_checksum_of_the_whole_is_joined_from_those_of_the_parts(parts: list[bytes]) -> None:
    for algorithm in (Algorithm.CRC32, Algorithm.CRC32C, Algorithm.CRC64NVME):
        taken = [(of_blocks(algorithm, [part]).value, len(part)) for part in parts]
        whole: Checksum = of_blocks(algorithm, parts)
        assert joined(algorithm, taken) == whole
