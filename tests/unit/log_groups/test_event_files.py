"""Files of events: a batch is there as a whole or not at all, whoever writes beside it and whenever it is killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.clock import MovableClock
from outcrop.errors import Invalid, NotFound, ServiceRefusal
from outcrop.keys.envelopes import WrappedKey
from outcrop.log_groups import event_files
from outcrop.log_groups.event_files import LogFiles
from outcrop.log_groups.events import LARGEST_EVENT_BYTES, EventPlace, LogEvent, ReadSpan
from outcrop.log_groups.log_groups import LogGroups
from outcrop.log_groups.reading import StreamFile, in_order
from outcrop.settings import Settings
from outcrop.store.database import DiskFull, microseconds
from outcrop.store.store import Store
from tests.support.patience import PATIENCE_S

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NOON_US = microseconds(NOON)
REGION = "us-east-1"
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from outcrop.log_groups.event_files import LogFiles
from outcrop.log_groups.events import LogEvent

files, number = LogFiles(Path(sys.argv[1])), 0
while True:
    batch = [LogEvent(at=datetime.now(UTC), message=f"{number} {place} " + "x" * 500) for place in range(200)]
    files.append(batch, now_us=0)
    print(number, flush=True)
    number += 1
"""


def event(message: str, seconds: float = 0) -> LogEvent:
    return LogEvent(at=NOON + timedelta(seconds=seconds), message=message)


def nothing_sealed(_wrapped: WrappedKey) -> bytes:
    raise AssertionError("nothing here is sealed")


def read(files: LogFiles, **span: object) -> list[str]:
    found = [StreamFile(1, "s", file, nothing_sealed) for file in files.files()]
    return [each.message for each in in_order(found, ReadSpan(**span))]  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path) -> LogFiles:
    return LogFiles(tmp_path / "stream")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOON)


@pytest.fixture
def groups(tmp_path: Path, clock: MovableClock) -> Iterator[LogGroups]:
    store = Store.open(Settings(home=tmp_path / "home"))
    yield LogGroups(store, clock, tmp_path / "home" / "log-events")
    store.close()


@pytest.mark.parametrize("cut", [1, 30, 60, 70, 90])
def test_a_torn_block_is_no_event_and_the_next_writer_cuts_it_off(tmp_path: Path, files: LogFiles, cut: int) -> None:
    files.append([event("one")], now_us=NOON_US)
    (path,) = (tmp_path / "stream").glob("*.log")
    whole = path.stat().st_size
    files.append([event("two of some length, so that there is a payload to cut")], now_us=NOON_US)
    assert whole + cut < path.stat().st_size
    os.truncate(path, whole + cut)
    again = LogFiles(tmp_path / "stream")
    assert read(again) == read(files) == ["one"]
    again.append([event("three", 1)], now_us=NOON_US)
    assert read(again) == read(files) == ["one", "three"]
    files.append([event("four", 2)], now_us=NOON_US)
    assert read(again) == read(files) == ["one", "three", "four"]
    assert files.next_number() == 3


def test_a_block_whose_bytes_were_changed_is_no_event(tmp_path: Path, files: LogFiles) -> None:
    files.append([event("one")], now_us=NOON_US)
    files.append([event("two", 1)], now_us=NOON_US)
    (path,) = (tmp_path / "stream").glob("*.log")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"two", b"owt"))
    assert read(LogFiles(tmp_path / "stream")) == ["one"]


def test_a_full_file_is_sealed_and_its_seal_tells_what_it_holds(
    tmp_path: Path, files: LogFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_files, "FILE_BYTES", 200)
    for number in range(9):
        files.append([event(str(number), number)], now_us=NOON_US + number)
    names = sorted(path.name for path in (tmp_path / "stream").glob("*.log"))
    assert names == [f"{number:020}.log" for number in (0, 3, 6)]
    for one in (files, LogFiles(tmp_path / "stream")):
        extent = one.extent()
        assert (extent.num_events, extent.num_bytes) == (9, 9 * 27)
        assert (extent.first_us, extent.last_us) == (NOON_US, NOON_US + 8_000_000)
        assert (extent.ingested_us, one.next_number()) == (NOON_US + 8, 9)
        assert read(one) == list("012345678")
        assert read(one, descending=True) == list("876543210")


