"""Names, checksums, conditions, ranges and listings of the built-in S3: what is decided without a database."""

import base64
import hashlib
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from outcrop.buckets import checksums, conditions, crc, listing
from outcrop.buckets.checksums import Algorithm, ChecksumType
from outcrop.buckets.conditions import Conditions
from outcrop.buckets.names import check_bucket_name, check_key, parse_s3_uri
from outcrop.buckets.records import ObjectRecord
from outcrop.errors import Invalid, ServiceRefusal

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def record(key: str = "k", etag: str = "abc", modified: datetime = NOON) -> ObjectRecord:
    return ObjectRecord(bucket="b", key=key, digest="d", size=10, etag=etag, modified=modified)


def code_of(refused: pytest.ExceptionInfo[ServiceRefusal]) -> tuple[str, int]:
    return refused.value.code, refused.value.http_status


@pytest.mark.parametrize("name", ["abc", "a-b.c-1", "0ab", "a" * 63, "1.2.3.x", "models"])
def test_a_good_bucket_name(name: str) -> None:
    check_bucket_name(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ab", "it must have 3 to 63 characters"),
        ("a" * 64, "it must have 3 to 63 characters"),
        ("Abc", "only a-z, 0-9, '.' and '-' are allowed, with a letter or digit at both ends"),
        ("-abc", "only a-z, 0-9, '.' and '-' are allowed, with a letter or digit at both ends"),
        ("abc.", "only a-z, 0-9, '.' and '-' are allowed, with a letter or digit at both ends"),
        ("a_b", "only a-z, 0-9, '.' and '-' are allowed, with a letter or digit at both ends"),
        ("abc\n", "only a-z, 0-9, '.' and '-' are allowed, with a letter or digit at both ends"),
        ("日本語", "only a-z, 0-9, '.' and '-' are allowed, with a letter or digit at both ends"),
        ("a..b", "two dots may not stand together"),
        ("xn--abc", "this beginning or end is reserved"),
        ("abc-s3alias", "this beginning or end is reserved"),
        ("192.168.5.4", "it may not look like an IP address"),
    ],
)
def test_a_bad_bucket_name_names_the_rule(name: str, problem: str) -> None:
    with pytest.raises(ServiceRefusal) as refused:
        check_bucket_name(name)

    assert code_of(refused) == ("InvalidBucketName", 400)
    assert refused.value.message == f"The specified bucket is not valid: {problem}."


def test_a_key_may_have_1024_bytes_and_must_be_text() -> None:
    check_key("é" * 512)
    with pytest.raises(ServiceRefusal) as refused:
        check_key("é" * 512 + "a")
    assert code_of(refused) == ("KeyTooLongError", 400)

    with pytest.raises(ServiceRefusal) as refused:
        check_key("\udcff")
    assert code_of(refused) == ("InvalidURI", 400)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://bucket/a/b.jsonl", ("bucket", "a/b.jsonl")),
        ("s3://bucket/a//../b/", ("bucket", "a//../b/")),
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/俳句 1%20?x#y", ("bucket", "俳句 1%20?x#y")),
    ],
)
def test_an_s3_uri_is_taken_apart_as_it_stands(uri: str, place: tuple[str, str]) -> None:
    assert parse_s3_uri(uri) == place


@pytest.mark.parametrize("uri", ["", "bucket/key", "http://bucket/key", "s3:/bucket/key", "s3://", "s3://B/k"])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(Invalid, match=r"not an S3 URI\. Write s3://bucket/key"):
        parse_s3_uri(uri)


def bit_by_bit(data: bytes, polynomial: int, ones: int) -> int:
    """The definition of a reflected check whose register begins as all ones and is inverted at the end."""
    register = ones
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (polynomial if register & 1 else 0)
    return register ^ ones


@pytest.mark.parametrize(
    ("model", "polynomial", "ones", "check"),
    [
        (crc.CRC32, 0xEDB88320, 2**32 - 1, 0xCBF43926),
        (crc.CRC32C, 0x82F63B78, 2**32 - 1, 0xE3069283),
        (crc.CRC64NVME, 0x9A6C9329AC4BC9B5, 2**64 - 1, 0xAE8B14860A799888),
    ],
)
def test_a_crc_is_that_of_the_catalogue_wherever_the_data_is_cut(
    model: crc.Model, polynomial: int, ones: int, check: int
) -> None:
    assert model.calc(b"", 0) == 0
    assert model.calc(b"123456789", 0) == check
    for size in (1, 15, 16, 31, 63, 127, 1000, 9000):  # short and long data go different ways
        data = hashlib.shake_128(b"seed").digest(size)
        whole, cut = bit_by_bit(data, polynomial, ones), size // 3
        first, second = model.calc(data[:cut], 0), model.calc(data[cut:], 0)
        assert model.calc(data, 0) == whole, size
        assert model.calc(data[cut:], first) == whole, size
        assert model.combine(first, second, size - cut) == whole, size


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        (Algorithm.CRC32, base64.b64encode(zlib.crc32(b"hello").to_bytes(4, "big")).decode()),
        (Algorithm.CRC32C, "mnG7TA=="),
        (Algorithm.CRC64NVME, "M3eFcAZSQlc="),
        (Algorithm.SHA1, base64.b64encode(hashlib.sha1(b"hello").digest()).decode()),
        (Algorithm.SHA256, base64.b64encode(hashlib.sha256(b"hello").digest()).decode()),
    ],
)
def test_a_checksum_is_the_base64_of_its_digest(algorithm: Algorithm, value: str) -> None:
    assert checksums.of_blocks(algorithm, [b"he", b"", b"llo"]).value == value


