"""Vector buckets: made, found, listed, deleted when they are empty, and their policies."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from outcrop import arn as arns
from outcrop.access.policies.documents import Policy
from outcrop.access.policies.vector_bucket_policy import check_vector_bucket_policy, parse_vector_bucket_policy
from outcrop.clock import Clock
from outcrop.errors import Conflict, NotFound, QuotaExceeded
from outcrop.store.changing import Change, change
from outcrop.store.listing import Filters
from outcrop.store.resources import NameTaken, Page, Resource
from outcrop.store.store import Store
from outcrop.vectors.records import ACTIVE, BUCKET, INDEX, MOST_BUCKETS, VectorBucket


class VectorBuckets:
    """The vector buckets of an installation, in every region."""

    def __init__(self, store: Store, clock: Clock, account: str) -> None:
        self._store = store
        self._clock = clock
        self._account = account

    def arn_of(self, name: str, *, region: str) -> str:
        return arns.s3vectors(region, self._account, name)

    def create(self, name: str, *, region: str, tags: Mapping[str, str]) -> VectorBucket:
        """Raises Conflict when the name is in use, QuotaExceeded."""
        now, arn = self._clock.now(), self.arn_of(name, region=region)
        document = {"bucket": name, "policy": None}
        row = Resource(
            arn=arn, kind=BUCKET, region=region, name=name, status=ACTIVE, created=now, updated=now, document=document
        )
        with self._store.transaction():
            if self._store.resources.count_in(BUCKET, region) >= MOST_BUCKETS:
                raise QuotaExceeded(f"There are {MOST_BUCKETS:,} vector buckets in {region} already. Delete some.")
            try:
                self._store.resources.add(row)
            except NameTaken as error:
                raise Conflict("A vector bucket with the specified name already exists") from error
            self._store.tags.put(arn, tags)
        return VectorBucket.of(row)

    def get(self, arn: str) -> VectorBucket:
        """Raises NotFound."""
        row = self._store.resources.get(arn)
        if row is None or row.kind != BUCKET:
            raise no_bucket(arn)
        return VectorBucket.of(row)

    def page(self, *, region: str, prefix: str, most: int, token: str | None) -> Page:
        """Rows of a region's buckets by their names."""
        filters = Filters(name_prefix=prefix)
        return self._store.resources.list(
            BUCKET, region, filters=filters, sort_by="name", descending=False, max_results=most, token=token
        )

    def delete(self, arn: str) -> None:
        """Raises NotFound, and Conflict when an index lies in it."""
        with self._store.transaction():
            row = self._store.resources.row(arn)
            if row is None or row.kind != BUCKET:
                raise no_bucket(arn)
            inside = Filters(name_prefix=f"{row.name}/")
            if self._store.resources.count_in(INDEX, row.region, inside):
                raise Conflict(
                    f"The vector bucket {row.name} is not empty: delete its indexes first (ListIndexes, DeleteIndex)."
                )
            self._store.resources.remove(arn)
            self._store.tags.clear(arn)

    def policy(self, arn: str) -> str | None:
        """The policy as it was put. Raises NotFound where there is no such bucket."""
        return self.get(arn).policy

    def set_policy(self, arn: str, text: str | None) -> None:
        """None takes it away. Raises Invalid for what is no policy of this bucket, NotFound."""
        self.get(arn)
        if text is not None:
            check_vector_bucket_policy(text, arn)

        def decide(row: Resource) -> Change:
            document: dict[str, Any] = {**row.document, "policy": text}
            return Change(document=document)

        at: datetime = self._clock.now()
        change(self._store.resources, arn, at=at, decide=decide)

    def policy_in_force(self, arn: str) -> Policy | None:
        """The policy that decisions about the bucket and its indexes are made with. Raises Damaged."""
        row = self._store.resources.get(arn)
        text = None if row is None or row.kind != BUCKET else VectorBucket.of(row).policy
        return None if text is None else parse_vector_bucket_policy(text)


def no_bucket(arn: str) -> NotFound:
    return NotFound(f"The specified vector bucket could not be found: {arn}")