def test_a_new_day_begins_a_new_file(tmp_path: Path, files: LogFiles) -> None:
    for days in (0, 0, 1):
        files.append([event("x")], now_us=NOON_US + days * 86_400_000_000)
    assert len(list((tmp_path / "stream").glob("*.log"))) == 2


def test_a_seal_that_was_torn_is_written_again(
    tmp_path: Path, files: LogFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_files, "FILE_BYTES", 1)
    files.append([event("one")], now_us=NOON_US)
    files.append([event("two", 1)], now_us=NOON_US)
    first, second = sorted((tmp_path / "stream").glob("*.log"))
    second.unlink()
    os.truncate(first, first.stat().st_size - 5)
    again = LogFiles(tmp_path / "stream")
    assert read(again) == ["one"]
    again.append([event("three", 2)], now_us=NOON_US)
    assert read(again) == ["one", "three"]


def test_a_file_that_was_sealed_before_its_successor_was_begun_gets_one(tmp_path: Path, files: LogFiles) -> None:
    files.append([event("one")], now_us=NOON_US)
    files.append([event("two", 1)], now_us=NOON_US + 86_400_000_000)
    _, second = sorted((tmp_path / "stream").glob("*.log"))
    second.unlink()
    again = LogFiles(tmp_path / "stream")
    again.append([event("three", 2)], now_us=NOON_US)
    assert (read(again), again.next_number()) == (["one", "three"], 2)


def test_writers_that_take_turns_read_only_what_the_other_has_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_files, "FILE_BYTES", 600)
    one, other = LogFiles(tmp_path / "stream"), LogFiles(tmp_path / "stream")
    for number in range(0, 40, 2):
        one.append([event(str(number), number)], now_us=NOON_US)
        other.append([event(str(number + 1), number + 1)], now_us=NOON_US)
        assert one.next_number() == other.next_number() == number + 2
    assert read(one) == read(other) == [str(number) for number in range(40)]
    assert one.extent() == other.extent() == LogFiles(tmp_path / "stream").extent()


def write_many(folder: Path, name: str) -> None:
    files = LogFiles(folder)
    for number in range(100):
        files.append([event(f"{name} {number} {place}", number) for place in range(5)], now_us=NOON_US + number)


def test_two_writers_at_once_lose_nothing_and_tear_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_files, "FILE_BYTES", 20_000)
    forking = multiprocessing.get_context("fork")
    writers = [forking.Process(target=write_many, args=(tmp_path / "stream", name)) for name in "ab"]
    for writer in writers:
        writer.start()
    write_many(tmp_path / "stream", "c")
    for writer in writers:
        writer.join(PATIENCE_S)
    files = LogFiles(tmp_path / "stream")
    found = list(in_order([StreamFile(1, "s", file, nothing_sealed) for file in files.files()], ReadSpan()))
    assert sorted(each.number for each in found) == list(range(1500))
    assert len({each.id for each in found}) == 1500
    for name in "abc":
        mine = [each.message for each in found if each.message.startswith(name)]
        assert mine == [f"{name} {number} {place}" for number in range(100) for place in range(5)]


def test_a_writer_killed_in_the_middle_leaves_whole_batches_and_each_that_it_told_of(tmp_path: Path) -> None:
    for _ in range(3):
        folder = tmp_path / "stream"
        command = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            told = [int(writer.stdout.readline()) for _ in range(20)]
            writer.send_signal(signal.SIGKILL)
            told += [int(line) for line in writer.stdout]
        found = [message.split()[:2] for message in read(LogFiles(folder))]
        whole = len(found) // 200
        assert found == [[str(number), str(place)] for number in range(whole) for place in range(200)]
        assert whole > told[-1]
        for path in folder.iterdir():
            path.unlink()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, files: LogFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    files.append([event("one")], now_us=NOON_US)
    write = os.write

    def half(descriptor: int, data: memoryview) -> int:
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        with pytest.raises(DiskFull, match="no event of the batch was stored"):
            files.append([event("two", 1)] * 100, now_us=NOON_US)
    files.append([event("three", 2)], now_us=NOON_US)
    assert read(files) == ["one", "three"]
    assert len(list((tmp_path / "stream").glob("*.log"))) == 1


