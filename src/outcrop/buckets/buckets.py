"""The built-in S3: buckets and the objects in them. Uploads in parts are `Buckets.uploads`.

The door uses `put`, which takes the bytes as they arrive, and `body`; workers use `put_bytes`, `put_file`, `read_bytes`
and `path_of`. Everything is refused in S3's codes. An object is whole or not there at all, and its bytes never change:
an overwrite is another content.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from anyio import to_thread
from sqlalchemy.engine import Connection

from outcrop.buckets import (
    checksums,
    listing,
    names,
    records,
    refusals,
    settings_records,
    sweeping,
    version_listing,
    version_records,
    versions,
)
from outcrop.buckets import conditions as conditional
from outcrop.buckets.checksums import Algorithm, Checksum
from outcrop.buckets.conditions import UNCONDITIONAL, Conditions, Stretch
from outcrop.buckets.content_records import Piece, pieces_of, schema
from outcrop.buckets.contents import Contents
from outcrop.buckets.cors import Rule
from outcrop.buckets.encryption import (
    SSE_S3,
    ContentSealing,
    EncryptionMethod,
    ObjectEncryption,
    encryption_of,
    no_envelopes,
)
from outcrop.buckets.expiration import Expirations
from outcrop.buckets.grouping import Change, Grouping
from outcrop.buckets.lifecycle import Expiry, expiry_of, rules_in_force
from outcrop.buckets.mounts import Mounts, check_url
from outcrop.buckets.names import Place
from outcrop.buckets.provided import Provider, nothing_provided
from outcrop.buckets.receiving import BLOCK_BYTES, NOTHING_PROMISED, Promise, Reception, receive
from outcrop.buckets.records import BucketRecord, Details, ObjectRecord
from outcrop.buckets.sweeping import Swept
from outcrop.buckets.uploads import Uploads
from outcrop.buckets.version_ids import NULL_VERSION
from outcrop.buckets.version_records import VersionRecord
from outcrop.buckets.versions import NOTHING_TOLD, Removed
from outcrop.clock import Clock
from outcrop.errors import ServiceRefusal
from outcrop.keys.envelopes import Envelopes
from outcrop.protocol.http import Body
from outcrop.settings import DEFAULT_REGION
from outcrop.store.database import alone, create_tables, reading, writing
from outcrop.store.store import Store

PLAIN = Details()


def _unchanged(details: Details) -> Details:
    return details


class Buckets:
    """All buckets of the installation; their names are unique over every region."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        provider: Provider = nothing_provided,
        *,
        rules_changed: Callable[[Connection], object] = lambda _connection: None,
        envelopes: Callable[[], Envelopes] = no_envelopes,
        seals_all: bool = False,
    ) -> None:
        """`provider` makes the buckets that the installation provides. `envelopes`: the data keys of what is sealed.

        `rules_changed` is told, within its transaction, of each change to who may use a bucket. `seals_all`: whether
        the installation's key seals what nobody asked another encryption for.
        """
        self._seals_all = seals_all
        self._store = store
        self._clock = clock
        self._rules_changed = rules_changed
        create_tables(store.engine, schema)
        self._mounts = Mounts(store.objects.mounts_file, provider)
        self._sealing = ContentSealing(envelopes)
        self._contents = Contents(store, clock, self._mounts, self._sealing)
        self._grouping = Grouping(store.engine)
        self._expirations = Expirations(store, clock)
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
            bucket = _required(connection, name)
            if records.objects_from(connection, name, b"", None, 1) or version_records.has_versions(connection, name):
                raise refusals.bucket_not_empty(name, keeps_versions=bucket.versioning is not None)
            for upload in records.uploads_of(connection, name):
                records.remove_upload(connection, upload.id, at=self._clock.now())
            settings_records.remove_settings(connection, name)
            records.remove_bucket(connection, name)
            self._rules_changed(connection)

    def mount(self, name: str, url: str) -> None:
        """A bucket whose objects are kept at `url`. Raises Invalid, InvalidBucketName, BucketNotEmpty."""
        check_url(url)
        self.create(name, DEFAULT_REGION)
        with reading(self._store.engine) as connection:
            if records.objects_from(connection, name, b"", None, 1) or version_records.has_versions(connection, name):
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

    def documents(self, bucket: str, kinds: Iterable[str]) -> dict[str, Any] | None:
        """The documents of several kinds; None where there is no bucket on which any could be set."""
        if self._mounts.provided(bucket) is not None:
            return None
        with reading(self._store.engine) as connection:
            if records.bucket_named(connection, bucket) is None:
                return None
            return {kind: settings_records.setting(connection, bucket, kind) for kind in kinds}

    def set_setting(self, bucket: str, kind: str, document: Any) -> None:
        """Set it, in place of what was set; None takes it away. Raises NoSuchBucket."""
        self._check_own(bucket)
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            _required(connection, bucket)
            settings_records.change_setting(connection, bucket, kind, document)
            if kind in (settings_records.POLICY, settings_records.PUBLIC_ACCESS):
                self._rules_changed(connection)

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
        seal = None
        if details.encryption is not None:
            seal = await to_thread.run_sync(self._contents.seal, details.encryption, place)
        with refusals.full_disk_refused(), self._contents.reception(promise, seal) as reception:
            await receive(chunks, reception)
            if reception.file is not None or self._mounts.at(place.bucket) is not None:
                return await to_thread.run_sync(self._keep, place, reception, details, conditions)
            names.check_key(place.key)
            reception.settle()
            return await self._grouping.made(self._kept(place, reception, details, conditions))

    def put_bytes(
        self,
        bucket: str,
        key: str,
        data: bytes,
        content_type: str = PLAIN.content_type,
        metadata: dict[str, str] | None = None,
        *,
        encryption: ObjectEncryption | None = None,
    ) -> ObjectRecord:
        """Store bytes. Without an encryption they get the one that the bucket gives to all."""
        return self._put_blocks(Place(bucket, key), iter([data]), content_type, encryption, metadata)

    def put_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        content_type: str = PLAIN.content_type,
        *,
        encryption: ObjectEncryption | None = None,
    ) -> ObjectRecord:
        """Store a copy of the file."""
        with path.open("rb") as file:
            blocks = iter(lambda: file.read(BLOCK_BYTES), b"")
            return self._put_blocks(Place(bucket, key), blocks, content_type, encryption)

    def encryption_for(self, bucket: str, asked: ObjectEncryption | None = None) -> ObjectEncryption | None:
        """The encryption of a new object, with the ARN of its key: as asked for, or as the bucket gives.

        Raises KMS.NotFoundException, and NoSuchBucket where a key is to be found.
        """
        chosen = asked or self._default_encryption(bucket)
        if chosen is None or chosen.method is not EncryptionMethod.KMS:
            return chosen
        return self._sealing.named(chosen, self.head(bucket).region)

    def _default_encryption(self, bucket: str) -> ObjectEncryption | None:
        if self._mounts.at(bucket) is not None:
            return None
        points = self._store.points
        document = (
            settings_records.setting_by_point(points, bucket, settings_records.ENCRYPTION)
            if points.possible()
            else self.setting(bucket, settings_records.ENCRYPTION)
        )
        if document is None:
            return SSE_S3 if self._seals_all else None
        return encryption_of(document)

    def find(self, bucket: str, key: str, version: str | None = None) -> ObjectRecord:
        """The object, or one of its versions. Raises NoSuchBucket, NoSuchKey, NoSuchVersion, and MethodNotAllowed for a
        delete marker."""
        mounted = self._mounts.at(bucket)
        if mounted is not None:
            if version not in (None, NULL_VERSION):
                raise refusals.no_such_version(key, version)
            return mounted.find(key)
        if version is not None:
            with reading(self._store.engine) as connection:
                _required(connection, bucket)
                return versions.find(connection, Place(bucket, key), version)
        points = self._store.points
        found = records.object_by_point(points, bucket, key) if points.possible() else None
        if found is not None:
            return found
        with reading(self._store.engine) as connection:
            return _required_object(connection, Place(bucket, key))

    def tags_by_arn(self, arn: str, version: str | None = None) -> dict[str, str]:
        """Tags of an object; none where nothing is, and in mounted buckets, which keep tags to themselves."""
        bucket, _, key = arn.removeprefix("arn:aws:s3:::").partition("/")
        provided = self._mounts.provided(bucket)
        if provided is not None:
            return provided.tags
        if self.is_mounted(bucket):
            return {}
        try:
            return self.find(bucket, key, version or None).details.tags
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

    def open(self, record: ObjectRecord) -> BinaryIO:
        """The object as a file of Python's, to be read and sought in; sealed ones are opened on the way."""
        return self._contents.open(record)

    def path_of(self, bucket: str, key: str) -> Path:
        """`path` of the object that is there now."""
        return self.path(self.find(bucket, key))

    def read_bytes(self, bucket: str, key: str) -> bytes:
        return self._contents.read(self.find(bucket, key))

    def remove(
        self, bucket: str, key: str, conditions: Conditions = UNCONDITIONAL, *, version: str | None = None
    ) -> Removed:
        """Delete an object, or one of its versions for good. Removing what is not there is no error. Raises
        NoSuchBucket, PreconditionFailed."""
        mounted = self._mounts.at(bucket)
        if mounted is not None:
            mounted.check_removal(key, conditions)
            if version in (None, NULL_VERSION):
                mounted.remove(key)
            return NOTHING_TOLD

        def removed(connection: Connection) -> Removed:
            alone(connection, sweeping.ROOM)
            found, place, now = _required(connection, bucket), Place(bucket, key), self._clock.now()
            if conditions != UNCONDITIONAL:
                conditional.check_removal(key, records.object_at(connection, *place), conditions)
            if version is None:
                return versions.remove(connection, found, place, at=now)
            return versions.remove_version(connection, found, place, version, at=now)

        return self._grouping.make(removed)

    def copy(
        self,
        source: Place,
        target: Place,
        *,
        details: Callable[[Details], Details] = _unchanged,
        algorithm: Algorithm | None = None,
        source_conditions: Conditions = UNCONDITIONAL,
        conditions: Conditions = UNCONDITIONAL,
        version: str | None = None,
        read: Callable[[ObjectRecord], object] = lambda _source: None,
        source_key: bytes = b"",
    ) -> ObjectRecord:
        """A second row for the same file, `details` made of the source's. A checksum of another kind is taken anew.

        What is sealed, before or behind, is read and sealed anew: no two objects share a data key. `source_key` is the
        caller's own, for a source that was put with it. `version`: that of the source; None: its newest. `read` is told
        the object that was read.
        """
        names.check_key(target.key)
        found = _with_key(self.find(*source, version), source_key)
        made = details(found.details)
        elsewhere = self._mounts.at(source.bucket) is not None or self._mounts.at(target.bucket) is not None
        if elsewhere or found.details.encryption is not None or made.encryption is not None:
            conditional.check_source(found, source_conditions, now=self._clock.now())
            read(found)
            self._check_target(target)
            kept = algorithm or (None if elsewhere or found.checksum is None else found.checksum.algorithm)
            seal = self._contents.seal(made.encryption, target)
            with refusals.full_disk_refused(), self._contents.reception(Promise(algorithm=kept), seal) as reception:
                for block in self._contents.blocks(found):
                    reception.write(block)
                return self._keep(target, reception, made, conditions)
        self._contents.check(found)
        checksum = self._checksum_for_copy(found, algorithm)
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            bucket = _required(connection, target.bucket)
            # Read again: only a row that is there in this transaction keeps its file from being swept.
            record = _required_object(connection, source, version)
            conditional.check_source(record, source_conditions, now=self._clock.now())
            if record.digest != found.digest:
                raise refusals.precondition_failed("the source changed during the copy")
            read(record)
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
                version=None,
                versioning=None,
            )
            return versions.put(connection, bucket, copied, replaces=current)

    def tagged(self, place: Place, version: str | None = None) -> ObjectRecord:
        """The object whose tags are asked for. Raises as `find`, also where a delete marker is the latest."""
        if self._mounts.at(place.bucket) is not None:
            return self.find(*place, version)
        with reading(self._store.engine) as connection:
            bucket = _required(connection, place.bucket)
            found = versions.tagged(connection, place, version, method="GET")
            return replace(found.object, versioning=bucket.versioning)

    def tag(
        self, bucket: str, key: str, tags: dict[str, str], *, version: str | None = None, method: str = "PUT"
    ) -> ObjectRecord:
        """Give the object, or one of its versions, these tags in place of those it has. `method`: what a refusal
        names."""
        self._check_own(bucket)
        if self._mounts.at(bucket) is not None:
            raise refusals.mounted(bucket, "set tags with the tools of its own provider")
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            found = _required(connection, bucket)
            tagged = versions.change_tags(connection, Place(bucket, key), version, tags, method=method)
            return replace(tagged.object, versioning=found.versioning)

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

    def list_versions(self, bucket: str, asked: version_listing.VersionRequest) -> version_listing.VersionListing:
        """A page of the versions and delete markers in a bucket. Raises NoSuchBucket."""
        mounted = self._mounts.at(bucket)
        if mounted is not None:
            return version_listing.of_objects(partial(mounted.objects_from, asked.prefix), asked)
        with reading(self._store.engine) as connection:
            _required(connection, bucket)

            def fetch(start: version_records.VersionPlace, end: bytes | None, limit: int) -> list[VersionRecord]:
                return version_records.versions_from(connection, bucket, start, end, limit)

            start = version_listing.start_of(asked, lambda key: self._null_rank(connection, bucket, key))
            return version_listing.list_page(fetch, asked, start)

    def _null_rank(self, connection: Connection, bucket: str, key: str) -> version_records.VersionPlace:
        """The place behind the version `null` of a key; the key's first where that is there no more."""
        place = Place(bucket, key)
        older = version_records.version_named(connection, *place, NULL_VERSION)
        if older is not None:
            return version_records.VersionPlace(key.encode(), older.rank, with_object=False)
        current = records.object_at(connection, *place)
        is_null = current is not None and current.version is None
        return version_records.VersionPlace(key.encode(), with_object=not is_null)

    def under(self, bucket: str, prefix: str) -> Iterator[ObjectRecord]:
        """Every object whose key begins with `prefix`, in order."""
        start: bytes | None = b""
        while start is not None:
            page = self.list_objects(bucket, listing.ListingRequest(prefix=prefix, start=start))
            yield from page.objects
            start = page.next_start

    def expiry(self, record: ObjectRecord) -> Expiry | None:
        """When an object expires by the rules of its bucket; None where it stays."""
        points, kind = self._store.points, settings_records.LIFECYCLE
        if points.possible():
            document = settings_records.setting_by_point(points, record.bucket, kind)
        else:
            with reading(self._store.engine) as connection:
                document = settings_records.setting(connection, record.bucket, kind)
        return None if document is None else expiry_of(rules_in_force(document["Rules"]), record)

    def expire(self) -> Swept:
        """Remove some of what has expired; the server does so every minute, until no more is due."""
        return self._expirations.turn()

    def sweep(self) -> Swept:
        """Remove some contents without a row; the server does so every minute, until no more are due."""
        return sweeping.sweep_batch(self._store, self._clock.now())

    def sweep_leftovers(self) -> int:
        """Take up files that crashes left behind; for the start of the server."""
        return sweeping.sweep_leftovers(self._store, self._clock.now())

    def _put_blocks(
        self,
        place: Place,
        blocks: Iterator[bytes],
        content_type: str,
        encryption: ObjectEncryption | None,
        metadata: dict[str, str] | None = None,
    ) -> ObjectRecord:
        self._check_target(place)
        encryption = encryption or self.encryption_for(place.bucket)
        seal = self._contents.seal(encryption, place)
        details = Details(content_type=content_type, metadata=metadata or {}, encryption=encryption)
        with refusals.full_disk_refused(), self._contents.reception(NOTHING_PROMISED, seal) as reception:
            for block in blocks:
                reception.write(block)
            return self._keep(place, reception, details, UNCONDITIONAL)

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
            bucket = _required(connection, place.bucket)
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
            return versions.put(connection, bucket, record, replaces=current)

        return kept

    def _checksum_for_copy(self, source: ObjectRecord, algorithm: Algorithm | None) -> Checksum | None:
        if algorithm is None or (source.checksum is not None and source.checksum.algorithm is algorithm):
            return source.checksum
        return checksums.of_blocks(algorithm, self._contents.blocks(source))


def _with_key(record: ObjectRecord, customer_key: bytes) -> ObjectRecord:
    encryption = record.details.encryption
    if encryption is None or not customer_key:
        return record
    return replace(record, details=replace(record.details, encryption=replace(encryption, customer_key=customer_key)))


def _required(connection: Connection, bucket: str) -> BucketRecord:
    record = records.bucket_named(connection, bucket)
    if record is None:
        raise refusals.no_such_bucket(bucket)
    return record


def _required_object(connection: Connection, place: Place, version: str | None = None) -> ObjectRecord:
    _required(connection, place.bucket)
    if version is not None:
        return versions.find(connection, place, version)
    record = records.object_at(connection, *place)
    if record is None:
        raise versions.missing(connection, place)
    return record
