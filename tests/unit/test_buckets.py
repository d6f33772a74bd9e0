"""The built-in S3 under its door: buckets, objects and uploads on a real database and real files."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.checksums import Algorithm, ChecksumType
from outcrop.buckets.conditions import Conditions, Stretch
from outcrop.buckets.listing import Asked
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import Promise
from outcrop.buckets.records import Details, ObjectRecord
from outcrop.buckets.sweeping import GRACE, GRACE_OF_PIECES, LEFTOVER_AGE
from outcrop.buckets.uploads import MIN_PART_BYTES, ChosenPart
from outcrop.clock import MovableClock
from outcrop.errors import ServiceRefusal
from outcrop.settings import Settings
from outcrop.store.objects import IncomingFile, ObjectFiles
from outcrop.store.store import Store

FULL = Path("/dev/full")
MIB = 1024**2
LONG = hashlib.shake_128(b"long").digest(100_000)
HERE = Place("books", "gen/parker.jsonl")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def buckets(store: Store, clock: MovableClock) -> Buckets:
    made = Buckets(store, clock)
    made.create("books", "us-east-1")
    return made


@contextmanager
def refused(code: str, status: int) -> Iterator[None]:
    with pytest.raises(ServiceRefusal) as caught:
        yield
    assert (caught.value.code, caught.value.http_status) == (code, status)


def put(buckets: Buckets, data: bytes, place: Place = HERE, *, fail: bool = False, **asked: object) -> ObjectRecord:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 300_000):
            yield data[start : start + 300_000]
        if fail:
            raise ServiceRefusal("IncompleteBody", "The client went away.", http_status=400)

    return asyncio.run(buckets.put(place, chunks(), **asked))  # type: ignore[arg-type]


def put_part(buckets: Buckets, upload_id: str, number: int, data: bytes, promise: Promise = Promise()) -> ChosenPart:  # noqa: B008
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    part = asyncio.run(buckets.uploads.put_part(HERE, upload_id, number, chunks(), promise))
    return ChosenPart(number=number, etag=f'"{part.etag}"')


def files(store: Store) -> list[Path]:
    return [*store.objects.kept(), *store.objects.unfinished()]


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
    assert record.digest == hashlib.sha256(data).hexdigest()
    assert (record.size, record.details) == (len(data), details)


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
        buckets.list_objects("nowhere", Asked())
    buckets.remove("books", "nothing")


def test_an_object_whose_file_was_damaged_is_refused_with_its_path(buckets: Buckets) -> None:
    record = buckets.put_bytes("books", "a", LONG)
    path = buckets.path(record)
    path.write_bytes(LONG[1:])

    with refused("InternalError", 500):
        buckets.read_bytes("books", "a")


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
    full = Store(
        engine=store.engine,
        resources=store.resources,
        tags=store.tags,
        idempotency=store.idempotency,
        objects=FullDisk(tmp_path / "objects"),
    )

    with refused("InsufficientStorage", 507):
        put(Buckets(full, clock), LONG)

    assert buckets.read_bytes(*HERE) == b"old"


def test_a_copy_shares_the_file_and_outlives_its_source(buckets: Buckets, store: Store, clock: MovableClock) -> None:
    source = put(buckets, LONG, details=Details(metadata={"a": "1"}), promise=Promise(algorithm=Algorithm.CRC32))

    copied = buckets.copy(HERE, Place("books", "copy"))
    other = buckets.copy(HERE, Place("books", "other"), details=Details(), algorithm=Algorithm.SHA256)
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

    page = buckets.list_objects("books", Asked(delimiter="/"))

    assert [record.key for record in page.objects] == ["a", "b0", "é"]
    assert page.prefixes == ["b/", "c/"]
    assert [record.key for record in buckets.under("books", "b")] == ["b/1", "b/2", "b0"]


# Files without a row


def test_a_file_goes_a_while_after_its_last_row(buckets: Buckets, store: Store, clock: MovableClock) -> None:
    buckets.put_bytes("books", "one", LONG)
    path = buckets.path(buckets.put_bytes("books", "two", LONG))
    buckets.remove("books", "one")
    clock.move(2 * GRACE)
    assert buckets.sweep() == 0  # the other row still names it

    buckets.put_bytes("books", "two", LONG[1:])
    assert path.exists()  # whoever was told the path may be about to open it
    clock.move(2 * GRACE)
    assert buckets.sweep() == 1

    assert not path.exists()
    assert files(store) == [buckets.path_of("books", "two")]


def test_a_file_that_is_put_again_before_the_sweep_stays(buckets: Buckets, clock: MovableClock) -> None:
    buckets.put_bytes("books", "a", b"same")
    buckets.remove("books", "a")
    clock.move(2 * GRACE)
    buckets.put_bytes("books", "b", b"same")
    clock.move(2 * GRACE)
    buckets.sweep()

    assert buckets.read_bytes("books", "b") == b"same"


def test_what_a_crash_left_is_taken_up_at_the_next_start(buckets: Buckets, store: Store, clock: MovableClock) -> None:
    buckets.put_bytes("books", "a", LONG)
    orphan = store.objects.path("ab" + "0" * 62)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"renamed, but its row was never written")
    unfinished = orphan.parent.parent / "incoming" / "0123"
    unfinished.write_bytes(b"half")
    newest = max(path.stat().st_mtime for path in files(store))
    clock.move(timedelta(seconds=newest - clock.now().timestamp()) + LEFTOVER_AGE / 2)
    assert buckets.sweep_leftovers() == 0

    clock.move(LEFTOVER_AGE)
    assert buckets.sweep_leftovers() == 2
    clock.move(2 * GRACE)
    buckets.sweep()

    assert files(store) == [buckets.path_of("books", "a")]


# Uploads in parts


def parts_of_two(buckets: Buckets, upload_id: str, promise: Promise = Promise()) -> list[ChosenPart]:  # noqa: B008
    last = put_part(buckets, upload_id, 7, b"the end", promise)
    first = put_part(buckets, upload_id, 2, b"1" * MIN_PART_BYTES, promise)
    return [first, last]


def test_parts_become_one_object_in_the_order_of_their_numbers(
    buckets: Buckets, store: Store, clock: MovableClock
) -> None:
    upload = buckets.uploads.begin(HERE, details=Details(content_type="text/x"))
    chosen = parts_of_two(buckets, upload.id)

    record = buckets.uploads.complete(HERE, upload.id, chosen)

    whole = b"1" * MIN_PART_BYTES + b"the end"
    md5s = hashlib.md5(b"1" * MIN_PART_BYTES).digest() + hashlib.md5(b"the end").digest()
    assert buckets.read_bytes(*HERE) == whole
    assert record.etag == hashlib.md5(md5s).hexdigest() + "-2"
    assert record.details.content_type == "text/x"
    assert buckets.path(record).read_bytes() == whole
    clock.move(2 * GRACE_OF_PIECES)
    buckets.sweep()
    assert files(store) == [buckets.path(record)]
    assert buckets.read_bytes(*HERE) == whole


def test_completing_again_gives_the_same_object(buckets: Buckets) -> None:
    upload = buckets.uploads.begin(HERE, details=Details())
    chosen = parts_of_two(buckets, upload.id)
    record = buckets.uploads.complete(HERE, upload.id, chosen)

    assert buckets.uploads.complete(HERE, upload.id, chosen) == record

    put(buckets, b"later")
    with refused("NoSuchUpload", 404):
        buckets.uploads.complete(HERE, upload.id, chosen)


@pytest.mark.parametrize(
    ("algorithm", "kind", "value"),
    [
        (Algorithm.CRC32, None, "composite"),
        (Algorithm.CRC32, ChecksumType.FULL_OBJECT, "whole"),
        (Algorithm.CRC64NVME, None, "whole"),
        (Algorithm.SHA256, None, "composite"),
    ],
)
def test_the_checksum_covers_what_its_type_says(
    buckets: Buckets, algorithm: Algorithm, kind: ChecksumType | None, value: str
) -> None:
    upload = buckets.uploads.begin(HERE, details=Details(), algorithm=algorithm, checksum_type=kind)
    chosen = parts_of_two(buckets, upload.id)

    checksum = buckets.uploads.complete(HERE, upload.id, chosen).checksum

    assert checksum is not None
    assert checksum.value.endswith("-2") == (value == "composite")
    assert checksum.type == ("COMPOSITE" if value == "composite" else "FULL_OBJECT")


def test_a_wrong_whole_leaves_the_upload_open(buckets: Buckets) -> None:
    upload = buckets.uploads.begin(
        HERE, details=Details(), algorithm=Algorithm.CRC32, checksum_type=ChecksumType.FULL_OBJECT
    )
    chosen = parts_of_two(buckets, upload.id)

    with refused("BadDigest", 400):
        buckets.uploads.complete(HERE, upload.id, chosen, checksum="AAAAAA==")
    with refused("InvalidRequest", 400):
        buckets.uploads.complete(HERE, upload.id, chosen, size=3)
    with refused("PreconditionFailed", 412):
        put(buckets, b"in the way")
        buckets.uploads.complete(HERE, upload.id, chosen, conditions=Conditions(if_none_match="*"))

    assert buckets.uploads.complete(HERE, upload.id, chosen, size=MIN_PART_BYTES + 7).size == MIN_PART_BYTES + 7


def test_parts_that_do_not_fit_are_refused(buckets: Buckets) -> None:
    upload = buckets.uploads.begin(HERE, details=Details())
    first, last = parts_of_two(buckets, upload.id)
    small = put_part(buckets, upload.id, 1, b"small")

    with refused("InvalidPartOrder", 400):
        buckets.uploads.complete(HERE, upload.id, [last, first])
    with refused("InvalidPartOrder", 400):
        buckets.uploads.complete(HERE, upload.id, [first, first])
    with refused("InvalidPart", 400):
        buckets.uploads.complete(HERE, upload.id, [ChosenPart(number=3, etag=first.etag)])
    with refused("InvalidPart", 400):
        buckets.uploads.complete(HERE, upload.id, [ChosenPart(number=2, etag=last.etag)])
    with refused("EntityTooSmall", 400):
        buckets.uploads.complete(HERE, upload.id, [small, first])
    with refused("MalformedXML", 400):
        buckets.uploads.complete(HERE, upload.id, [])
    with refused("InvalidArgument", 400):
        put_part(buckets, upload.id, 10_001, b"")
    with refused("InvalidRequest", 400):
        buckets.uploads.begin(HERE, details=Details(), algorithm=Algorithm.SHA1, checksum_type=ChecksumType.FULL_OBJECT)


def test_a_part_sent_again_replaces_the_first(buckets: Buckets) -> None:
    upload = buckets.uploads.begin(HERE, details=Details())
    old = put_part(buckets, upload.id, 1, b"old")
    new = put_part(buckets, upload.id, 1, b"new")

    with refused("InvalidPart", 400):
        buckets.uploads.complete(HERE, upload.id, [old])
    buckets.uploads.complete(HERE, upload.id, [new])

    assert buckets.read_bytes(*HERE) == b"new"


def test_an_aborted_upload_is_gone_and_its_files_follow(buckets: Buckets, store: Store, clock: MovableClock) -> None:
    upload = buckets.uploads.begin(HERE, details=Details())
    chosen = parts_of_two(buckets, upload.id)
    with refused("NoSuchUpload", 404):
        buckets.uploads.abort(Place("books", "another key"), upload.id)

    buckets.uploads.abort(HERE, upload.id)

    with refused("NoSuchUpload", 404):
        buckets.uploads.complete(HERE, upload.id, chosen)
    with refused("NoSuchUpload", 404):
        put_part(buckets, upload.id, 1, b"too late")
    clock.move(2 * GRACE)
    buckets.sweep()
    assert files(store) == []


def test_a_part_may_be_a_stretch_of_an_object(buckets: Buckets) -> None:
    source = put(buckets, b"0123456789", Place("books", "digits"))
    upload = buckets.uploads.begin(HERE, details=Details(), algorithm=Algorithm.CRC32)

    part = buckets.uploads.copy_part(HERE, upload.id, 1, source, Stretch(3, 4))
    buckets.uploads.complete(HERE, upload.id, [ChosenPart(number=1, etag=part.etag)])

    assert buckets.read_bytes(*HERE) == b"3456"