def test_a_composite_checksum_covers_those_of_the_parts() -> None:
    parts = [checksums.of_blocks(Algorithm.SHA256, [part]).value for part in (b"a", b"b")]
    expected = hashlib.sha256(hashlib.sha256(b"a").digest() + hashlib.sha256(b"b").digest()).digest()

    whole = checksums.of_parts(Algorithm.SHA256, parts)

    assert whole.value == base64.b64encode(expected).decode() + "-2"
    assert whole.type is ChecksumType.COMPOSITE


def test_the_etag_of_parts_is_the_md5_of_their_md5s() -> None:
    first, second = hashlib.md5(b"a"), hashlib.md5(b"b")
    expected = hashlib.md5(first.digest() + second.digest()).hexdigest() + "-2"

    assert checksums.etag_of_parts([first.hexdigest(), second.hexdigest()]) == expected


@pytest.mark.parametrize(
    ("given", "code"), [("!", "InvalidDigest"), ("YWJj", "InvalidDigest"), ("1B2M2Y8AsgTpgAmY7PhCfA==", "BadDigest")]
)
def test_a_content_md5_that_is_none_differs_from_one_that_is_wrong(given: str, code: str) -> None:
    with pytest.raises(ServiceRefusal) as refused:
        checksums.check_md5(given, hashlib.md5(b"hello").digest())

    assert code_of(refused) == (code, 400)


@pytest.mark.parametrize(
    ("given", "code"), [("!", "InvalidRequest"), ("YWI=", "InvalidRequest"), ("AAAAAA==", "BadDigest")]
)
def test_a_checksum_that_is_none_differs_from_one_that_is_wrong(given: str, code: str) -> None:
    with pytest.raises(ServiceRefusal) as refused:
        checksums.check_value(checksums.of_blocks(Algorithm.CRC32, [b"hello"]), given)

    assert code_of(refused) == (code, 400)


@pytest.mark.parametrize(
    ("asked", "stretch"),
    [
        (None, None),
        ("bytes=0-3", (0, 4)),
        ("bytes=0-0", (0, 1)),
        ("bytes=4-", (4, 6)),
        ("bytes=4-999", (4, 6)),
        ("bytes=-3", (7, 3)),
        ("bytes=-999", (0, 10)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("pages=1-2", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
    ],
)
def test_a_range_of_ten_bytes(asked: str | None, stretch: tuple[int, int] | None) -> None:
    assert conditions.stretch_of(asked, 10) == stretch


@pytest.mark.parametrize(
    ("asked", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_a_range_outside_the_object_is_refused(asked: str, size: int) -> None:
    with pytest.raises(ServiceRefusal) as refused:
        conditions.stretch_of(asked, size)

    assert code_of(refused) == ("InvalidRange", 416)
    assert refused.value.members == {"RangeRequested": asked, "ActualObjectSize": size}


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (Conditions(), None),
        (Conditions(if_match='"abc"'), None),
        (Conditions(if_match='"x", "abc"'), None),
        (Conditions(if_match="abc"), None),
        (Conditions(if_match="*"), None),
        (Conditions(if_match='"x"'), ("PreconditionFailed", 412)),
        (Conditions(if_none_match='"x"'), None),
        (Conditions(if_none_match='"abc"'), ("NotModified", 304)),
        (Conditions(if_none_match='W/"abc"'), ("NotModified", 304)),
        (Conditions(if_modified_since=NOON - HOUR), None),
        (Conditions(if_modified_since=NOON), ("NotModified", 304)),
        (Conditions(if_unmodified_since=NOON), None),
        (Conditions(if_unmodified_since=NOON - HOUR), ("PreconditionFailed", 412)),
        (Conditions(if_match='"abc"', if_unmodified_since=NOON - HOUR), None),
        (Conditions(if_none_match='"x"', if_modified_since=NOON), None),
    ],
)
def test_a_conditional_read(asked: Conditions, answer: tuple[str, int] | None) -> None:
    found = record(modified=NOON + timedelta(microseconds=7))  # clients are told whole seconds
    if answer is None:
        conditions.check_read(found, asked)
        return
    with pytest.raises(ServiceRefusal) as refused:
        conditions.check_read(found, asked)
    assert code_of(refused) == answer


@pytest.mark.parametrize(
    ("current", "asked", "answer"),
    [
        (None, Conditions(if_none_match="*"), None),
        (record(), Conditions(if_none_match="*"), ("PreconditionFailed", 412)),
        (record(), Conditions(if_match='"abc"'), None),
        (record(), Conditions(if_match='"x"'), ("PreconditionFailed", 412)),
        (None, Conditions(if_match='"abc"'), ("NoSuchKey", 404)),
        (None, Conditions(if_none_match='"abc"'), ("NotImplemented", 501)),
    ],
)
def test_a_conditional_write(current: ObjectRecord | None, asked: Conditions, answer: tuple[str, int] | None) -> None:
    if answer is None:
        conditions.check_write("k", current, asked)
        return
    with pytest.raises(ServiceRefusal) as refused:
        conditions.check_write("k", current, asked)
    assert code_of(refused) == answer


@pytest.mark.parametrize(
    ("marker", "prefix", "delimiter", "start"),
    [
        ("a", "", "", b"a\0"),
        ("a/b", "", "", b"a/b\0"),
        ("a/", "", "/", b"a0"),
        ("a/b", "", "/", b"a0"),
        ("p/a/b", "p/", "/", b"p/a0"),
        ("p/a", "p/", "/", b"p/a\0"),
        ("other", "p/", "/", b"other\0"),
    ],
)
def test_a_marker_in_a_group_skips_the_group(marker: str, prefix: str, delimiter: str, start: bytes) -> None:
    assert listing.after_marker(marker, prefix, delimiter) == start
