"""Delivery of trails: log files every five minutes while there is something, digest files every hour.

A delivery is planned on record before it begins, and its files follow from the plan: one that was killed in the middle
is made again under the same names with the same bytes, so that each event is in the bucket once. A bucket that refuses
is told in the trail's status, and everything is delivered once it lets in again, as long as the record has it.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta

from outcrop import logs
from outcrop.audit.audit import Audit
from outcrop.audit.entry import Entry
from outcrop.clock import Clock
from outcrop.errors import Denied, MachineTrouble, Refusal, ServiceRefusal
from outcrop.loops import each
from outcrop.trails.digests import digest_file, metadata, signed_text
from outcrop.trails.log_files import TrailFile, log_file, unpacked, utc
from outcrop.trails.progress import Delivered, Digest, TrailProgress
from outcrop.trails.signing_keys import SigningKeys
from outcrop.trails.trail import Trail
from outcrop.trails.trails import GLOBAL, Trails, is_of, region_of

EVERY = timedelta(minutes=5)
DIGEST_EVERY = timedelta(hours=1)
MOST_ENTRIES = 10_000
"Looked at for one delivery: a file for each region, of some megabytes at most."
_JSON = "application/json"
_log = logging.getLogger("outcrop.trails")


class TrailDelivery:
    """The deliveries of one installation; one process makes them."""

    def __init__(self, trails: Trails, audit: Audit, keys: SigningKeys, clock: Clock, account: str) -> None:
        self._trails = trails
        self._audit = audit
        self._keys = keys
        self._clock = clock
        self._account = account

    def turn(self) -> int:
        """Deliver what is due of every trail; returns the number of files."""
        return sum(each(self._trails.all(), self._deliver, log=_log, name=lambda trail: trail.arn))

    def _deliver(self, trail: Trail) -> int:
        progress, now = self._trails.progress.get(trail.arn), self._clock.now()
        if progress is None or (not trail.is_logging and progress.until is None):
            return 0
        progress, number = self._with_end(trail, progress), 0
        while progress is not None and (planned := self._planned(trail, progress, now)) is not None:
            try:
                progress, delivered = self._made(trail, planned, now)
            except (Refusal, MachineTrouble, OSError) as error:
                self._failed(trail, planned, now, error)
                return number
            number += delivered
        return number if progress is None else number + self._digest(trail, progress, now)

    def _with_end(self, trail: Trail, progress: TrailProgress) -> TrailProgress | None:
        """The progress with the entry of the request that stopped the trail, once it is written, as its end."""
        if progress.stop_request is None:
            return progress
        found = self._audit.entries(request_id=progress.stop_request, most=1)
        if not found:
            return progress
        return self._trails.progress.change(trail.arn, until=found[0].link.number, stop_request=None)

    def _planned(self, trail: Trail, progress: TrailProgress, now: datetime) -> TrailProgress | None:
        """The progress with the delivery that is due now on record; None where none is."""
        if progress.plan is not None:
            return progress if _is_due(progress.tried, now, EVERY) or not progress.error else None
        last = self._audit.last().number
        if progress.until is not None:
            last = min(last, progress.until)
        if progress.through >= last:
            return None
        more = last - progress.through > MOST_ENTRIES or not trail.is_logging
        if not more and not _is_due(progress.tried, now, EVERY):
            return None
        plan = {"through": min(last, progress.through + MOST_ENTRIES), "at": now.isoformat()}
        return self._trails.progress.change(trail.arn, plan=plan, error="")

    def _made(self, trail: Trail, progress: TrailProgress, now: datetime) -> tuple[TrailProgress | None, int]:
        """The progress after the planned delivery, None where the trail is gone, and the number of files.

        Raises what keeps them out.
        """
        assert progress.plan is not None, "a delivery is planned first"
        through, at = int(progress.plan["through"]), datetime.fromisoformat(str(progress.plan["at"]))
        files, delivered = {region: list(found) for region, found in progress.files.items()}, 0
        delivery = self._trails.delivery(trail)
        for region, entries in self._by_region(trail, progress.through, through):
            file = log_file(trail, self._account, region, entries, at=at, through=through)
            delivery.put(trail.bucket, file.key, file.content, content_type=_JSON)
            delivered += 1
            if trail.is_validated:
                files.setdefault(region, []).append(asdict(_delivered(trail, file, entries)))
        done = self._trails.progress.change(
            trail.arn,
            through=through,
            plan=None,
            tried=now.isoformat(),
            delivered=now.isoformat() if delivered else progress.delivered,
            error="",
            files=files,
            next_digest=progress.next_digest or ((now + DIGEST_EVERY).isoformat() if trail.is_validated else None),
        )
        return done, delivered

    def _by_region(self, trail: Trail, after: int, through: int) -> Iterator[tuple[str, list[Entry]]]:
        found: dict[str, list[Entry]] = {}
        for link, entry in self._audit.following(after, through - after):
            if link.number <= through and is_of(trail, entry):
                # Events of no region lie with those of the trail's home, as single-region trails have no other.
                region = trail.region if entry.service in GLOBAL or not trail.is_multi_region else region_of(entry)
                found.setdefault(region, []).append(entry)
        yield from sorted(found.items())

    def _failed(self, trail: Trail, progress: TrailProgress, now: datetime, error: Exception) -> None:
        code = _code_of(error)
        if progress.error != code:
            reason = " ".join(str(error).split())[:300]
            logs.tell(_log, "a trail is not delivered", level=logging.WARNING, trail=trail.arn, note=reason)
        self._trails.progress.change(trail.arn, tried=now.isoformat(), error=code)

    def _digest(self, trail: Trail, progress: TrailProgress, now: datetime) -> int:
        """Deliver the digests of the hour that is over; a trail that was stopped gets its last ones at once."""
        if not trail.is_validated:
            if progress.next_digest is not None:  # it was switched off: the chain ends here
                self._trails.progress.change(trail.arn, next_digest=None, digest_plan=None, digests={}, files={})
            return 0
        if progress.next_digest is None:
            self._trails.progress.change(trail.arn, next_digest=(now + DIGEST_EVERY).isoformat())
            return 0
        ended = not trail.is_logging
        if ended and not any(progress.files.values()) and progress.digest_plan is None:
            return 0
        if progress.digest_plan is None:
            if not ended and datetime.fromisoformat(progress.next_digest) > now:
                return 0
            planned = self._trails.progress.change(trail.arn, digest_plan=now.isoformat())
            if planned is None:
                return 0
            progress = planned
        end = datetime.fromisoformat(str(progress.digest_plan))
        digests, number = dict(progress.digests), 0
        try:
            for region in sorted({trail.region, *progress.files, *progress.digests}):
                digests[region] = asdict(self._made_digest(trail, progress, region, end))
                number += 1
        except (Refusal, MachineTrouble, OSError) as error:
            self._trails.progress.change(trail.arn, digest_error=_code_of(error))
            return 0
        self._trails.progress.change(
            trail.arn,
            digest_plan=None,
            next_digest=(end + DIGEST_EVERY).isoformat(),
            digested=now.isoformat(),
            digest_error="",
            digests=digests,
            files={},
        )
        return number

    def _made_digest(self, trail: Trail, progress: TrailProgress, region: str, end: datetime) -> Digest:
        before = Digest(**progress.digests[region]) if region in progress.digests else None
        first = datetime.fromisoformat(progress.next_digest or progress.digest_plan or "") - DIGEST_EVERY
        begin = min(first, end) if before is None else datetime.fromisoformat(before.end)
        files = [Delivered(**found) for found in progress.files.get(region, ())]
        key = self._keys.current()
        file = digest_file(trail, self._account, region, files, begin=begin, end=end, before=before, key=key)
        signature = self._keys.sign(key, signed_text(json.loads(unpacked(file.content)), file.sha256))
        self._trails.delivery(trail).put(
            trail.bucket, file.key, file.content, content_type=_JSON, metadata=metadata(signature)
        )
        return Digest(bucket=trail.bucket, key=file.key, sha256=file.sha256, signature=signature, end=end.isoformat())


def _delivered(trail: Trail, file: TrailFile, entries: list[Entry]) -> Delivered:
    times = [entry.at for entry in entries]
    return Delivered(
        bucket=trail.bucket, key=file.key, sha256=file.sha256, oldest=utc(min(times)), newest=utc(max(times))
    )


def _is_due(tried: str | None, now: datetime, every: timedelta) -> bool:
    # A clock that was set back waits for nothing.
    return tried is None or not timedelta() <= now - datetime.fromisoformat(tried) < every


def _code_of(error: Exception) -> str:
    if isinstance(error, Denied):
        return "AccessDenied"
    return error.code if isinstance(error, ServiceRefusal) else type(error).__name__
