"""The built-in S3: buckets and the objects in them. Uploads in parts are `Buckets.uploads`.

The door uses `put`, which takes the bytes as they arrive, and `body`; workers use `put_bytes`, `put_file`, `read_bytes`
and `path_of`. Everything is refused in S3's codes. An object is whole or not there at all, and its bytes never change:
an overwrite is another content.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from sqlalchemy.engine import Connection

from outcrop.buckets import checksums, listing, names, records, refusals, settings_records, sweeping
from outcrop.buckets import conditions as conditional
from outcrop.buckets.checksums import Algorithm, Checksum
from outcrop.buckets.conditions import UNCONDITIONAL, Conditions, Stretch
from outcrop.buckets.content_records import Piece, pieces_of, schema
from outcrop.buckets.contents import Contents
from outcrop.buckets.cors import Rule
from outcrop.buckets.grouping import Change, Grouping
from outcrop.buckets.mounts import Mounts, check_url
from outcrop.buckets.names import Place
from outcrop.buckets.provided import Provider, nothing_provided
from outcrop.buckets.receiving import BLOCK_BYTES, NOTHING_PROMISED, Promise, Reception, receive
from outcrop.buckets.records import BucketRecord, Details, ObjectRecord
from outcrop.buckets.sweeping import Swept
from outcrop.buckets.uploads import Uploads
from outcrop.clock import Clock
from outcrop.errors import ServiceRefusal
from outcrop.protocol.http import Body
from outcrop.settings import DEFAULT_REGION
from outcrop.store.database import alone, create_tables, reading, writing
from outcrop.store.store import Store

PLAIN = Details()


def _unchanged(details: Details) -> Details:
    return details


class Buckets:
    """All buckets of the installation; their names are unique over every region."""

    def __init__(self, store: Store, clock: Clock, provider: Provider = nothing_provided) -> None:
        """`provider` makes the buckets that the installation provides."""
        self._store = store
        self._clock = clock
        create_tables(store.engine, schema)
        self._mounts = Mounts(store.objects.mounts_file, provider)
        self._contents = Contents(store, clock, self._mounts)
        self._grouping = Grouping(store.engine)
        self.uploads = Uploads(store, clock, self._contents, self._grouping, self._mounts)

    def create(self, name: str, region: str, tags: dict[str, str] | None = None) -> BucketRecord:
        """Raises InvalidBucketName; BucketAlreadyExists for one that the installation provides; BucketAlreadyOwnedByYou
        for one that exists, except in us-east-1, as S3 does."""
        names.check_bucket_name(name)
        if self._mounts.provided(name) is not None:
            raise refusals.bucket_exists(name)
        bucket = BucketRecord(name=name, region=region, created=self._clock.now())
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            present = records.bucket_named(connection, name)
            if present is None:
                records.add_bucket(connection, bucket)
                settings_records.change_setting(connection, name, settings_records.TAGGING, tags or None)
                return bucket
        if tags or not present.region == region == DEFAULT_REGION:
            raise refusals.bucket_owned(name)
        return present

    def head(self, name: str) -> BucketRecord:
        """Raises NoSuchBucket."""
        provided = self._mounts.provided(name)
        if provided is not None:
            return provided.record
        with reading(self._store.engine) as connection:
            return _required(connection, name)

    def all(self) -> list[BucketRecord]:
        """Every bucket, by name."""
        with reading(self._store.engine) as connection:
            return records.all_buckets(connection)

    def delete(self, name: str) -> None:
        """Delete a bucket and its unfinished uploads. Raises NoSuchBucket, or BucketNotEmpty when an object is left."""
        self._check_own(name)
        if self._mounts.at(name) is not None:
            raise refusals.mounted(name, f"`outcrop unmount {name}` takes the mount away and leaves its objects")
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            _required(connection, name)
            if records.objects_from(connection, name, b"", None, 1):
                raise refusals.bucket_not_empty(name)
            for upload in records.uploads_of(connection, name):
                records.remove_upload(connection, upload.id, at=self._clock.now())
            settings_records.remove_settings(connection, name)
            records.remove_bucket(connection, name)

    def mount(self, name: str, url: str) -> None:
        """A bucket whose objects are kept at `url`. Raises Invalid, InvalidBucketName, BucketNotEmpty."""
        check_url(url)
        self.create(name, DEFAULT_REGION)
        with reading(self._store.engine) as connection:
            if records.objects_from(connection, name, b"", None, 1):
                raise refusals.bucket_not_empty(name)
        self._mounts.write(name, url)

    def unmount(self, name: str) -> None:
        """Raises NoSuchBucket for what is not mounted. The objects stay where they are."""
        if self._mounts.at(name) is None:
            raise refusals.no_such_bucket(name)
        self._mounts.write(name, None)
        self.delete(name)

    def mounts(self) -> dict[str, str]:
        """URLs by bucket."""
        return self._mounts.urls()

    def exists(self, name: str) -> bool:
        if self._mounts.provided(name) is not None:
            return True
        with reading(self._store.engine) as connection:
            return records.bucket_named(connection, name) is not None

    def tags(self, bucket: str) -> dict[str, str]:
        """Raises NoSuchBucket."""
        if self._mounts.provided(bucket) is not None:
            return {}
        with reading(self._store.engine) as connection:
            _required(connection, bucket)
            found: dict[str, str] | None = settings_records.setting(connection, bucket, settings_records.TAGGING)
            return found or {}

    def set_tags(self, bucket: str, tags: dict[str, str] | None) -> None:
        self.set_setting(bucket, settings_records.TAGGING, tags)

    def cors(self, bucket: str) -> list[Rule] | None:
        """The rules for browsers, or None where none are set, as in a bucket that does not exist."""
        with reading(self._store.engine) as connection:
            found: list[Rule] | None = settings_records.setting(connection, bucket, settings_records.CORS)
            return found

    def set_cors(self, bucket: str, rules: list[Rule] | None) -> None:
        self.set_setting(bucket, settings_records.CORS, rules)

    def setting(self, bucket: str, kind: str) -> Any:
        """The document that is set for a kind of setting of a bucket, or None. Raises NoSuchBucket."""
        if self._mounts.provided(bucket) is not None:
            return None
        with reading(self._store.engine) as connection:
            _required(connection, bucket)
            return settings_records.setting(connection, bucket, kind)

    def set_setting(self, bucket: str, kind: str, document: Any) -> None:
        """Set it, in place of what was set; None takes it away. Raises NoSuchBucket."""
        self._check_own(bucket)
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            _required(connection, bucket)
            settings_records.change_setting(connection, bucket, kind, document)

    async def put(
        self,
        place: Place,
        chunks: AsyncIterator[bytes],
        *,
        details: Details = PLAIN,
        promise: Promise = NOTHING_PROMISED,
        conditions: Conditions = UNCONDITIONAL,
    ) -> ObjectRecord:
        """Store the bytes as they arrive. On any failure, the sender's or ours, what was there before stays whole."""
        if not promise.is_small:  # else it is refused as soon when all of it is here
            await to_thread.run_sync(self._check_target, place)
        with refusals.full_disk_refused(), self._contents.reception(promise) as reception:
            await receive(chunks, reception)
            if reception.file is not None or self._mounts.at(place.bucket) is not None:
                return await to_thread.run_sync(self._keep, place, reception, details, conditions)
            names.check_key(place.key)
            reception.settle()
            return await self._grouping.made(self._kept(place, reception, details, conditions))

    def put_bytes(self, bucket: str, key: str, data: bytes, content_type: str = PLAIN.content_type) -> ObjectRecord:
        return self._put_blocks(Place(bucket, key), iter([data]), content_type)

    def put_file(self, bucket: str, key: str, path: Path, content_type: str = PLAIN.content_type) -> ObjectRecord:
        """Store a copy of the file."""
        with path.open("rb") as file:
            return self._put_blocks(Place(bucket, key), iter(lambda: file.read(BLOCK_BYTES), b""), content_type)

    def find(self, bucket: str, key: str) -> ObjectRecord:
        """Raises NoSuchBucket or NoSuchKey."""
        mounted = self._mounts.at(bucket)
        if mounted is not None:
            return mounted.find(key)
        points = self._store.points
        found = records.object_by_point(points, bucket, key) if points.possible() else None
        if found is not None:
            return found
        with reading(self._store.engine) as connection:
            return _required_object(connection, Place(bucket, key))

    def tags_by_arn(self, arn: str) -> dict[str, str]:
        """Tags of an object; none where nothing is, and in mounted buckets, which keep tags to themselves."""
        bucket, _, key = arn.removeprefix("arn:aws:s3:::").partition("/")
        provided = self._mounts.provided(bucket)
        if provided is not None:
            return provided.tags
        if self.is_mounted(bucket):
            return {}
        try:
            return self.find(bucket, key).details.tags
        except ServiceRefusal:  # there is no such bucket or object, which is told to those who may know
            return {}

    def is_mounted(self, bucket: str) -> bool:
        """Whether its objects are kept elsewhere: asking for one takes as long as elsewhere takes."""
        return self._mounts.at(bucket) is not None

    def body(self, record: ObjectRecord, stretch: Stretch) -> Body:
        """The bytes of a stretch of an object, to be sent."""
        return self._contents.body(record, stretch)

    def check(self, record: ObjectRecord) -> None:
        """Raises InternalError when the bytes of an object are not there."""
        self._contents.check(record)

    def pieces(self, record: ObjectRecord) -> list[Piece]:
        """The parts of the upload that made the object; none when it was put whole."""
        if "-" not in record.etag or self._mounts.at(record.bucket) is not None:
            return []
        with reading(self._store.engine) as connection:
            return pieces_of(connection, record.digest)

    def blocks(self, record: ObjectRecord) -> Iterator[bytes]:
        """The bytes of an object, block by block."""
        return self._contents.blocks(record)

    def path(self, record: ObjectRecord) -> Path:
        """The object as a file, to be read only. Open it soon: it is removed minutes after its object is."""
        return self._contents.path(record)

    def path_of(self, bucket: str, key: str) -> Path:
        """`path` of the object that is there now."""
        return self.path(self.find(bucket, key))

    def read_bytes(self, bucket: str, key: str) -> bytes:
        return self._contents.read(self.find(bucket, key))

    def remove(self, bucket: str, key: str, conditions: Conditions = UNCONDITIONAL) -> None:
        """Removing what is not there is no error. Raises NoSuchBucket, PreconditionFailed."""
        mounted = self._mounts.at(bucket)
        if mounted is not None:
            mounted.check_removal(key, conditions)
            mounted.remove(key)
            return

        def removed(connection: Connection) -> None:
            alone(connection, sweeping.ROOM)
            _required(connection, bucket)
            conditional.check_removal(key, records.object_at(connection, bucket, key), conditions)
            records.remove_object(connection, bucket, key, at=self._clock.now())

        self._grouping.make(removed)

    def copy(
        self,
        source: Place,
        target: Place,
        *,
        details: Callable[[Details], Details] = _unchanged,
        algorithm: Algorithm | None = None,
        source_conditions: Conditions = UNCONDITIONAL,
        conditions: Conditions = UNCONDITIONAL,
    ) -> ObjectRecord:
        """A second row for the same file, `details` made of the source's. A checksum of another kind is taken anew."""
        names.check_key(target.key)
        found = self.find(*source)
        if self._mounts.at(source.bucket) is not None or self._mounts.at(target.bucket) is not None:
            conditional.check_source(found, source_conditions, now=self._clock.now())
            promise = Promise(algorithm=algorithm)
            with refusals.full_disk_refused(), self._contents.reception(promise) as reception:
                for block in self._contents.blocks(found):
                    reception.write(block)
                return self._keep(target, reception, details(found.details), conditions)
        self._contents.check(found)
        checksum = self._checksum_for_copy(found, algorithm)
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            _required(connection, target.bucket)
            # Read again: only a row that is there in this transaction keeps its file from being swept.
            record = _required_object(connection, source)
            conditional.check_source(record, source_conditions, now=self._clock.now())
            if record.digest != found.digest:
                raise refusals.precondition_failed("the source changed during the copy")
            current = records.object_at(connection, *target)
            conditional.check_write(target.key, current, conditions)
            copied = replace(
                record,
                bucket=target.bucket,
                key=target.key,
                details=details(record.details),
                checksum=checksum,
                modified=self._clock.now(),
                upload_id=None,
            )
            records.put_object(connection, copied, replaces=current)
        return copied

    def tag(self, bucket: str, key: str, tags: dict[str, str]) -> None:
        """Give the object these tags in place of those it has."""
        self._check_own(bucket)
        if self._mounts.at(bucket) is not None:
            raise refusals.mounted(bucket, "set tags with the tools of its own provider")
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            record = _required_object(connection, Place(bucket, key))
            records.change_details(connection, record, replace(record.details, tags=tags))

    def list_objects(self, bucket: str, asked: listing.ListingRequest) -> listing.Listing:
        """A page of the objects in a bucket. Raises NoSuchBucket."""
        mounted = self._mounts.at(bucket)
        if mounted is not None:
            return listing.list_page(partial(mounted.objects_from, asked.prefix), asked)
        with reading(self._store.engine) as connection:
            _required(connection, bucket)
            return listing.list_page(
                lambda start, end, limit: records.objects_from(connection, bucket, start, end, limit), asked
            )

    def under(self, bucket: str, prefix: str) -> Iterator[ObjectRecord]:
        """Every object whose key begins with `prefix`, in order."""
        start: bytes | None = b""
        while start is not None:
            page = self.list_objects(bucket, listing.ListingRequest(prefix=prefix, start=start))
            yield from page.objects
            start = page.next_start

    def sweep(self) -> Swept:
        """Remove some contents without a row; the server does so every minute, until no more are due."""
        return sweeping.sweep_batch(self._store, self._clock.now())

    def sweep_leftovers(self) -> int:
        """Take up files that crashes left behind; for the start of the server."""
        return sweeping.sweep_leftovers(self._store, self._clock.now())

    def _put_blocks(self, place: Place, blocks: Iterator[bytes], content_type: str) -> ObjectRecord:
        self._check_target(place)
        with refusals.full_disk_refused(), self._contents.reception(NOTHING_PROMISED) as reception:
            for block in blocks:
                reception.write(block)
            return self._keep(place, reception, Details(content_type=content_type), UNCONDITIONAL)

    def _check_target(self, place: Place) -> None:
        names.check_key(place.key)
        self._check_own(place.bucket)
        self.head(place.bucket)

    def _check_own(self, bucket: str) -> None:
        """Raises AccessDenied for a bucket that the installation provides."""
        if self._mounts.provided(bucket) is not None:
            raise refusals.provided(bucket)

    def _keep(self, place: Place, reception: Reception, details: Details, conditions: Conditions) -> ObjectRecord:
        names.check_key(place.key)
        reception.settle()
        mounted = self._mounts.at(place.bucket)
        if mounted is not None:
            mounted.check_write(place.key, conditions)
            content = reception.small if reception.file is None else reception.file.path
            mounted.write(place.key, content, details, is_new=conditions.if_none_match is not None)
            return mounted.find(place.key)
        return self._grouping.make(self._kept(place, reception, details, conditions))

    def _kept(
        self, place: Place, reception: Reception, details: Details, conditions: Conditions
    ) -> Change[ObjectRecord]:
        """The change that makes what has settled the object there."""

        def kept(connection: Connection) -> ObjectRecord:
            alone(connection, sweeping.ROOM)
            _required(connection, place.bucket)
            current = records.object_at(connection, *place)
            conditional.check_write(place.key, current, conditions)
            record = ObjectRecord(
                bucket=place.bucket,
                key=place.key,
                digest=self._contents.keep(connection, reception),
                size=reception.size,
                etag=reception.etag,
                modified=self._clock.now(),
                details=details,
                checksum=reception.checksum,
            )
            records.put_object(connection, record, replaces=current)
            return record

        return kept

    def _checksum_for_copy(self, source: ObjectRecord, algorithm: Algorithm | None) -> Checksum | None:
        if algorithm is None or (source.checksum is not None and source.checksum.algorithm is algorithm):
            return source.checksum
        return checksums.of_blocks(algorithm, self._contents.blocks(source))


def _required(connection: Connection, bucket: str) -> BucketRecord:
    record = records.bucket_named(connection, bucket)
    if record is None:
        raise refusals.no_such_bucket(bucket)
    return record


def _required_object(connection: Connection, place: Place) -> ObjectRecord:
    _required(connection, place.bucket)
    record = records.object_at(connection, *place)
    if record is None:
        raise refusals.no_such_key(place.key)
    return record
