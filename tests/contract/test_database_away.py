"""A PostgreSQL server that restarts while everything runs: nothing acknowledged is lost, and all goes on by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sql
from botocore.exceptions import ClientError

from outcrop.clock import SystemClock
from outcrop.errors import MachineTrouble, Unavailable
from outcrop.jobs.jobs import Jobs
from outcrop.jobs.leases import Leases
from outcrop.settings import Settings
from outcrop.store import postgresql
from outcrop.store.database import reading, writing
from outcrop.store.postgresql import DatabaseBusy
from outcrop.store.store import Store
from outcrop.store.watch import ChangeWatch
from tests.support.leasing import add_jobs
from tests.support.patience import eventually
from tests.support.postgres import PostgresServer
from tests.support.servers import running_server
from tests.support.toy_house import ToyHouse, light_worker
from tests.support.toy_jobs import LIGHT, State


@contextmanager
def away(server: PostgresServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


def refusal(ask: object) -> tuple[str, int]:
    assert callable(ask)
    with pytest.raises(ClientError) as refused:
        ask()
    return refused.value.response["Error"]["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_server_says_so_in_each_protocol_and_recovers(
    in_postgresql: Settings, postgres_server: PostgresServer
) -> None:
    with running_server(in_postgresql.home, database_url=in_postgresql.database_url) as running:
        s3, bedrock, iam = (running.client(service) for service in ("s3", "bedrock", "iam"))
        s3.create_bucket(Bucket="books")
        s3.put_object(Bucket="books", Key="kept", Body=b"acknowledged")
        iam.create_user(UserName="ada")
        with away(postgres_server):
            assert refusal(lambda: s3.get_object(Bucket="books", Key="kept")) == ("ServiceUnavailable", 503)
            assert refusal(lambda: s3.put_object(Bucket="books", Key="lost", Body=b"")) == ("ServiceUnavailable", 503)
            assert refusal(bedrock.list_custom_models) == ("ServiceUnavailableException", 503)
            assert refusal(lambda: iam.create_user(UserName="bea")) == ("ServiceUnavailable", 503)
        # The very next request of each kind, by connections that are all dead
        assert s3.get_object(Bucket="books", Key="kept")["Body"].read() == b"acknowledged"
        assert bedrock.list_custom_models()["modelSummaries"] == []
        assert [user["UserName"] for user in iam.list_users()["Users"]] == ["ada", "admin"]
        assert [each["Key"] for each in s3.list_objects_v2(Bucket="books")["Contents"]] == ["kept"]
        running.write()
        told = running.client("cloudtrail").lookup_events()["Events"]
        assert {"CreateBucket", "CreateUser"} <= {event["EventName"] for event in told}


def test_a_worker_goes_on_with_its_job(in_postgresql: Settings, postgres_server: PostgresServer) -> None:
    store = Store.open(in_postgresql)
    house = ToyHouse(settings=in_postgresql, store=store, clock=SystemClock(), jobs=Jobs(store, SystemClock(), [LIGHT]))
    arn = house.add("nap", naps=1000, seconds=0.02)
    with light_worker(house, [LIGHT]):
        eventually(lambda: house.get(arn).document.get("napped", 0) > 2)
        with away(postgres_server):
            pass
        before = house.get(arn).document["napped"]
        eventually(lambda: house.get(arn).document["napped"] > before)
        assert house.get(arn).status == State.NAPPING
        house.jobs.request_stop(arn)
        eventually(lambda: house.get(arn).status == State.STOPPED)
    store.close()


def test_every_way_to_the_records_works_again_at_once(in_postgresql: Settings, postgres_server: PostgresServer) -> None:
    store = Store.open(in_postgresql)
    (arn,) = add_jobs(in_postgresql, 1)
    leases, watch = Leases(store, [LIGHT]), ChangeWatch(store.engine)
    assert store.resources.get(arn) is not None
    with watch.news() as something:
        assert something
    with away(postgres_server):
        for ask in (store.resources.get, store.resources.all, store.tags.clear):
            with pytest.raises(Unavailable):
                ask(arn)
    with watch.news():
        pass
    assert store.resources.get(arn) is not None
    assert leases.take("w", now=datetime.now(UTC)) is not None
    store.close()


def test_a_writer_waits_for_the_lock_no_longer_than_it_may(
    in_postgresql: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_OPTIONS", "-c lock_timeout=50ms")
    one, other = Store.open(in_postgresql), Store.open(in_postgresql)
    with (
        writing(one.engine),
        pytest.raises(DatabaseBusy, match="did not finish a statement in time"),
        writing(other.engine),  # another engine: to `writing` another database, so nothing joins
    ):
        raise AssertionError("two writers at once")
    for store in (one, other):
        store.close()


def test_the_server_notices_within_half_a_minute_that_a_machine_is_gone(in_postgresql: Settings) -> None:
    """It would keep the lock of a leader without power for as long as its system asks nobody, which is two hours."""
    store = Store.open(in_postgresql)
    with reading(store.engine) as connection:
        # `SHOW` says 0 on a Unix socket, where nothing is to be noticed.
        asked = sql.text("SELECT name, reset_val FROM pg_settings WHERE name LIKE 'tcp_keepalives_%'")
        found = {name: int(value) for name, value in connection.execute(asked)}
    idle, interval, count = (found[f"tcp_keepalives_{each}"] for each in ("idle", "interval", "count"))
    assert idle > 0
    assert idle + interval * count <= 30
    store.close()


def test_who_only_reads_may_not_write(in_postgresql: Settings) -> None:
    store = Store.open(in_postgresql)
    with reading(store.engine) as connection, pytest.raises(sql.exc.DBAPIError, match="read-only transaction"):
        connection.execute(sql.text("DELETE FROM resources"))
    store.close()


def test_a_reader_sees_one_moment(in_postgresql: Settings) -> None:
    store, other = Store.open(in_postgresql), Store.open(in_postgresql)
    with reading(store.engine) as connection:
        count = sql.text("SELECT count(*) FROM tags")
        before = connection.execute(count).scalar()
        other.tags.put("arn:of-anything", {"k": "v"})
        assert connection.execute(count).scalar() == before
    for each in (store, other):
        each.close()


def test_a_home_in_postgresql_begins_no_other_database(in_postgresql: Settings) -> None:
    Store.open(in_postgresql).close()
    with pytest.raises(MachineTrouble, match=r"its records are in postgresql.*Set OUTCROP_DATABASE_URL"):
        Store.open(Settings(home=in_postgresql.home))
    assert not (in_postgresql.home / "outcrop.db").exists()
    Store.open(in_postgresql).close()


def test_the_password_is_never_told(in_postgresql: Settings) -> None:
    url = "postgresql://somebody:hunter2@127.0.0.1:9/records"
    with pytest.raises(MachineTrouble) as refused:
        Store.open(Settings(home=in_postgresql.home, database_url=url))
    assert "hunter2" not in str(refused.value)
    assert "somebody:***@127.0.0.1:9/records" in str(refused.value)
    assert "hunter2" not in repr(Settings(home=in_postgresql.home, database_url=url))
