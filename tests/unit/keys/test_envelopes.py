"""Data keys: wrapped by a key of KMS or by the installation's, and opened only while that key may be used."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.cli.keys import change_root
from outcrop.clock import MovableClock
from outcrop.errors import MachineTrouble, ServiceRefusal
from outcrop.house import House
from outcrop.keys.envelopes import DataKey, Envelopes, WrappedKey
from outcrop.keys.key import KmsKey
from outcrop.keys.specs import SPECS, KeyUsage
from outcrop.settings import Settings

CONTEXT = {"aws:s3:arn": "arn:aws:s3:::books/a"}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def house(tmp_path: Path, clock: MovableClock) -> Iterator[House]:
    with House.open(Settings(home=tmp_path / "home"), clock) as opened:
        yield opened


@pytest.fixture
def key(house: House) -> KmsKey:
    return house.keys.create(
        region="us-east-1", spec=SPECS["SYMMETRIC_DEFAULT"], usage=KeyUsage.ENCRYPT_DECRYPT, description="",
        policy="{}", tags={},
    )  # fmt: skip


def refused(house: House, wrapped: WrappedKey) -> str:
    with pytest.raises(ServiceRefusal) as refusal:
        Envelopes(house.keys).open(wrapped)
    return refusal.value.code


def test_a_data_key_is_out_of_reach_while_its_key_is(house: House, clock: MovableClock, key: KmsKey) -> None:
    envelopes = Envelopes(house.keys)
    made = envelopes.make(key.arn, CONTEXT)
    assert envelopes.open(made.wrapped) == made.plaintext
    house.keys.set_enabled(key.arn, enabled=False)
    assert refused(house, made.wrapped) == "DisabledException"
    with pytest.raises(ServiceRefusal, match="disabled"):
        envelopes.make(key.arn)
    house.keys.set_enabled(key.arn, enabled=True)
    assert envelopes.open(made.wrapped) == made.plaintext
    house.keys.schedule_deletion(key.arn, 7)
    assert refused(house, made.wrapped) == "KMSInvalidStateException"
    house.keys.cancel_deletion(key.arn)
    assert refused(house, made.wrapped) == "DisabledException"
    house.keys.set_enabled(key.arn, enabled=True)
    house.keys.rotate(key.arn)
    assert envelopes.open(made.wrapped) == made.plaintext
    house.keys.schedule_deletion(key.arn, 7)
    clock.move(timedelta(days=8))
    assert refused(house, made.wrapped) == "NotFoundException"


def test_a_data_key_opens_in_its_context_only(house: House, key: KmsKey) -> None:
    for arn in ("", key.arn):
        made = Envelopes(house.keys).make(arn, CONTEXT)
        with pytest.raises((ServiceRefusal, MachineTrouble)):
            Envelopes(house.keys).open(replace(made.wrapped, context={}))


def test_a_wrapped_key_comes_back_from_its_document(house: House, key: KmsKey) -> None:
    made = Envelopes(house.keys).make(key.arn, CONTEXT)
    assert WrappedKey.of(made.wrapped.document()) == made.wrapped
    assert made.plaintext.hex() not in repr(made)


def test_the_installations_key_is_no_key_of_kms_and_survives_a_new_root_key(tmp_path: Path) -> None:
    settings, clock = Settings(home=tmp_path / "home"), MovableClock()
    with House.open(settings, clock) as house:
        made: DataKey = Envelopes(house.keys).make()
        assert house.keys.page(region="us-east-1", most=10, token=None).items == []
    change_root(settings, {})
    with House.open(settings, clock) as house:
        assert Envelopes(house.keys).open(made.wrapped) == made.plaintext
    with House.open(Settings(home=tmp_path / "another"), clock) as another, pytest.raises(MachineTrouble):
        Envelopes(another.keys).open(made.wrapped)
