"""Uploads in parts: begun, fed in any order and at the same time, then completed into one object, or aborted.

Each part is a content of its own. Completing names the chosen parts as the pieces of one object and ends the upload, in
one short transaction that reads no byte, however long the parts are; until then the object that was there stays.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from anyio import to_thread
from sqlalchemy.engine import Connection

from outcrop.buckets import checksums, names, records, refusals, sweeping, versions
from outcrop.buckets import conditions as conditional
from outcrop.buckets.checksums import Algorithm, Checksum, ChecksumType
from outcrop.buckets.conditions import UNCONDITIONAL, Conditions, Stretch
from outcrop.buckets.content_records import Piece, digest_of_pieces, put_pieces
from outcrop.buckets.contents import Contents
from outcrop.buckets.encryption import ContentSeal
from outcrop.buckets.grouping import Grouping
from outcrop.buckets.mounted import Mounted
from outcrop.buckets.mounts import Mounts
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import Promise, Reception, receive
from outcrop.buckets.records import Details, ObjectRecord, PartRecord, UploadRecord
from outcrop.buckets.upload_ids import draw_upload_id
from outcrop.clock import Clock
from outcrop.errors import ServiceRefusal
from outcrop.store.database import alone, reading, writing
from outcrop.store.store import Store

MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * 1024**2


@dataclass(frozen=True, kw_only=True)
class ChosenPart:
    """A part as named by whoever completes the upload."""

    number: int
    etag: str
    checksum: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Whole:
    """The checksum and size of an object that whoever completes its upload states."""

    algorithm: Algorithm | None
    checksum: str | None
    checksum_type: ChecksumType | None
    size: int | None


class Uploads:
    """The unfinished uploads of every bucket."""

    def __init__(self, store: Store, clock: Clock, contents: Contents, grouping: Grouping, mounts: Mounts) -> None:
        self._store = store
        self._clock = clock
        self._contents = contents
        self._grouping = grouping
        self._mounts = mounts

    def begin(
        self,
        place: Place,
        *,
        details: Details,
        algorithm: Algorithm | None = None,
        checksum_type: ChecksumType | None = None,
    ) -> UploadRecord:
        """Raises NoSuchBucket, KeyTooLongError, or InvalidRequest for a checksum that S3 does not offer."""
        names.check_key(place.key)
        if self._mounts.provided(place.bucket) is not None:
            raise refusals.provided(place.bucket)
        if algorithm is None and checksum_type is not None:
            raise refusals.invalid_request("x-amz-checksum-type needs x-amz-checksum-algorithm beside it.")
        if algorithm is not None:
            checksum_type = checksum_type or checksums.default_type(algorithm)
            checksums.check_type(algorithm, checksum_type)
        now = self._clock.now()
        upload = UploadRecord(
            id=draw_upload_id(now),
            bucket=place.bucket,
            key=place.key,
            created=now,
            details=details,
            algorithm=algorithm,
            checksum_type=checksum_type,
        )
        with writing(self._store.engine) as connection:
            if records.bucket_named(connection, place.bucket) is None:
                raise refusals.no_such_bucket(place.bucket)
            records.add_upload(connection, upload)
        return upload

    def find(self, place: Place, upload_id: str) -> UploadRecord:
        """Raises NoSuchUpload, also when the upload is that of another key."""
        with reading(self._store.engine) as connection:
            return _required(connection, place, upload_id)

    async def put_part(
        self,
        place: Place,
        upload_id: str,
        number: int,
        chunks: AsyncIterator[bytes],
        promise: Promise,
        *,
        customer_key: bytes = b"",
    ) -> PartRecord:
        """Store one part as it arrives; a part sent again replaces the one before.

        `customer_key`: the caller's own, for an upload that was begun with one.
        """
        upload = self._found_at_once(place, upload_id)
        if upload is None:
            upload = await to_thread.run_sync(self.find, place, upload_id)
        promise = _promise_for(upload, number, promise)
        seal = None
        if upload.details.encryption is not None:
            seal = await to_thread.run_sync(self._seal, upload, customer_key)
        with refusals.full_disk_refused(), self._contents.reception(promise, seal) as reception:
            await receive(chunks, reception)
            return await to_thread.run_sync(self._keep_part, upload, number, reception)

    def copy_part(
        self,
        place: Place,
        upload_id: str,
        number: int,
        source: ObjectRecord,
        stretch: Stretch,
        *,
        customer_key: bytes = b"",
    ) -> PartRecord:
        """Make a part of a stretch of an object."""
        upload = self.find(place, upload_id)
        promise = _promise_for(upload, number, Promise())
        seal = self._seal(upload, customer_key)
        with refusals.full_disk_refused(), self._contents.reception(promise, seal) as reception:
            for block in self._contents.blocks(source, stretch):
                reception.write(block)
            return self._keep_part(upload, number, reception)

    def parts(self, place: Place, upload_id: str) -> tuple[UploadRecord, list[PartRecord]]:
        """The upload and its parts by number. Raises NoSuchUpload."""
        with reading(self._store.engine) as connection:
            upload = _required(connection, place, upload_id)
            return upload, records.parts_of(connection, upload_id)

    def complete(
        self,
        place: Place,
        upload_id: str,
        chosen: list[ChosenPart],
        *,
        algorithm: Algorithm | None = None,
        checksum: str | None = None,
        checksum_type: ChecksumType | None = None,
        size: int | None = None,
        conditions: Conditions = UNCONDITIONAL,
    ) -> ObjectRecord:
        """Make the object of these parts and end the upload.

        `checksum`, of this algorithm and type, and `size` are what the whole must have, if given.
        Completing once more gives the same object, as
        long as it is there: the first answer may have been lost on its way. Raises InvalidPart, InvalidPartOrder,
        EntityTooSmall, BadDigest, PreconditionFailed, NoSuchUpload.
        """
        whole = _Whole(algorithm=algorithm, checksum=checksum, checksum_type=checksum_type, size=size)
        try:
            return self._complete(place, upload_id, chosen, whole, conditions)
        except ServiceRefusal as refusal:
            done = self._done_before(place, upload_id) if refusal.code == "NoSuchUpload" else None
            if done is None:
                raise
            return done

    def abort(self, place: Place, upload_id: str, *, begun: datetime | None = None) -> None:
        """Raises NoSuchUpload; with `begun`, PreconditionFailed for an upload that began at another moment."""
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            upload = _required(connection, place, upload_id)
            if begun is not None and begun != upload.created.replace(microsecond=0):
                raise refusals.precondition_failed("x-amz-if-match-initiated-time")
            records.remove_upload(connection, upload_id, at=self._clock.now())

    def of_bucket(self, bucket: str) -> list[UploadRecord]:
        """The unfinished uploads of a bucket, by key, then by when they began. Raises NoSuchBucket."""
        with reading(self._store.engine) as connection:
            if records.bucket_named(connection, bucket) is None:
                raise refusals.no_such_bucket(bucket)
            return records.uploads_of(connection, bucket)

    def _found_at_once(self, place: Place, upload_id: str) -> UploadRecord | None:
        """The upload that `find` would return, where that takes no thread; None says nothing."""
        points = self._store.points
        upload = records.upload_by_point(points, upload_id) if points.possible() else None
        return upload if upload is not None and (upload.bucket, upload.key) == place else None

    def _seal(self, upload: UploadRecord, customer_key: bytes) -> ContentSeal | None:
        """The seal of one part: each has a data key of its own."""
        asked = upload.details.encryption
        if asked is not None and customer_key:
            asked = replace(asked, customer_key=customer_key)
        return self._contents.seal(asked, Place(upload.bucket, upload.key))

    def _keep_part(self, upload: UploadRecord, number: int, reception: Reception) -> PartRecord:
        reception.settle()

        def kept(connection: Connection) -> PartRecord:
            alone(connection, sweeping.ROOM)
            _required(connection, Place(upload.bucket, upload.key), upload.id)  # it may have ended meanwhile
            part = PartRecord(
                upload_id=upload.id,
                number=number,
                digest=self._contents.keep(connection, reception),
                size=reception.size,
                etag=reception.etag,
                modified=self._clock.now(),
                checksum=reception.checksum,
            )
            records.put_part(connection, part)
            return part

        return self._grouping.make(kept)

    def _complete(
        self,
        place: Place,
        upload_id: str,
        chosen: list[ChosenPart],
        whole: _Whole,
        conditions: Conditions,
    ) -> ObjectRecord:
        upload, present = self.parts(place, upload_id)
        parts = chosen_parts(chosen, present)
        taken = checksum_of(upload, parts)
        _check_whole(whole, upload, taken, sum(part.size for part in parts))
        for part in parts:
            is_sealed = upload.details.encryption is not None
            self._contents.check_part(
                part.digest, part.size, of=f"s3://{place.bucket}/{place.key}", is_sealed=is_sealed
            )
        mounted = self._mounts.mounted(place.bucket)  # in what is provided no upload begins
        if mounted is not None:
            return self._finish_there(mounted, upload, parts, conditions)
        return self._finish(upload, parts, taken, conditions)

    def _done_before(self, place: Place, upload_id: str) -> ObjectRecord | None:
        with reading(self._store.engine) as connection:
            record = records.object_at(connection, *place)
        return record if record is not None and record.upload_id == upload_id else None

    def _finish_there(
        self, mounted: Mounted, upload: UploadRecord, parts: list[PartRecord], conditions: Conditions
    ) -> ObjectRecord:
        """Send the parts on as one object, then end the upload. When that is cut short, it may be completed again."""
        mounted.check_write(upload.key, conditions)
        blocks = (block for part in parts for block in self._contents.blocks_of(part.digest, part.size))
        mounted.write(upload.key, blocks, upload.details, is_new=conditions.if_none_match is not None)
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            records.remove_upload(connection, upload.id, at=self._clock.now())
        return mounted.find(upload.key)

    def _finish(
        self, upload: UploadRecord, parts: list[PartRecord], checksum: Checksum | None, conditions: Conditions
    ) -> ObjectRecord:
        place = Place(upload.bucket, upload.key)
        pieces = [
            Piece(number=part.number, content=part.digest, size=part.size, checksum=part.checksum) for part in parts
        ]
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            _required(connection, place, upload.id)
            if not set(parts) <= set(records.parts_of(connection, upload.id)):
                raise refusals.invalid_part(parts[0].number)  # one was sent again meanwhile
            current = records.object_at(connection, *place)
            conditional.check_write(upload.key, current, conditions)
            conditional.check_unchanged_since(upload.created, current, upload.key, conditions)
            record = ObjectRecord(
                bucket=upload.bucket,
                key=upload.key,
                digest=digest_of_pieces(pieces),
                size=sum(part.size for part in parts),
                etag=checksums.etag_of_parts([part.etag for part in parts]),
                modified=self._clock.now(),
                details=upload.details,
                checksum=checksum,
                upload_id=upload.id,
            )
            put_pieces(connection, record.digest, pieces)
            bucket = records.bucket_named(connection, upload.bucket)
            assert bucket is not None, "an upload of it is there"
            record = versions.put(connection, bucket, record, replaces=current)
            records.remove_upload(connection, upload.id, at=record.modified)
        return record


def chosen_parts(chosen: list[ChosenPart], present: list[PartRecord]) -> list[PartRecord]:
    """The parts that were chosen. Raises MalformedXML, InvalidPartOrder, InvalidPart or EntityTooSmall."""
    if not chosen:
        raise refusals.malformed_xml("no part is named.")
    if any(later.number <= earlier.number for earlier, later in pairwise(chosen)):
        raise refusals.invalid_part_order()
    by_number = {part.number: part for part in present}
    parts = []
    for choice in chosen:
        part = by_number.get(choice.number)
        if part is None or part.etag != choice.etag.strip('"'):
            raise refusals.invalid_part(choice.number)
        kept = part.checksum.value if part.checksum is not None else None
        if choice.checksum not in (None, kept):
            raise refusals.invalid_part(choice.number)
        parts.append(part)
    for part in parts[:-1]:
        if part.size < MIN_PART_BYTES:
            raise refusals.entity_too_small(part.number, part.size, MIN_PART_BYTES)
    return parts


def _check_whole(whole: _Whole, upload: UploadRecord, taken: Checksum | None, size: int) -> None:
    """Raises InvalidRequest for what was not begun so, BadDigest for another checksum."""
    kind = upload.checksum_type or ChecksumType.FULL_OBJECT
    if whole.checksum_type not in (None, kind):
        raise refusals.invalid_request(
            f"The upload was created using the {kind} checksum mode. The complete request must use the same checksum "
            "mode."
        )
    if whole.algorithm not in (None, upload.algorithm):
        begun = f"with {upload.algorithm}" if upload.algorithm else "without a checksum algorithm"
        raise refusals.invalid_request(
            f"The upload was created {begun}: leave x-amz-checksum-{whole.algorithm.lower()} out, or name the "
            "algorithm in CreateMultipartUpload."
        )
    if taken is not None:
        checksums.check_value(taken, whole.checksum)
    if whole.size not in (None, size):
        raise refusals.invalid_request(
            f"The provided x-amz-mp-object-size {whole.size} does not match the actual size {size}."
        )


def checksum_of(upload: UploadRecord, parts: list[PartRecord]) -> Checksum | None:
    """The checksum that an upload asked for, over those of its parts or over all bytes.

    That over all bytes is joined from the parts'.
    """
    if upload.algorithm is None:
        return None
    taken = [(part.checksum.value, part.size) for part in parts if part.checksum is not None]
    assert len(taken) == len(parts), "every part of an upload with an algorithm has its checksum"
    if upload.checksum_type is ChecksumType.COMPOSITE:
        return checksums.of_parts(upload.algorithm, [value for value, _ in taken])
    return checksums.joined(upload.algorithm, taken)


def _promise_for(upload: UploadRecord, number: int, promise: Promise) -> Promise:
    if not 1 <= number <= MAX_PARTS:
        raise refusals.invalid_argument(
            "partNumber", str(number), f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive"
        )
    if upload.algorithm is None or promise.algorithm is upload.algorithm:
        return promise
    if promise.algorithm is not None:
        raise refusals.invalid_request(
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, actual checksum "
            f"Type: {promise.algorithm.lower()}"
        )
    return replace(promise, algorithm=upload.algorithm)


def _required(connection: Connection, place: Place, upload_id: str) -> UploadRecord:
    if records.bucket_named(connection, place.bucket) is None:
        raise refusals.no_such_bucket(place.bucket)
    upload = records.upload_with(connection, upload_id)
    if upload is None or (upload.bucket, upload.key) != place:
        raise refusals.no_such_upload(upload_id)
    return upload
