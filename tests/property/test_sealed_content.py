"""The laws of sealed contents: every stretch comes back, and no change of what lies on the disk goes unseen."""

import io
import os
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outcrop.keys import sealed_content
from outcrop.keys.envelopes import DataKey, WrappedKey
from outcrop.keys.sealed_content import CHUNK_BYTES, TAG_BYTES, SealBroken, SealedReader, SealedWriter, Sealing

KEY = bytes(range(32))
CONTEXT = {"aws:s3:arn": "arn:aws:s3:::books/a", "主": "値"}
WRAPPED = WrappedKey(key_arn="arn:aws:kms:us-east-1:123456789012:key/a", context=CONTEXT, blob=b"blob")
DATA_KEY = DataKey(plaintext=KEY, wrapped=WRAPPED)
SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES
EDGES = [
    0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES - 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1,
    3 * CHUNK_BYTES,
]  # fmt: skip
SIZES = st.one_of(st.sampled_from(EDGES), st.integers(0, 3 * CHUNK_BYTES + 7))
FEW = settings(max_examples=60, deadline=None)


def content_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def opened(sealed: bytes, key: bytes = KEY) -> SealedReader:
    return sealed_content.open_bytes(sealed, lambda _wrapped: key, name="it")


def head_bytes(sealed: bytes | bytearray) -> int:
    return len(
        sealed_content.read_head(lambda offset, length: bytes(sealed[offset : offset + length]), name="it").packed
    )


@FEW
@given(size=SIZES, cuts=st.lists(st.integers(0, 3 * CHUNK_BYTES), max_size=6))
def test_what_was_sealed_in_any_pieces_comes_back(size: int, cuts: list[int]) -> None:
    content = content_of(size)
    sealing, sealed = Sealing(DATA_KEY), io.BytesIO()
    sealed.write(sealing.head)
    places = [0, *sorted(min(cut, size) for cut in cuts), size]
    for begin, end in pairwise(places):
        sealed.write(sealing.update(memoryview(content)[begin:end]))
    sealed.write(sealing.finish())
    reader = opened(sealed.getvalue())
    assert (reader.size, b"".join(reader.blocks()), reader.wrapped) == (size, content, WRAPPED)
    assert len(sealed.getvalue()) == sealed_content.sealed_size(size, len(sealing.head))


@FEW
@given(size=SIZES, offset=st.integers(0, 4 * CHUNK_BYTES), length=st.integers(0, 4 * CHUNK_BYTES))
@example(size=2 * CHUNK_BYTES, offset=CHUNK_BYTES, length=CHUNK_BYTES)
@example(size=2 * CHUNK_BYTES, offset=CHUNK_BYTES - 1, length=2)
@example(size=0, offset=0, length=1)
def test_every_stretch_is_that_of_the_plaintext(size: int, offset: int, length: int) -> None:
    content = content_of(size)
    reader = opened(sealed_content.seal(content, DATA_KEY))
    assert reader.pread(offset, length) == content[offset : offset + length]
    room = bytearray(length)
    found = reader.pread_into(offset, memoryview(room))
    assert bytes(room[:found]) == content[offset : offset + length]


@FEW
@given(size=SIZES, data=st.data())
def test_one_bit_changed_anywhere_is_found(size: int, data: st.DataObject) -> None:
    sealed = bytearray(sealed_content.seal(content_of(size), DATA_KEY))
    place = data.draw(st.one_of(st.integers(0, len(sealed) - 1), st.integers(0, head_bytes(sealed) - 1)))
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBroken):
        list(opened(bytes(sealed)).blocks())


@FEW
@given(size=SIZES, data=st.data())
def test_what_was_cut_off_or_put_behind_is_found_before_a_byte_is_read(size: int, data: st.DataObject) -> None:
    sealed = sealed_content.seal(content_of(size), DATA_KEY)
    body = len(sealed) - head_bytes(sealed)
    at_a_chunk = st.integers(1, max(1, -(-body // SEALED_CHUNK))).map(lambda chunks: min(body, chunks * SEALED_CHUNK))
    cut = data.draw(st.one_of(st.integers(1, len(sealed)), at_a_chunk))
    with pytest.raises(SealBroken):
        opened(sealed[:-cut])
    added = data.draw(st.one_of(st.binary(min_size=1, max_size=40), st.just(sealed[-SEALED_CHUNK:])))
    with pytest.raises(SealBroken):
        opened(sealed + added)


@FEW
@given(data=st.data())
def test_no_chunk_takes_the_place_of_another(data: st.DataObject) -> None:
    ours, other = (sealed_content.seal(content_of(3 * CHUNK_BYTES), DATA_KEY) for _ in range(2))
    chunks = [ours[begin:][:SEALED_CHUNK] for begin in range(head_bytes(ours), len(ours), SEALED_CHUNK)]
    theirs = [other[begin:][:SEALED_CHUNK] for begin in range(head_bytes(other), len(other), SEALED_CHUNK)]
    changed = list(chunks)
    place = data.draw(st.integers(0, 2))
    changed[place] = data.draw(st.sampled_from([*[each for each in chunks if each != chunks[place]], *theirs]))
    with pytest.raises(SealBroken):
        list(opened(ours[: head_bytes(ours)] + b"".join(changed)).blocks())
    # Nor does the head of another content under the same data key open these chunks.
    with pytest.raises(SealBroken):
        opened(other[: head_bytes(other)] + b"".join(chunks))


@given(size=st.integers(0, 200), key=st.binary(min_size=32, max_size=32).filter(lambda key: key != KEY))
@settings(max_examples=20, deadline=None)
def test_no_other_data_key_opens_it(size: int, key: bytes) -> None:
    with pytest.raises(SealBroken):
        opened(sealed_content.seal(content_of(size), DATA_KEY), key)


def test_equal_contents_are_sealed_into_different_bytes() -> None:
    ours, other = (sealed_content.seal(b"a" * 1000, DATA_KEY) for _ in range(2))
    assert ours[head_bytes(ours) :] != other[head_bytes(other) :]


@given(content=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_what_was_never_sealed_is_told_for_what_it_is(content: bytes) -> None:
    with pytest.raises(SealBroken, match=r"it: .* Restore it from a backup"):
        opened(content)
    with pytest.raises(SealBroken, match=r"it: .* Restore it from a backup"):
        opened(b"outcrop\x01" + content)


@FEW
@given(size=SIZES, moves=st.lists(st.tuples(st.integers(0, 3 * CHUNK_BYTES), st.integers(0, 70_000)), max_size=8))
def test_a_sealed_file_is_read_like_a_plain_one(
    tmp_path_factory: pytest.TempPathFactory, size: int, moves: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("sealed") / "file"
    with SealedWriter(path, DATA_KEY) as writer:
        writer.write(content_of(size))
        writer.settle()
    plain = io.BytesIO(content_of(size))
    with sealed_content.open_file(path, lambda _wrapped: KEY) as file:
        for offset, length in moves:
            assert (file.seek(offset), file.read(length)) == (plain.seek(offset), plain.read(length))
        assert (file.seek(-min(3, size), os.SEEK_END), file.read()) == (plain.seek(-min(3, size), 2), plain.read())


def test_a_file_whose_writer_was_killed_opens_never(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with SealedWriter(path, DATA_KEY) as writer:
        writer.write(content_of(2 * CHUNK_BYTES + 5))
    with pytest.raises(SealBroken):
        sealed_content.open_file(path, lambda _wrapped: KEY)
    assert os.stat(path).st_mode & 0o077 == 0
