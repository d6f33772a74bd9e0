"""Uploads in parts, on a real database and real files."""

import hashlib

import pytest

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.checksums import Algorithm, ChecksumType
from outcrop.buckets.conditions import Conditions, Stretch
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import Promise
from outcrop.buckets.records import Details
from outcrop.buckets.sweeping import GRACE, GRACE_OF_PIECES
from outcrop.buckets.uploads import MIN_PART_BYTES, ChosenPart
from outcrop.clock import MovableClock
from outcrop.store.store import Store
from tests.support.buckets_room import HERE, files, put, put_part, refused


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


@pytest.mark.parametrize("is_gone", [True, False])
def test_an_upload_one_of_whose_parts_was_damaged_is_not_completed(
    buckets: Buckets, store: Store, is_gone: bool
) -> None:
    upload = buckets.uploads.begin(HERE, details=Details())
    chosen = parts_of_two(buckets, upload.id)
    (path,) = files(store)
    path.unlink() if is_gone else path.write_bytes(b"1")

    with refused("InternalError", 500):
        buckets.uploads.complete(HERE, upload.id, chosen)

    with refused("NoSuchKey", 404):
        buckets.find(*HERE)
    put_part(buckets, upload.id, 2, b"1" * MIN_PART_BYTES)  # sent again, it can be completed
    buckets.uploads.complete(HERE, upload.id, chosen)


def test_no_part_is_made_of_an_object_whose_file_is_gone(buckets: Buckets) -> None:
    source = buckets.put_bytes("books", "source", b"x" * MIN_PART_BYTES)
    upload = buckets.uploads.begin(HERE, details=Details())
    buckets.path(source).unlink()

    with refused("InternalError", 500):
        buckets.uploads.copy_part(HERE, upload.id, 1, source, Stretch(0, 9))
    assert buckets.uploads.parts(HERE, upload.id)[1] == []


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
