"""Versions of objects on every database: what a write leaves behind, and what goes for good."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sql

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.conditions import Conditions
from outcrop.buckets.names import Place
from outcrop.buckets.settings_records import VERSIONING
from outcrop.buckets.version_ids import NULL_VERSION
from outcrop.buckets.version_listing import VersionRequest
from outcrop.buckets.version_records import VersionRecord
from outcrop.clock import MovableClock
from outcrop.store.database import reading, writing
from outcrop.store.store import Store
from tests.support.buckets_room import HERE, LONG, MIB, files, put, put_part, refused

BUCKET, KEY = HERE


@pytest.fixture
def versioned(buckets: Buckets) -> Buckets:
    buckets.set_setting(BUCKET, VERSIONING, "Enabled")
    return buckets


def written(buckets: Buckets, *contents: bytes) -> list[str]:
    """The ids of these versions, in their order."""
    made = [put(buckets, content).version for content in contents]
    return [version for version in made if version is not None]


def listed(buckets: Buckets, **asked: object) -> list[tuple[str, bool]]:
    page = buckets.list_versions(BUCKET, VersionRequest(**asked))  # type: ignore[arg-type]
    return [(each.version, each.is_latest) for each in page.versions]


def content(buckets: Buckets, version: str | None = None) -> bytes:
    return b"".join(buckets.blocks(buckets.find(BUCKET, KEY, version)))


def swept(buckets: Buckets, clock: MovableClock) -> None:
    clock.move(timedelta(hours=3))
    while buckets.sweep().more_due:
        pass


def test_a_write_keeps_what_was_there(versioned: Buckets) -> None:
    first, second = written(versioned, b"one", LONG)
    assert (content(versioned), content(versioned, first), content(versioned, second)) == (LONG, b"one", LONG)
    assert listed(versioned) == [(second, True), (first, False)]


def test_a_deletion_hides_and_its_removal_shows_again(versioned: Buckets) -> None:
    (first,) = written(versioned, b"one")
    marker = versioned.remove(*HERE)
    assert marker.is_marker
    with refused("NoSuchKey", 404) as caught:
        versioned.find(*HERE)
    assert caught.value.headers == {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version}
    with refused("MethodNotAllowed", 405) as caught:
        versioned.find(*HERE, marker.version)
    assert (caught.value.headers["Allow"], caught.value.headers["x-amz-delete-marker"]) == ("DELETE", "true")
    assert versioned.remove(*HERE, version=marker.version).is_marker
    assert (content(versioned), listed(versioned)) == (b"one", [(first, True)])


def test_a_key_that_never_was_gets_a_marker_too(versioned: Buckets) -> None:
    assert versioned.remove(BUCKET, "never").is_marker
    assert [is_latest for _, is_latest in listed(versioned)] == [True]


def test_a_version_that_is_not_there_is_told_to_readers_and_gone_to_removers(versioned: Buckets) -> None:
    (first,) = written(versioned, b"one")
    with refused("NoSuchVersion", 404):
        versioned.find(*HERE, "0" * 32)
    versioned.remove(*HERE, version="0" * 32)
    assert listed(versioned) == [(first, True)]


def test_what_was_there_before_is_the_version_null(buckets: Buckets) -> None:
    put(buckets, b"old")
    buckets.set_setting(BUCKET, VERSIONING, "Enabled")
    (new,) = written(buckets, b"new")
    assert listed(buckets) == [(new, True), (NULL_VERSION, False)]
    assert content(buckets, NULL_VERSION) == b"old"
    buckets.set_setting(BUCKET, VERSIONING, "Suspended")
    put(buckets, b"newest")
    assert listed(buckets) == [(NULL_VERSION, True), (new, False)]
    assert buckets.remove(*HERE).version == NULL_VERSION
    assert listed(buckets) == [(NULL_VERSION, True), (new, False)]
    with refused("NoSuchKey", 404):
        buckets.find(*HERE)


def test_bytes_go_with_their_last_version_and_not_before(versioned: Buckets, store: Store, clock: MovableClock) -> None:
    first, second = written(versioned, LONG, b"short")
    copied = versioned.copy(HERE, Place(BUCKET, "copy"), version=first)
    swept(versioned, clock)
    assert content(versioned, first) == LONG
    versioned.remove(*HERE, version=first)
    versioned.remove(*HERE, version=second)
    swept(versioned, clock)
    assert versioned.read_bytes(BUCKET, "copy") == LONG
    versioned.remove(BUCKET, "copy", version=copied.version)
    swept(versioned, clock)
    assert (files(store), rows(store, "small_contents"), rows(store, "object_versions")) == ([], 0, 0)


def rows(store: Store, table: str) -> int:
    with reading(store.engine) as connection:
        return int(connection.execute(sql.text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_an_upload_in_parts_is_a_version(versioned: Buckets) -> None:
    (first,) = written(versioned, b"one")
    upload = versioned.uploads.begin(HERE, details=versioned.find(*HERE).details).id
    parts = [put_part(versioned, upload, 1, b"p" * (5 * MIB)), put_part(versioned, upload, 2, b"q")]
    made = versioned.uploads.complete(HERE, upload, parts)
    assert listed(versioned) == [(made.version, True), (first, False)]
    versioned.remove(*HERE)
    assert content(versioned, made.version)[-2:] == b"pq"


def test_conditions_of_a_write_mean_the_object_and_not_its_versions(versioned: Buckets) -> None:
    etag = put(versioned, b"one").etag
    with refused("PreconditionFailed", 412):
        put(versioned, b"two", conditions=Conditions(if_none_match="*"))
    versioned.remove(*HERE)
    with refused("NoSuchKey", 404):
        put(versioned, b"two", conditions=Conditions(if_match=etag))
    put(versioned, b"two", conditions=Conditions(if_none_match="*"))
    assert len(listed(versioned)) == 3


def test_a_bucket_with_versions_is_not_empty(versioned: Buckets) -> None:
    (first,) = written(versioned, b"one")
    marker = versioned.remove(*HERE)
    for version in (first, marker.version):
        with refused("BucketNotEmpty", 409) as caught:
            versioned.delete(BUCKET)
        assert "all versions" in caught.value.message
        versioned.remove(*HERE, version=version)
    versioned.delete(BUCKET)


def test_pages_neither_repeat_nor_hide_when_the_last_version_of_one_goes(versioned: Buckets) -> None:
    ids = written(versioned, *(b"%d" % number for number in range(7)))[::-1]
    page = versioned.list_versions(BUCKET, VersionRequest(max_keys=3))
    last = page.last
    assert isinstance(last, VersionRecord)
    for gone in ids[:3]:
        versioned.remove(*HERE, version=gone)
    put(versioned, b"newer")
    versioned.remove(*HERE, version=versioned.find(*HERE).version)
    rest = listed(versioned, key_marker=KEY, version_marker=last.version)
    assert [version for version, _ in rest] == ids[3:]
    assert rest[0][1], "what is left first is the latest now"


def test_two_who_write_the_same_key_leave_every_version(versioned: Buckets) -> None:
    """Transactions of this room never overlap, so each finds the other's whole."""
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for turn in range(8):
                put(versioned, b"%d %d" % (number, turn))
                if turn % 3 == 2:
                    versioned.remove(*HERE)
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert not failures
    found = listed(versioned)
    assert (len(found), len({version for version, _ in found}), sum(latest for _, latest in found)) == (20, 20, 1)


