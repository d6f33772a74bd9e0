"""The laws of encryption under a KMS key, whatever is encrypted, and whatever happens to the key in between."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outcrop.clock import MovableClock
from outcrop.errors import ServiceRefusal
from outcrop.house import House
from outcrop.keys import ciphertext
from outcrop.keys.ciphertext import BlobHead, encoded_context
from outcrop.keys.key import KmsKey
from outcrop.keys.root_key import KEY_BYTES, Sealer
from outcrop.keys.specs import SPECS, KeyUsage
from outcrop.settings import Settings

HEAD, MATERIAL = BlobHead("12345678-1234-4234-8234-123456789012", "ab" * 32), b"m" * 32
TEXTS = st.text(min_size=1, max_size=12)
CONTEXTS = st.dictionaries(TEXTS, st.text(max_size=12), max_size=4)
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def encrypted(plaintext: bytes, context: dict[str, str]) -> bytes:
    return ciphertext.encrypt(plaintext, head=HEAD, material=MATERIAL, context=context)


@given(plaintext=st.binary(max_size=200), context=CONTEXTS)
def test_a_blob_opens_with_its_context_in_any_order_and_names_its_key(
    plaintext: bytes, context: dict[str, str]
) -> None:
    blob = encrypted(plaintext, context)
    backwards = dict(reversed(context.items()))
    assert ciphertext.decrypt(blob, material=MATERIAL, context=backwards) == plaintext
    assert ciphertext.read_head(blob) == HEAD
    assert encrypted(plaintext, context) != blob


@given(context=CONTEXTS, other=CONTEXTS)
def test_a_blob_opens_with_no_other_context(context: dict[str, str], other: dict[str, str]) -> None:
    opened = ciphertext.decrypt(encrypted(b"secret", context), material=MATERIAL, context=other)
    assert (opened is not None) == (context == other) == (encoded_context(context) == encoded_context(other))


@given(data=st.data())
def test_a_blob_with_one_bit_changed_opens_never(data: st.DataObject) -> None:
    blob = encrypted(data.draw(st.binary(max_size=40)), {"a": "b"})
    place, bit = data.draw(st.integers(0, len(blob) - 1)), data.draw(st.integers(0, 7))
    broken = bytearray(blob)
    broken[place] ^= 1 << bit
    head = ciphertext.read_head(bytes(broken))
    assert head is None or ciphertext.decrypt(bytes(broken), material=MATERIAL, context={"a": "b"}) is None


@given(cut=st.integers(0, 200))
def test_a_blob_that_was_cut_short_opens_never(cut: int) -> None:
    blob = encrypted(b"secret" * 20, {})
    short = blob[: min(cut, len(blob) - 1)]
    assert ciphertext.read_head(short) is None or ciphertext.decrypt(short, material=MATERIAL, context={}) is None


@given(junk=st.binary(max_size=200))
def test_junk_is_no_blob_or_opens_never(junk: bytes) -> None:
    assert ciphertext.read_head(junk) is None or ciphertext.decrypt(junk, material=MATERIAL, context={}) is None


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, clock: MovableClock) -> Iterator[House]:
    home: Path = tmp_path_factory.mktemp("property") / "home"
    with House.open(Settings(home=home), clock) as opened:
        yield opened


@pytest.fixture(scope="module")
def key(house: House) -> KmsKey:
    spec = SPECS["SYMMETRIC_DEFAULT"]
    usage = KeyUsage.ENCRYPT_DECRYPT
    return house.keys.create(region="r", spec=spec, usage=usage, description="", policy="{}", tags={})


@SLOW
@given(steps=st.lists(st.sampled_from(["encrypt", "rotate", "rewrap"]), max_size=6), context=CONTEXTS)
def test_everything_opens_whatever_is_rotated_and_rewrapped_in_between(
    house: House, clock: MovableClock, key: KmsKey, steps: list[str], context: dict[str, str]
) -> None:
    keys, blobs = house.keys, list[tuple[bytes, bytes]]()
    for number, step in enumerate([*steps, "encrypt"]):
        if step == "rewrap":
            new = Sealer(number.to_bytes(KEY_BYTES, "big"))
            with house.store.transaction():
                keys.reseal(new)
            keys.sealer = new
        elif step == "rotate":
            keys.set_rotation(key.arn, 90)
            clock.move(timedelta(days=90))
        else:
            plaintext = f"secret {number}".encode()
            blobs.append((plaintext, keys.encrypt(keys.find(key.arn), plaintext, context=context)))
    for plaintext, blob in blobs:
        opened = keys.decrypt(keys.find(key.arn), blob, context=context)
        assert opened.plaintext == plaintext
        with pytest.raises(ServiceRefusal):
            keys.decrypt(keys.find(key.arn), blob, context={**context, "and more": "1"})
