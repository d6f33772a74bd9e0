"""Credentials of remote models: sealed for one model and one address, shown nowhere."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.clock import MovableClock
from outcrop.errors import ModelFailed
from outcrop.invocation.remote.credentials import KIND, AwsKeys, BearerKey, RemoteCredentials, RemoteKey
from outcrop.keys.root_key import Sealer
from outcrop.settings import Settings
from outcrop.store.store import Store

SECRET = "a-very-secret-text"
KEYS: list[RemoteKey] = [
    BearerKey(SECRET),
    AwsKeys(access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key=SECRET, session_token=f"{SECRET}-token"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    yield opened
    opened.close()


def entry(url: str = "https://api.example.com/v1", model_id: str = "example.big-v1") -> BaseModel:
    remote = RemoteModel(api=RemoteApi.OPENAI, url=url, model="m")
    return BaseModel(id=model_id, context="", name="b", provider="e", context_length=0, remote=remote)


def credentials(store: Store, key: bytes = b"k" * 32) -> RemoteCredentials:
    return RemoteCredentials(store, Sealer(key), MovableClock())


def remote_of(base: BaseModel) -> RemoteModel:
    assert base.remote is not None
    return base.remote


@pytest.mark.parametrize("key", KEYS, ids=["bearer", "aws"])
def test_what_is_kept_comes_back_and_the_database_holds_no_secret(store: Store, key: RemoteKey, tmp_path: Path) -> None:
    kept = credentials(store)
    kept.keep("example.big-v1", remote_of(entry()), key)
    assert kept.of(entry()) == key
    assert SECRET not in repr(key)
    (row,) = store.resources.all(KIND)
    assert SECRET not in json.dumps(row.document)
    store.close()
    assert all(SECRET.encode() not in file.read_bytes() for file in tmp_path.glob("outcrop.db*"))


@pytest.mark.parametrize(
    "other",
    [
        entry("https://evil.example.com/v1"),
        entry("http://api.example.com/v1"),
        entry("https://api.example.com:444/v1"),
    ],
    ids=["host", "scheme", "port"],
)
def test_a_key_goes_to_no_other_address_than_the_one_it_was_given_for(store: Store, other: BaseModel) -> None:
    kept = credentials(store)
    kept.keep("example.big-v1", remote_of(entry()), BearerKey(SECRET))
    with pytest.raises(ModelFailed, match=r"were not given for .*, so nothing was sent"):
        kept.of(other)
    assert kept.of(entry("https://api.example.com/v2")) == BearerKey(SECRET)  # another path of the same server


def test_a_row_that_is_put_under_another_model_opens_nothing(store: Store) -> None:
    kept = credentials(store)
    kept.keep("example.big-v1", remote_of(entry()), BearerKey(SECRET))
    (row,) = store.resources.all(KIND)
    kept.keep("example.other-v1", remote_of(entry()), BearerKey("x"))
    other = store.resources.get(f"{KIND}/example.other-v1")
    assert other is not None
    store.resources.replace(other, at=MovableClock().now(), document=row.document)
    with pytest.raises(ModelFailed):
        kept.of(entry(model_id="example.other-v1"))


def test_another_service_key_opens_nothing(store: Store) -> None:
    credentials(store).keep("example.big-v1", remote_of(entry()), BearerKey(SECRET))
    with pytest.raises(ModelFailed):
        credentials(store, b"o" * 32).of(entry())


def test_registering_without_a_key_forgets_the_one_before(store: Store) -> None:
    kept = credentials(store)
    assert kept.of(entry()) is None
    kept.keep("example.big-v1", remote_of(entry()), BearerKey(SECRET))
    assert kept.has("example.big-v1")
    kept.keep("example.big-v1", remote_of(entry()), None)
    assert kept.of(entry()) is None
    assert store.resources.all(KIND) == []