def test_a_home_of_before_versions_keeps_its_objects(buckets: Buckets, store: Store, clock: MovableClock) -> None:
    put(buckets, b"old")
    with writing(store.engine) as connection:  # as an older Outcrop made the tables
        connection.execute(sql.text("ALTER TABLE objects DROP COLUMN version"))
        connection.execute(sql.text("DROP TABLE object_versions"))
    opened = Buckets(store, clock)
    assert content(opened) == b"old"
    opened.set_setting(BUCKET, VERSIONING, "Enabled")
    (new,) = written(opened, b"new")
    assert listed(opened) == [(new, True), (NULL_VERSION, False)]


@pytest.fixture
def many(versioned: Buckets) -> Buckets:
    for key in ("a/1", "a/2", "b", "c/1"):
        for text in (b"1", b"2"):
            versioned.put_bytes(BUCKET, key, text)
    return versioned


def test_groups_are_folded_and_passed_by(many: Buckets) -> None:
    page = many.list_versions(BUCKET, VersionRequest(delimiter="/", max_keys=2))
    assert (page.prefixes, [each.object.key for each in page.versions], page.is_truncated) == (["a/"], ["b"], True)
    assert isinstance(page.last, VersionRecord)
    rest = many.list_versions(
        BUCKET, VersionRequest(delimiter="/", key_marker="b", version_marker=page.last.version, max_keys=2)
    )
    assert (rest.prefixes, [each.object.key for each in rest.versions], rest.is_truncated) == (["c/"], ["b"], False)
    inside = many.list_versions(BUCKET, VersionRequest(prefix="a/", max_keys=1000))
    assert [each.object.key for each in inside.versions] == ["a/1", "a/1", "a/2", "a/2"]


def test_markers_that_are_none_are_refused(many: Buckets) -> None:
    for asked in ({"version_marker": "0" * 32}, {"key_marker": "b", "version_marker": "nonsense"}):
        with refused("InvalidArgument", 400):
            listed(many, **asked)
