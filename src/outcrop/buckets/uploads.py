"""Uploads in parts: begun, fed in any order and at the same time, then completed into one object, or aborted.

Each part is a file of its own. Completing reads the chosen parts into one new file before the short transaction that
makes the object and ends the upload; until then the object that was there stays what it was.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from anyio import to_thread
from sqlalchemy.engine import Connection

from outcrop.buckets import checksums, names, records, refusals, sweeping
from outcrop.buckets import conditions as conditional
from outcrop.buckets.checksums import Algorithm, Checksum, ChecksumType
from outcrop.buckets.conditions import UNCONDITIONAL, Conditions, Stretch
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import BLOCK_BYTES, Assembly, Promise, Reception, receive
from outcrop.buckets.records import Details, ObjectRecord, PartRecord, UploadRecord
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


class Uploads:
    """The unfinished uploads of every bucket."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

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
        if algorithm is None and checksum_type is not None:
            raise refusals.invalid_request("x-amz-checksum-type needs x-amz-checksum-algorithm beside it.")
        if algorithm is not None:
            checksum_type = checksum_type or checksums.default_type(algorithm)
            checksums.check_type(algorithm, checksum_type)
        upload = UploadRecord(
            id=secrets.token_urlsafe(32),
            bucket=place.bucket,
            key=place.key,
            created=self._clock.now(),
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
        self, place: Place, upload_id: str, number: int, chunks: AsyncIterator[bytes], promise: Promise
    ) -> PartRecord:
        """Store one part as it arrives; a part sent again replaces the one before."""
        upload = await to_thread.run_sync(self.find, place, upload_id)
        with refusals.full_disk_refused(), self._store.objects.incoming() as incoming:
            reception = Reception(incoming, _promise_for(upload, number, promise))
            await receive(chunks, reception)
            return await to_thread.run_sync(self._keep_part, upload, number, reception)

    def copy_part(
        self,
        place: Place,
        upload_id: str,
        number: int,
        source: ObjectRecord,
        stretch: Stretch,
    ) -> PartRecord:
        """Make a part of a stretch of an object."""
        upload = self.find(place, upload_id)
        with refusals.full_disk_refused(), self._store.objects.incoming() as incoming:
            reception = Reception(incoming, _promise_for(upload, number, Promise()))
            with self._store.objects.path(source.digest).open("rb") as file:
                file.seek(stretch.offset)
                left = stretch.length
                while left and (block := file.read(min(BLOCK_BYTES, left))):
                    reception.write(block)
                    left -= len(block)
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
        checksum: str | None = None,
        size: int | None = None,
        conditions: Conditions = UNCONDITIONAL,
    ) -> ObjectRecord:
        """Make the object of these parts and end the upload.

        `checksum` and `size` are what the whole must have, if given. Completing once more gives the same object, as
        long as it is there: the first answer may have been lost on its way. Raises InvalidPart, InvalidPartOrder,
        EntityTooSmall, BadDigest, PreconditionFailed, NoSuchUpload.
        """
        try:
            return self._complete(place, upload_id, chosen, checksum, size, conditions)
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
        sweeping.sweep(self._store, self._clock.now())

    def of_bucket(self, bucket: str) -> list[UploadRecord]:
        """By key, then by when they began. Raises NoSuchBucket."""
        with reading(self._store.engine) as connection:
            if records.bucket_named(connection, bucket) is None:
                raise refusals.no_such_bucket(bucket)
            return records.uploads_of(connection, bucket)

    def _keep_part(self, upload: UploadRecord, number: int, reception: Reception) -> PartRecord:
        reception.settle()
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            _required(connection, Place(upload.bucket, upload.key), upload.id)  # it may have ended meanwhile
            part = PartRecord(
                upload_id=upload.id,
                number=number,
                digest=self._store.objects.keep(reception.incoming),
                size=reception.size,
                etag=reception.etag,
                modified=self._clock.now(),
                checksum=reception.checksum,
            )
            records.put_part(connection, part)
        return part

    def _complete(
        self,
        place: Place,
        upload_id: str,
        chosen: list[ChosenPart],
        checksum: str | None,
        size: int | None,
        conditions: Conditions,
    ) -> ObjectRecord:
        upload, present = self.parts(place, upload_id)
        parts = chosen_parts(chosen, present)
        with refusals.full_disk_refused(), self._store.objects.incoming() as incoming:
            whole_algorithm = upload.algorithm if upload.checksum_type is ChecksumType.FULL_OBJECT else None
            assembly = Assembly(incoming, whole_algorithm)
            for block in self._blocks(upload, parts):
                assembly.write(block)
            taken = assembly.checksum or composite(upload, parts)
            if taken is not None:
                checksums.check_value(taken, checksum)
            if size is not None and size != incoming.size:
                raise refusals.invalid_request(
                    f"The provided x-amz-mp-object-size {size} does not match the actual size {incoming.size}."
                )
            incoming.settle()
            return self._finish(upload, parts, assembly, taken, conditions)

    def _done_before(self, place: Place, upload_id: str) -> ObjectRecord | None:
        with reading(self._store.engine) as connection:
            record = records.object_at(connection, *place)
        return record if record is not None and record.upload_id == upload_id else None

    def _blocks(self, upload: UploadRecord, parts: list[PartRecord]) -> Iterator[bytes]:
        for part in parts:
            try:
                with self._store.objects.path(part.digest).open("rb") as file:
                    while block := file.read(BLOCK_BYTES):
                        yield block
            except FileNotFoundError:  # aborted, or completed by another request, a while ago
                raise refusals.no_such_upload(upload.id) from None

    def _finish(
        self,
        upload: UploadRecord,
        parts: list[PartRecord],
        assembly: Assembly,
        checksum: Checksum | None,
        conditions: Conditions,
    ) -> ObjectRecord:
        place = Place(upload.bucket, upload.key)
        with writing(self._store.engine) as connection:
            alone(connection, sweeping.ROOM)
            _required(connection, place, upload.id)
            conditional.check_write(upload.key, records.object_at(connection, *place), conditions)
            record = ObjectRecord(
                bucket=upload.bucket,
                key=upload.key,
                digest=self._store.objects.keep(assembly.incoming),
                size=assembly.incoming.size,
                etag=checksums.etag_of_parts([part.etag for part in parts]),
                modified=self._clock.now(),
                details=upload.details,
                checksum=checksum,
                upload_id=upload.id,
            )
            records.put_object(connection, record)
            records.remove_upload(connection, upload.id, at=record.modified)
        sweeping.sweep(self._store, self._clock.now())
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
        if choice.checksum is not None and part.checksum is not None and choice.checksum != part.checksum.value:
            raise refusals.invalid_part(choice.number)
        parts.append(part)
    for part in parts[:-1]:
        if part.size < MIN_PART_BYTES:
            raise refusals.entity_too_small(part.number, part.size, MIN_PART_BYTES)
    return parts


def composite(upload: UploadRecord, parts: list[PartRecord]) -> Checksum | None:
    """The checksum over those of the parts, if the upload asked for one."""
    if upload.algorithm is None or upload.checksum_type is not ChecksumType.COMPOSITE:
        return None
    values = [part.checksum.value for part in parts if part.checksum is not None]
    assert len(values) == len(parts), "every part of an upload with an algorithm has its checksum"
    return checksums.of_parts(upload.algorithm, values)


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
