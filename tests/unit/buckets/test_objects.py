"""The built-in S3 under its door: buckets and objects on a real database and real files."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.checksums import Algorithm
from outcrop.buckets.conditions import Conditions, Stretch
from outcrop.buckets.listing import ListingRequest
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import Promise
from outcrop.buckets.records import Details
from outcrop.buckets.sweeping import GRACE
from outcrop.clock import MovableClock
from outcrop.errors import ServiceRefusal
from outcrop.store.objects import IncomingFile, ObjectFiles
from outcrop.store.store import Store
from tests.support.buckets_room import HERE, LONG, MIB, files, put, put_part, refused

FULL = Path("/dev/full")


# Buckets


def test_a_bucket_is_there_from_its_creation_to_its_end(buckets: Buckets) -> None:
    buckets.create("other", "eu-west-1")
    assert [(bucket.name, bucket.region) for bucket in buckets.all()] == [
        ("books", "us-east-1"),
        ("other", "eu-west-1"),
    ]
    buckets.delete("other")
    with refused("NoSuchBucket", 404):
        buckets.head("other")
    with refused("NoSuchBucket", 404):
        buckets.delete("other")


def test_creating_a_bucket_again_is_fine_in_us_east_1_only(buckets: Buckets) -> None:
    assert buckets.create("books", "us-east-1") == buckets.head("books")
    with refused("BucketAlreadyOwnedByYou", 409):
        buckets.create("books", "eu-west-1")
    buckets.create("other", "eu-west-1")
    with refused("BucketAlreadyOwnedByYou", 409):
        buckets.create("other", "eu-west-1")


def test_a_bucket_with_an_object_stays_and_one_with_an_upload_goes(buckets: Buckets) -> None:
    buckets.put_bytes("books", "a", b"a")
    with refused("BucketNotEmpty", 409):
        buckets.delete("books")
    buckets.remove("books", "a")
    upload = buckets.uploads.begin(HERE, details=Details())
    put_part(buckets, upload.id, 1, b"x")

    buckets.delete("books")

    assert buckets.all() == []


# Objects


def test_an_object_comes_back_as_it_was_put(buckets: Buckets) -> None:
    data = hashlib.shake_128(b"data").digest(3 * MIB + 7)
    details = Details(
        content_type="text/x", headers={"CacheControl": "no-store"}, metadata={"作": "者"}, tags={"a": "b"}
    )

    record = put(buckets, data, details=details, promise=Promise(algorithm=Algorithm.CRC32))

    assert buckets.find(*HERE) == record
    assert buckets.read_bytes(*HERE) == data
    assert record.etag == hashlib.md5(data).hexdigest()
    assert (record.size, record.details) == (len(data), details)


def test_a_long_content_is_named_by_its_digest_only_where_that_was_promised(buckets: Buckets, store: Store) -> None:
    signed = Promise(sha256=hashlib.sha256(LONG).hexdigest())

    one = put(buckets, LONG, Place("books", "one"), promise=signed)
    two = put(buckets, LONG, Place("books", "two"), promise=signed)
    three = put(buckets, LONG, Place("books", "three"))
    four = put(buckets, LONG, Place("books", "four"))

    assert one.digest == two.digest == signed.sha256
    assert len({one.digest, three.digest, four.digest}) == 3
    assert len(files(store)) == 3
    assert {buckets.read_bytes("books", key) for key in ("one", "two", "three", "four")} == {LONG}
    assert {len(each.digest) for each in (one, three, four)} == {64}


@pytest.mark.parametrize("data", [b"short", LONG], ids=["short", "long"])
def test_of_many_who_create_an_object_one_wins(buckets: Buckets, data: bytes) -> None:
    async def create(number: int) -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield data + b"%d" % number

        try:
            await buckets.put(HERE, chunks(), conditions=Conditions(if_none_match="*"))
        except ServiceRefusal as refusal:
            return refusal.code
        return str(number)

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(create(number) for number in range(8)))

    answers = sorted(asyncio.run(all_of_them()))

    assert answers[1:] == ["PreconditionFailed"] * 7
    assert buckets.read_bytes(*HERE) == data + answers[0].encode()


@pytest.mark.parametrize("key", ["a//b", "a/", "../../etc/passwd", "俳句/𐀀 ?&%2F+", ".", "/", "a\nb"])
def test_a_key_is_taken_as_it_stands(buckets: Buckets, key: str) -> None:
    buckets.put_bytes("books", key, b"x")

    assert [record.key for record in buckets.under("books", "")] == [key]
    assert buckets.read_bytes("books", key) == b"x"


def test_what_is_not_there_is_refused(buckets: Buckets) -> None:
    with refused("NoSuchKey", 404):
        buckets.read_bytes("books", "nothing")
    with refused("NoSuchBucket", 404):
        buckets.path_of("nowhere", "nothing")
    with refused("NoSuchBucket", 404):
        buckets.put_bytes("nowhere", "a", b"")
    with refused("NoSuchBucket", 404):
        buckets.list_objects("nowhere", ListingRequest())
    buckets.remove("books", "nothing")


def removed(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(LONG[1:])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [removed, cut, a_folder, a_pipe])
def test_an_object_whose_file_was_damaged_is_neither_read_nor_copied_nor_told_of(
    buckets: Buckets, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    record = buckets.put_bytes("books", "a", LONG)
    path = buckets.path(record)
    damage(path)

    for ask in (
        lambda: buckets.read_bytes("books", "a"),
        lambda: buckets.check(record),
        lambda: buckets.body(record, Stretch(0, 1)),
        lambda: buckets.copy(Place("books", "a"), Place("books", "b")),
        lambda: buckets.copy(
            Place("books", "a"), Place("books", "a"), details=lambda _: Details(content_type="text/plain")
        ),
    ):
        with refused("InternalError", 500) as refusal:
            ask()
        assert str(path) not in refusal.value.message
    assert [found.key for found in buckets.under("books", "")] == ["a"]
    assert "content missing or cut short" in caplog.messages


def test_a_file_is_put_from_disk(buckets: Buckets, tmp_path: Path) -> None:
    source = tmp_path / "train.jsonl"
    source.write_bytes(b"x" * (2 * MIB + 1))

    record = buckets.put_file("books", "train.jsonl", source, "application/jsonl")

    assert buckets.path_of("books", "train.jsonl").read_bytes() == source.read_bytes()
    assert record.details.content_type == "application/jsonl"


@pytest.mark.parametrize(
    ("promise", "code"),
    [
        (Promise(content_md5="1B2M2Y8AsgTpgAmY7PhCfA=="), "BadDigest"),
        (Promise(algorithm=Algorithm.CRC32, checksum="AAAAAA=="), "BadDigest"),
        (Promise(algorithm=Algorithm.CRC32, trailers={"x-amz-checksum-crc32": "AAAAAA=="}), "BadDigest"),
        (Promise(algorithm=Algorithm.SHA1, checksum="AAAAAA=="), "InvalidRequest"),
    ],
)
def test_a_broken_promise_leaves_the_old_object_and_no_file(
    buckets: Buckets, store: Store, promise: Promise, code: str
) -> None:
    old = put(buckets, LONG)

    with refused(code, 400):
        put(buckets, LONG[1:], promise=promise)

    assert buckets.find(*HERE) == old
    assert files(store) == [buckets.path(old)]


def test_a_sender_who_stops_half_way_leaves_the_old_object_and_no_file(buckets: Buckets, store: Store) -> None:
    old = put(buckets, LONG)

    with refused("IncompleteBody", 400):
        put(buckets, b"n" * (2 * MIB), fail=True)

    assert buckets.find(*HERE) == old
    assert files(store) == [buckets.path(old)]


def test_a_conditional_put_decides_when_the_bytes_are_here(buckets: Buckets) -> None:
    first = put(buckets, b"first", conditions=Conditions(if_none_match="*"))
    with refused("PreconditionFailed", 412):
        put(buckets, b"second", conditions=Conditions(if_none_match="*"))
    with refused("PreconditionFailed", 412):
        put(buckets, b"second", conditions=Conditions(if_match='"other"'))

    put(buckets, b"second", conditions=Conditions(if_match=f'"{first.etag}"'))

    assert buckets.read_bytes(*HERE) == b"second"


class FullDisk(ObjectFiles):
    """A disk without room: every byte is refused, as by the real one."""

    @contextmanager
    def incoming(self) -> Iterator[IncomingFile]:
        with FULL.open("wb", buffering=0) as full:
            yield IncomingFile(FULL, full)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_once_and_the_old_object_stays_whole(
    buckets: Buckets, store: Store, clock: MovableClock, tmp_path: Path
) -> None:
    put(buckets, b"old")
    full = replace(store, objects=FullDisk(tmp_path / "objects"))

    with refused("InsufficientStorage", 507):
        put(Buckets(full, clock), LONG)

    assert buckets.read_bytes(*HERE) == b"old"


def test_a_copy_shares_the_file_and_outlives_its_source(buckets: Buckets, store: Store, clock: MovableClock) -> None:
    source = put(buckets, LONG, details=Details(metadata={"a": "1"}), promise=Promise(algorithm=Algorithm.CRC32))

    copied = buckets.copy(HERE, Place("books", "copy"))
    other = buckets.copy(HERE, Place("books", "other"), details=lambda _kept: Details(), algorithm=Algorithm.SHA256)
    buckets.remove(*HERE)
    clock.move(2 * GRACE)
    buckets.sweep()

    assert buckets.read_bytes("books", "copy") == LONG
    assert (copied.etag, copied.details, copied.checksum) == (source.etag, source.details, source.checksum)
    assert other.details == Details()
    assert other.checksum is not None
    assert other.checksum.algorithm is Algorithm.SHA256
    assert len(files(store)) == 1


def test_tags_change_without_the_bytes(buckets: Buckets) -> None:
    before = put(buckets, b"text", details=Details(metadata={"a": "1"}))

    buckets.tag(*HERE, {"team": "renga"})

    after = buckets.find(*HERE)
    assert after.details == Details(metadata={"a": "1"}, tags={"team": "renga"})
    assert (after.etag, after.modified) == (before.etag, before.modified)


def test_a_listing_folds_groups(buckets: Buckets) -> None:
    for key in ("a", "b/1", "b/2", "b0", "c/1", "é"):
        buckets.put_bytes("books", key, b"")

    page = buckets.list_objects("books", ListingRequest(delimiter="/"))

    assert [record.key for record in page.objects] == ["a", "b0", "é"]
    assert page.prefixes == ["b/", "c/"]
    assert [record.key for record in buckets.under("books", "b")] == ["b/1", "b/2", "b0"]
