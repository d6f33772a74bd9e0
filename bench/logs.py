"""Log events in files beside log events in a table of the database: `make bench-logs`.

Lines of 100 letters, each batch on the disk before the next begins. Beside it another writer puts a small row into the
database every ten milliseconds, as requests do, and tells the longest that it had to wait.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import sqlalchemy as sql

from bench.measuring import Row, higher_is_better, interleaved, lower_is_better, report
from outcrop.clock import SystemClock
from outcrop.log_groups.events import LogEvent
from outcrop.log_groups.log_groups import LogGroups
from outcrop.settings import Settings
from outcrop.store.database import create_tables, microseconds, writing
from outcrop.store.store import Store

REGION, TIMES = "us-east-1", 5
BATCHES, LINES = 40, 5_000
Put = Callable[[Sequence[LogEvent]], object]

_schema = sql.MetaData()
_events = sql.Table(
    "bench_events",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("stream_id", sql.Integer, nullable=False),
    sql.Column("at", sql.BigInteger, nullable=False),
    sql.Column("message", sql.Text, nullable=False),
    sql.Index("bench_events_of_stream", "stream_id", "at", "id"),
)


def into_table(store: Store) -> Put:
    create_tables(store.engine, _schema)

    def put(events: Sequence[LogEvent]) -> None:
        rows = [{"stream_id": 1, "at": microseconds(each.at), "message": each.message} for each in events]
        with writing(store.engine) as connection:
            connection.execute(sql.insert(_events), rows)

    return put


def into_files(store: Store, home: Path) -> tuple[Put, LogGroups]:
    groups = LogGroups(store, SystemClock(), home / "log-events")
    groups.create("group", region=REGION)
    return (lambda events: groups.put("group", "stream", events, region=REGION)), groups


def batches() -> list[list[LogEvent]]:
    now = datetime.now(UTC)
    return [
        [
            LogEvent(at=now + timedelta(microseconds=batch * LINES + place), message=f"{place:8} " + "x" * 91)
            for place in range(LINES)
        ]
        for batch in range(BATCHES)
    ]


def write(put: Put) -> float:
    """Lines a second, of lines of now: time goes on from batch to batch."""
    given = batches()
    started = time.perf_counter()
    for batch in given:
        put(batch)
    return BATCHES * LINES / (time.perf_counter() - started)


def longest_wait(store: Store, put: Put) -> float:
    """Milliseconds that a writer beside had to wait at most."""
    ended, longest = threading.Event(), 0.0

    def beside() -> None:
        nonlocal longest
        while not ended.wait(0.01):
            started = time.perf_counter()
            store.tags.put("arn:bench", {"key": str(started)})
            longest = max(longest, time.perf_counter() - started)

    writer = threading.Thread(target=beside)
    writer.start()
    write(put)
    ended.set()
    writer.join()
    return 1000 * longest


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        store = Store.open(Settings(home=home))
        files, groups = into_files(store, home)
        table = into_table(store)
        speed = interleaved({"files": lambda: write(files), "table": lambda: write(table)}, times=TIMES)
        wait = interleaved(
            {"files": lambda: longest_wait(store, files), "table": lambda: longest_wait(store, table)},
            times=TIMES,
        )
        started = time.perf_counter()
        number = sum(1 for _ in islice(groups.events("group", region=REGION), BATCHES * LINES))
        read = number / (time.perf_counter() - started)
        store.close()
    rows: list[Row] = [
        higher_is_better("lines written a second", ours=speed["files"], peer=speed["table"], unit="1/s", goal=1.5),
        lower_is_better("longest wait of another writer", ours=wait["files"], peer=wait["table"], unit="ms", goal=1.5),
    ]
    report("logs", rows, [f"{read:,.0f} lines read back a second. Batches of {LINES:,} lines of 100 letters."])


if __name__ == "__main__":
    main()
