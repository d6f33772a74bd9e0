"""Laws of the audit: whatever is recorded comes back, and no single change of what is kept goes unseen."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.audit.audit import Audit
from outcrop.audit.entry import Entry, canonical, entry_of, keepable, rest
from outcrop.audit.records import AuditRecords
from outcrop.clock import MovableClock
from outcrop.settings import Settings
from outcrop.store.database import writing
from outcrop.store.store import Store

texts = st.text(max_size=20).map(keepable)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
entries = st.builds(
    Entry,
    at=moments,
    **dict.fromkeys(
        ("service", "operation", "region", "user_id", "key_id", "session", "source_ip", "user_agent", "request_id"),
        texts,
    ),
    caller=texts.map(lambda text: f"arn:{text}"),
    resources=st.lists(texts, max_size=3).map(tuple),
    status=st.integers(0, 599),
    code=texts,
    read_only=st.booleans(),
    data=st.booleans(),
    times=st.integers(1, 10**9),
)
CHANGES = {
    "caller": "caller || 'x'",
    "at": "at + 1",
    "operation": "operation || ' '",
    "rest": "replace(rest, '\"status\":', '\"status\":1')",
    "digest": "randomblob(32)",
}


class Undone(Exception):
    """Leaves the store empty for the next example."""


@given(entry=entries)
def test_an_entry_comes_back_from_its_columns_and_its_text(entry: Entry) -> None:
    columns = {name: getattr(entry, name) for name in ("at", "service", "operation", "caller", "request_id")}
    again = entry_of(columns, rest(entry))
    assert again == entry
    assert canonical(again) == canonical(entry)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path_factory.mktemp("home")))
    yield opened
    opened.close()


@settings(max_examples=20)
@given(
    recorded=st.lists(entries, min_size=1, max_size=8),
    batch=st.integers(1, 8),
    place=st.integers(0, 7),
    column=st.sampled_from([*CHANGES, ""]),
    kept_from=st.integers(0, 7),
)
def test_a_chain_holds_until_any_one_entry_of_it_is_touched(
    store: Store, recorded: list[Entry], batch: int, place: int, column: str, kept_from: int
) -> None:
    audit, records = Audit(store, MovableClock()), AuditRecords(store.engine)
    with suppress(Undone), writing(store.engine) as connection:
        for begin in range(0, len(recorded), batch):
            for entry in recorded[begin : begin + batch]:
                audit.record(entry)
            audit.flush()
        removed = min(kept_from, len(recorded) - 1)
        records.remove_through(removed)
        verified = audit.verify()
        assert (verified.entries, verified.broken) == (len(recorded) - removed, None)
        number = removed + 1 + place % (len(recorded) - removed)
        change = f"UPDATE audit_entries SET {column} = {CHANGES[column]}" if column else "DELETE FROM audit_entries"
        connection.exec_driver_sql(f"{change} WHERE number = {number}")
        cut_off = not column and number == len(recorded)  # at the end: seen by who noted the last place
        assert cut_off or audit.verify().broken is not None
        raise Undone