def test_an_event_that_is_too_large_or_no_text_keeps_its_batch_out(files: LogFiles) -> None:
    with pytest.raises(Invalid, match="Log event too large: 1048577 bytes exceed 1048576"):
        files.append([event("small"), event("x" * (LARGEST_EVENT_BYTES + 1))], now_us=NOON_US)
    with pytest.raises(Invalid, match="half a surrogate pair"):
        files.append([event("\ud800")], now_us=NOON_US)
    assert read(files) == []


def test_numbers_go_on_when_the_last_file_is_removed(files: LogFiles) -> None:
    files.append([event("one"), event("two")], now_us=NOON_US)
    assert files.remove_before(NOON_US) == 0
    assert files.remove_before(NOON_US + 1) == 2
    assert (read(files), files.next_number()) == ([], 2)
    files.append([event("three")], now_us=NOON_US)
    assert (read(files), files.next_number()) == (["three"], 3)


batches = st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=6), min_size=1, max_size=12)


@given(batches=batches, since=st.integers(0, 21), until=st.integers(0, 22), page=st.integers(1, 7))
def test_pages_from_either_end_are_the_sorted_events(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], since: int, until: int, page: int
) -> None:
    files = LogFiles(tmp_path_factory.mktemp("pages") / "stream")
    with pytest.MonkeyPatch.context() as small:
        small.setattr(event_files, "FILE_BYTES", 300)
        for number, seconds in enumerate(batches):
            files.append([event(f"{each} {number}", each) for each in seconds], now_us=NOON_US + number)
    flat = [(each, number) for number, seconds in enumerate(batches) for each in sorted(seconds)]
    wanted = [f"{each} {number}" for each, number in sorted(flat) if since <= each < until]
    for descending in (False, True):
        found: list[str] = []
        after: EventPlace | None = None
        while True:
            span = ReadSpan(
                since_us=NOON_US + since * 1_000_000,
                until_us=NOON_US + until * 1_000_000,
                after=after,
                descending=descending,
            )
            events = in_order([StreamFile(1, "s", file, nothing_sealed) for file in files.files()], span)
            some = [each for each, _ in zip(events, range(page), strict=False)]
            if not some:
                break
            after = some[-1].place
            found += [each.message for each in some]
        assert found == (wanted[::-1] if descending else wanted)


def test_a_stream_that_is_deleted_while_it_is_written_leaves_nothing_for_long(
    groups: LogGroups, tmp_path: Path
) -> None:
    groups.create("g", region=REGION)
    groups.put("g", "s", [event("x")], region=REGION)
    group, stream = groups.required_stream("g", "s", region=REGION)
    groups.delete_stream("g", "s", region=REGION)
    groups.append(group, stream, [event("late")])
    folder = tmp_path / "home" / "log-events" / stream.folder
    os.utime(folder, (0, 0))
    assert (groups.sweep(), folder.exists()) == (0, False)


def test_a_stream_of_the_same_name_begins_empty(groups: LogGroups, clock: MovableClock) -> None:
    groups.create("g", region=REGION)
    groups.put("g", "s", [event("x")], region=REGION)
    groups.delete_stream("g", "s", region=REGION)
    clock.move(timedelta(seconds=1))
    assert groups.create_stream("g", "s", region=REGION)
    assert not groups.create_stream("g", "s", region=REGION)
    assert list(groups.events("g", region=REGION)) == []


def test_what_is_not_there_is_refused(groups: LogGroups) -> None:
    with pytest.raises(NotFound, match="The specified log group does not exist"):
        groups.create_stream("g", "s", region=REGION)
    groups.create("g", region=REGION)
    with pytest.raises(ServiceRefusal, match="The specified log stream does not exist"):
        groups.delete_stream("g", "s", region=REGION)
    for name in ("", "a b", "x" * 513):
        with pytest.raises(Invalid, match="is no name of a log group"):
            groups.create(name, region=REGION)
    for name in ("", "a:b", "a*"):
        with pytest.raises(Invalid, match="is no name of a stream"):
            groups.create_stream("g", name, region=REGION)
