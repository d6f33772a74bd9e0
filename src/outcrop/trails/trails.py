"""Trails: made, changed, started and stopped. What they deliver is in `delivery.py`.

trails = Trails(store, access, buckets, clock, account, last=audit.last)
trails.create("history", {...members of CreateTrail...}, region="us-east-1", tags={})
trails.start(arn)
trails.wants_data("s3", "PutObject", ...)      # asked for every call about data; almost always a look at a flag
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from outcrop import arn as arns
from outcrop.access.access import Access
from outcrop.audit.entry import Entry
from outcrop.audit.records import Link
from outcrop.buckets.buckets import Buckets
from outcrop.buckets.names import check_bucket_name
from outcrop.clock import Clock
from outcrop.data.delivery import ServiceDelivery
from outcrop.errors import ServiceRefusal
from outcrop.store.resources import NameTaken, Resource
from outcrop.store.store import Store
from outcrop.trails.progress import ProgressRecords, TrailProgress
from outcrop.trails.refusals import no_trail, refusal
from outcrop.trails.selectors import EventSelection
from outcrop.trails.trail import KIND, OFF, ON, SERVICE, Trail, check_name, members_of, trail_arn, trail_of

MOST_TRAILS = 5
"Of a region: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html"
GLOBAL = ("iam", "sts")
"Services whose events are of no region."
_ACL = {"s3:x-amz-acl": "bucket-owner-full-control"}
"What CloudTrail sends with each object, and its bucket policies ask for."


@dataclass(frozen=True, kw_only=True)
class _DataWishes:
    """The trails that want data events."""

    trails: tuple[Trail, ...]


class Trails:
    """The trails of an installation, in every region."""

    def __init__(
        self,
        store: Store,
        access: Access,
        buckets: Callable[[], Buckets],
        clock: Clock,
        account: str,
        *,
        last: Callable[[], Link],
    ) -> None:
        """`last`: the end of the record, behind which a trail that is started begins."""
        self._store = store
        self._access = access
        self._buckets = buckets
        self._clock = clock
        self._account = account
        self._last = last
        self._wishes: _DataWishes | None = None
        self.progress = ProgressRecords(store.engine)

    def create(self, name: str, params: Mapping[str, Any], *, region: str, tags: Mapping[str, str]) -> Trail:
        """A new trail, which delivers nothing until it is started. Raises CloudTrail's refusals."""
        check_name(name)
        members = members_of(params)
        now = self._clock.now()
        row = Resource(
            arn=trail_arn(region, self._account, name),
            kind=KIND,
            region=region,
            name=name,
            status=OFF,
            created=now,
            updated=now,
            document={"members": members},
        )
        self._check_bucket(trail_of(row))
        with self._store.transaction():
            if len(self.of_region(region)) >= MOST_TRAILS:
                raise refusal(
                    "MaximumNumberOfTrailsExceededException",
                    f"User: {self._account} already has {MOST_TRAILS} trails in {region}. Delete one first.",
                )
            try:
                made = self._store.resources.add(row)
            except NameTaken as taken:
                raise refusal(
                    "TrailAlreadyExistsException", f"Trail {name} already exists for customer: {self._account}"
                ) from taken
            self._store.tags.put(made.arn, tags)
        return trail_of(made)

    def update(self, trail: Trail, params: Mapping[str, Any]) -> Trail:
        """Change what is given of a trail's configuration. Raises CloudTrail's refusals."""
        row = self._row(trail)
        members = members_of(params, row.document["members"])
        changed = replace_members(row, members)
        self._check_bucket(trail_of(changed))
        return self._changed(row, {"members": members})

    def delete(self, trail: Trail) -> None:
        """Forget a trail; what it delivered stays in the bucket."""
        with self._store.transaction():
            self._store.resources.remove(trail.arn)
            self._store.tags.clear(trail.arn)
            self.progress.remove(trail.arn)
        self._wishes = None

    def start(self, trail: Trail) -> None:
        """Let a trail deliver what is recorded from now on; nothing happens to one that does."""
        with self._store.transaction():
            row = self._row(trail)
            if row.status == ON:
                return
            before = self.progress.get(trail.arn)
            fresh = TrailProgress(through=self._last().number)
            if before is not None:
                # Where there is something left of the last time, it goes on from there.
                left = before.until is not None and before.through < before.until
                through = before.through if left else fresh.through
                fresh = replace(
                    before, through=through, until=None, stop_request=None, digests={}, next_digest=None, error=""
                )
            self.progress.put(trail.arn, fresh)
            self._changed(row, {"started": self._clock.now().isoformat()}, status=ON)

    def stop(self, trail: Trail, request_id: str) -> None:
        """Let a trail deliver what was recorded until now, with the request that stops it, and nothing more."""
        with self._store.transaction():
            row = self._row(trail)
            if row.status == OFF:
                return
            before = self.progress.get(trail.arn)
            if before is not None:
                self.progress.put(trail.arn, replace(before, until=self._last().number, stop_request=request_id))
            self._changed(row, {"stopped": self._clock.now().isoformat()}, status=OFF)

    def select(self, trail: Trail, selection: EventSelection) -> Trail:
        """Give a trail other selectors."""
        chosen = {"basic": list(selection.basic), "advanced": list(selection.advanced)}
        return self._changed(self._row(trail), {"selection": chosen})

    def find(self, spelling: str, *, region: str) -> Trail:
        """The trail with this name in a region, or with this ARN. Raises TrailNotFoundException."""
        if arns.is_arn(spelling):
            parsed = arns.parse(spelling)
            if parsed is None or parsed.service != "cloudtrail" or parsed.kind != "trail":
                raise refusal("CloudTrailARNInvalidException", f"{spelling[:200]} is no ARN of a trail.")
            row = self._store.resources.get(spelling)
        else:
            row = self._store.resources.find(KIND, region, check_name(spelling))
        if row is None or row.kind != KIND:
            raise no_trail(self._account, spelling[:200])
        return trail_of(row)

    def of_region(self, region: str) -> list[Trail]:
        """The trails whose home is in a region, by name."""
        return sorted((trail for trail in self.all() if trail.region == region), key=lambda trail: trail.name)

    def all(self) -> list[Trail]:
        """Every trail of every region; damaged ones are left out."""
        return [trail_of(row) for row in self._store.resources.in_states(KIND, (ON, OFF))]

    def wants_data(
        self, service: str, operation: str, region: str, read_only: bool, resources: Callable[[], tuple[str, ...]]
    ) -> bool:
        """Whether any trail takes a data event. Read once, and again when a trail was changed here."""
        wishes = self._wishes
        if wishes is None:
            wanting = (trail for trail in self.all() if trail.is_logging and trail.selection.wants_data)
            wishes = self._wishes = _DataWishes(trails=tuple(wanting))
        if not wishes.trails:
            return False
        event = _event(service, operation, region, read_only, resources(), self._clock)
        return any(is_of(trail, event) for trail in wishes.trails)

    def delivery(self, trail: Trail) -> ServiceDelivery:
        """The buckets, as CloudTrail may write to them for this trail."""
        return ServiceDelivery(
            access=self._access,
            buckets=self._buckets(),
            account=self._account,
            source_arn=trail.arn,
            service=SERVICE,
            more=_ACL,
        )

    def _check_bucket(self, trail: Trail) -> None:
        """Raises CloudTrail's refusal of a bucket that it could not deliver into."""
        try:
            check_bucket_name(trail.bucket)
        except ServiceRefusal as refused:
            raise refusal("InvalidS3BucketNameException", refused.message) from refused
        delivery = self.delivery(trail)
        try:
            may = delivery.may_read_acl(trail.bucket)
            may = may and delivery.may_put(trail.bucket, f"{trail.top}/{self._account}/CloudTrail/")
        except ServiceRefusal as refused:
            if refused.code != "NoSuchBucket":
                raise
            raise refusal("S3BucketDoesNotExistException", f"S3 bucket {trail.bucket} does not exist!") from refused
        if not may:
            raise refusal(
                "InsufficientS3BucketPolicyException",
                f"Incorrect S3 bucket policy is detected for bucket: {trail.bucket}. Let {SERVICE} do s3:GetBucketAcl "
                f"on it, and s3:PutObject on {trail.top}/{self._account}/* in it.",
            )

    def _row(self, trail: Trail) -> Resource:
        row = self._store.resources.get(trail.arn)
        if row is None:
            raise no_trail(self._account, trail.name)
        return row

    def _changed(self, row: Resource, parts: Mapping[str, Any], *, status: str | None = None) -> Trail:
        document = {**row.document, **parts}
        changed = self._store.resources.replace(row, at=self._clock.now(), status=status, document=document)
        self._wishes = None
        return trail_of(changed)


def is_of(trail: Trail, entry: Entry) -> bool:
    """Whether an event goes to a trail: it is of its regions, and its selectors take it."""
    everywhere = entry.service in GLOBAL and trail.includes_global
    return (trail.is_multi_region or everywhere or region_of(entry) == trail.region) and trail.selection.takes(entry)


def region_of(entry: Entry) -> str:
    """The region of an event; us-east-1 where the caller did not come as far as to name one."""
    return entry.region or "us-east-1"


def replace_members(row: Resource, members: Mapping[str, Any]) -> Resource:
    return replace(row, document={**row.document, "members": dict(members)})


def _event(
    service: str, operation: str, region: str, read_only: bool, resources: tuple[str, ...], clock: Clock
) -> Entry:
    """The entry of a call that is not recorded yet, with what selectors ask."""
    return Entry(
        at=clock.now(),
        service=service,
        operation=operation,
        region=region,
        caller="",
        user_id="",
        key_id="",
        session="",
        resources=resources,
        source_ip="",
        user_agent="",
        request_id="",
        status=200,
        code="",
        read_only=read_only,
        data=True,
    )
