"""Buckets that seal everything, and a new root key under what they hold."""

import json
from pathlib import Path

import pytest

from outcrop import settings as settings_of
from outcrop.buckets.buckets import Buckets
from outcrop.buckets.encryption import SSE_S3
from outcrop.buckets.names import Place
from outcrop.cli.keys import change_root
from outcrop.cli.supervisor import Supervisor
from outcrop.clock import MovableClock
from outcrop.errors import MachineTrouble, ServiceRefusal
from outcrop.house import House
from outcrop.settings import Settings
from tests.support.buckets_room import LONG, put

HERE = Place("books", "a")


def test_everything_is_sealed_where_all_is_to_be_and_outlives_a_new_root_key(tmp_path: Path) -> None:
    settings, clock = Settings(home=tmp_path / "home", seal=True), MovableClock()
    with House.open(settings, clock) as house:
        house.buckets.create("books", "us-east-1")
        for key, content in (("a", LONG), ("b", b"little"), ("c", b"")):
            house.buckets.put_bytes("books", key, content)
        copied = house.buckets.copy(HERE, Place("books", "d"))
        assert copied.details.encryption == SSE_S3
        assert copied.digest != house.buckets.find(*HERE).digest
        (tmp_path / "file").write_bytes(LONG)
        house.buckets.put_file("books", "e", tmp_path / "file")
        assert house.buckets.encryption_for("books") == SSE_S3
    change_root(settings, {})
    with House.open(settings, clock) as house:
        for key, content in (("a", LONG), ("b", b"little"), ("c", b""), ("d", LONG), ("e", LONG)):
            record = house.buckets.find("books", key)
            assert (record.details.encryption, house.buckets.read_bytes("books", key)) == (SSE_S3, content)
            with house.buckets.open(record) as file:
                assert (file.read(5), file.seek(0, 2), file.read(), file.seek(3), file.read()) == (
                    content[:5], len(content), b"", 3, content[3:],
                )  # fmt: skip
    # What was sealed stays so when nothing is to be any more, and says so.
    with House.open(Settings(home=tmp_path / "home"), clock) as house:
        assert house.buckets.encryption_for("books") is None
        assert house.buckets.read_bytes("books", "a") == LONG


def test_equal_contents_under_seal_share_neither_name_nor_bytes(tmp_path: Path) -> None:
    with House.open(Settings(home=tmp_path / "home", seal=True), MovableClock()) as house:
        house.buckets.create("books", "us-east-1")
        for content in (b"same", LONG):
            one, other = (house.buckets.put_bytes("books", key, content) for key in "ab")
            assert one.digest != other.digest
        kept = list(house.store.objects.kept())
        assert len({path.read_bytes()[-1000:] for path in kept}) == len(kept) == 2


def test_the_settings_reach_server_and_workers_but_not_the_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = settings_of.read({"OUTCROP_HOME": str(tmp_path), "OUTCROP_SEAL": "1", "OUTCROP_ROOT_KEY": "ab" * 32})
    assert (read.seal, read.root_key) == (True, "ab" * 32)
    supervisor = Supervisor(read)
    given = {name: vars(supervisor._child(name))["_environment"] for name in ("server", "worker", "console")}
    assert {name: each.get("OUTCROP_ROOT_KEY") for name, each in given.items()} == {
        "server": "ab" * 32, "worker": "ab" * 32, "console": None,
    }  # fmt: skip
    assert {each["OUTCROP_SEAL"] for each in given.values()} == {"1"}


def test_a_mounted_bucket_takes_no_encryption_of_ours(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with House.open(Settings(home=tmp_path / "home", seal=True), MovableClock()) as house:
        house.buckets.mount("books", f"file://{tmp_path / 'there'}")
        house.buckets.put_bytes("books", "a", b"plain")
        assert (tmp_path / "there" / "a").read_bytes() == b"plain"
        with pytest.raises(ServiceRefusal, match="Encryption in a mounted bucket"):
            house.buckets.put_bytes("books", "a", b"", encryption=SSE_S3)


def test_a_sealed_object_in_buckets_without_keys_is_told(tmp_path: Path) -> None:
    with House.open(Settings(home=tmp_path / "home"), MovableClock()) as house:
        house.buckets.create("books", "us-east-1")
        house.buckets.put_bytes("books", "a", b"x", encryption=SSE_S3)
        alone = Buckets(house.store, house.clock)
        with pytest.raises(MachineTrouble, match="without keys"):
            alone.read_bytes("books", "a")
        assert json.dumps(alone.find("books", "a").details.columns())
        assert put(alone, b"plain").details.encryption is None
