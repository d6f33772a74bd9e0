"""Resources of every kind in one table: jobs, custom models, deployments, users, roles.

A row is an ARN, what every resource has (kind, region, name, status, times), and a JSON document of the room that owns
it. Names are unique per kind and region; a resource without a name has None. Every change is a compare-and-set on
`version`: whoever changes a row that somebody else changed meanwhile gets `Stale`, reads again and decides again.
"""

import json
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from datetime import datetime
from typing import Any, NamedTuple, Self

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop import logs
from outcrop.errors import Conflict
from outcrop.store.damage import FAILED, SENTENCE, Damaged, failed_document
from outcrop.store.database import create_tables, moment, reading, writing
from outcrop.store.listing import EVERYTHING, Filters, ResourceListing, SortKey
from outcrop.store.point_reads import PointReads
from outcrop.store.resource_table import AS_KEPT, RESOURCES, schema

_log = logging.getLogger("outcrop.store")
_COLUMNS = [column.name for column in RESOURCES.columns]
_SELECT = {
    "sqlite": f"SELECT {', '.join(_COLUMNS)} FROM resources",
    # The driver would take the document apart by itself, and stop at one that is damaged.
    "postgresql": f"SELECT {', '.join(_COLUMNS).replace('document', 'CAST(document AS TEXT)')} FROM resources",
}


class NameTaken(Conflict):
    """Another resource of this kind and region has the name."""


class Stale(Conflict):
    """The row was changed or removed since it was read."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A row of the table of resources. `document` holds JSON values only; change it through `Resources.replace`, never
    in place."""

    arn: str
    kind: str
    region: str
    name: str | None = None
    status: str = ""
    created: datetime
    updated: datetime
    version: int = 1
    document: dict[str, Any] = field(default_factory=dict)


class Row(NamedTuple):
    """A resource as its row holds it, not taken apart. Equal rows are equal resources."""

    arn: str
    kind: str
    region: str
    name: str | None
    status: str
    created: int
    "Microseconds, as SQLite holds times."
    updated: int
    version: int
    document: str
    "As JSON."

    @classmethod
    def of(cls, row: sql.Row[Any]) -> Self:
        return cls(**row._mapping)

    @property
    def is_sound(self) -> bool:
        """Whether it can be read."""
        try:
            self.resource()
        except Damaged:
            return False
        return True

    def resource(self) -> Resource:
        """Raises Damaged."""
        try:
            document = _read_json(self.document)[0]
            created, updated = moment(self.created), moment(self.updated)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Damaged(self.arn) from error
        if type(document) is not dict or not _is_text(self.arn, self.kind, self.region, self.status, self.name or ""):
            raise Damaged(self.arn)
        return Resource(
            arn=self.arn,
            kind=self.kind,
            region=self.region,
            name=self.name,
            status=self.status,
            created=created,
            updated=updated,
            version=self.version,
            document=document,
        )


_read_json = json.JSONDecoder().raw_decode
"What SQLAlchemy wrote holds nothing beside; `json.loads` looks for that, and takes half as long again."


def _is_text(*values: object) -> bool:
    return all(type(value) is str for value in values)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some resources of a listing, and the token that continues it, or None at its end."""

    items: list[Resource]
    next_token: str | None


class Resources:
    """The table of resources. Every method is one transaction, or part of the one that `store.transaction()` opened."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.points = PointReads(engine)
        "Of any rows of this database."
        select = _SELECT[engine.dialect.name]
        self._any_of = f"SELECT 1 FROM {RESOURCES.name} WHERE kind = ? LIMIT 1"
        self._by_arn, self._by_name = f"{select} WHERE arn = ?", f"{select} WHERE kind = ? AND region = ? AND name = ?"
        self._told: set[tuple[str, int]] = set()
        self._met: set[str] = set()
        create_tables(engine, schema)
        with writing(engine) as connection:
            connection.execute(sql.text("DROP INDEX IF EXISTS resources_created"))  # one of another shape, once

    def add(self, resource: Resource) -> Resource:
        """Raises NameTaken when kind, region and name are in use, Conflict when the ARN is."""
        values = {column.name: getattr(resource, column.name) for column in RESOURCES.columns}
        with writing(self._engine) as connection:
            # Asked first rather than learnt from the failed INSERT: on PostgreSQL that would end the transaction in
            # which the caller may have more to do.
            if resource.name is not None and self.find(resource.kind, resource.region, resource.name):
                raise _name_taken(resource.name)
            if self.get(resource.arn) is not None:
                raise Conflict(f"{resource.arn}: exists already.")
            try:
                connection.execute(sql.insert(RESOURCES).values(values))
            except sql.exc.IntegrityError as error:
                raise _name_taken(resource.name or resource.arn) from error
        return resource

    def get(self, arn: str) -> Resource | None:
        """Raises Damaged."""
        return self._whole(self.row(arn))

    def find(self, kind: str, region: str, name: str) -> Resource | None:
        """Raises Damaged."""
        return self._whole(self.row_named(kind, region, name))

    def row(self, arn: str) -> Row | None:
        """The row with this ARN, without decoding its document. A caller need not decode again a row that is as it
        was."""
        if self.points.possible():
            return _as_kept(self.points.row(self._by_arn, (arn,)))
        return self._one(RESOURCES.c.arn == arn)

    def row_named(self, kind: str, region: str, name: str) -> Row | None:
        if self.points.possible():
            return _as_kept(self.points.row(self._by_name, (kind, region, name)))
        return self._one((RESOURCES.c.kind == kind) & (RESOURCES.c.region == region) & (RESOURCES.c.name == name))

    def replace(
        self,
        resource: Resource,
        *,
        at: datetime,
        status: str | None = None,
        document: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> Resource:
        """`resource` with the given parts changed, if the row is still as `resource` says; what is None stays.

        Raises Stale when the row was changed or removed meanwhile, NameTaken when the new name is in use.
        """
        changed = with_changes(
            resource,
            status=resource.status if status is None else status,
            document=resource.document if document is None else document,
            name=resource.name if name is None else name,
            updated=at,
            version=resource.version + 1,
        )
        with writing(self._engine) as connection:
            if changed.name != resource.name and self.find(changed.kind, changed.region, changed.name or ""):
                raise _name_taken(changed.name or "")
            # The UPDATE repeats the version that was read: of two writers exactly one changes a row.
            update = (
                sql.update(RESOURCES)
                .where(RESOURCES.c.arn == resource.arn, RESOURCES.c.version == resource.version)
                .values({part: getattr(changed, part) for part in ("status", "document", "name", "updated", "version")})
            )
            if connection.execute(update).rowcount != 1:
                raise Stale(f"{resource.arn}: changed or removed by someone else meanwhile. Read it and try again.")
        return changed

    def remove(self, arn: str, *, version: int | None = None) -> bool:
        """Whether a row went. With `version`, only a row that still has it goes."""
        delete = sql.delete(RESOURCES).where(RESOURCES.c.arn == arn)
        if version is not None:
            delete = delete.where(RESOURCES.c.version == version)
        with writing(self._engine) as connection:
            return connection.execute(delete).rowcount == 1

    def regions(self) -> list[str]:
        """Every region that has a resource, in order."""
        # From one key of the index to the next: SQLite's DISTINCT would go along all of it.
        with reading(self._engine) as connection:
            found = {
                region
                for kind in _steps(connection, RESOURCES.c.kind)
                for region in _steps(connection, RESOURCES.c.region, RESOURCES.c.kind == kind)
            }
        return sorted(region for region in found if region)

    def all(self, kind: str) -> list[Resource]:
        """Every resource of a kind in every region; for what runs once, never in a loop or a request."""
        return self.where(RESOURCES.c.kind == kind)

    def has_any(self, kind: str) -> bool:
        """Whether there is a row of a kind, in whatever state."""
        if self.points.possible():
            return self.points.row(self._any_of, (kind,)) is not None
        return bool(self.where(RESOURCES.c.kind == kind, most=1))

    def in_states(self, kind: str, states: Collection[str], *, most: int | None = None) -> list[Resource]:
        """The resources of a kind in one of these states, in every region; at most `most` of them.

        Found by an index: what is in other states costs nothing.
        """
        return self.where((RESOURCES.c.kind == kind) & RESOURCES.c.status.in_(list(states)), most=most)

    def where(self, condition: sql.ColumnElement[bool], *, most: int | None = None) -> list[Resource]:
        """The resources that fulfil a condition on the table, oldest first; damaged ones are left out, and logged."""
        query = sql.select(*AS_KEPT).where(condition).order_by(RESOURCES.c.created, RESOURCES.c.arn).limit(most)
        with reading(self._engine) as connection:
            return self._sound(connection.execute(query).all())

    def counts(self) -> dict[tuple[str, str], int]:
        """How many resources there are of each kind in each state; from an index alone."""
        query = sql.select(RESOURCES.c.kind, RESOURCES.c.status, sql.func.count()).group_by(
            RESOURCES.c.kind, RESOURCES.c.status
        )
        with reading(self._engine) as connection:
            return {(kind, status): number for kind, status, number in connection.execute(query)}

    def remove_all(self, kind: str) -> None:
        """Forget every row of a kind, damaged or not."""
        with writing(self._engine) as connection:
            connection.execute(sql.delete(RESOURCES).where(RESOURCES.c.kind == kind))

    def fail(self, arn: str, *, at: datetime, message: str = SENTENCE, unless: Collection[str] = ()) -> None:
        """Let a row be Failed with this message, whatever is wrong with it; what can be read of it stays.

        Nothing happens to a row that is gone, or in a state of `unless`.
        """
        with writing(self._engine) as connection:
            row = self.row(arn)
            if row is None or row.status in unless:
                return
            created = {} if _is_moment(row.created) else {"created": at}
            version = row.version + 1 if type(row.version) is int else 1
            changed = {"status": FAILED, "document": failed_document(row.document, message), "updated": at}
            update = sql.update(RESOURCES).where(RESOURCES.c.arn == arn)
            connection.execute(update.values(**changed, **created, version=version))

    def met_damaged(self) -> list[str]:
        """ARNs of the damaged rows that this process has met since it was last asked."""
        met, self._met = self._met, set()
        return sorted(met)

    def _one(self, condition: sql.ColumnElement[bool]) -> Row | None:
        with reading(self._engine) as connection:
            row = connection.execute(sql.select(*AS_KEPT).where(condition)).first()
        return None if row is None else Row.of(row)

    def whole(self, row: Row) -> Resource:
        """A row taken apart. Raises Damaged."""
        try:
            return row.resource()
        except Damaged as damaged:
            self._met.add(damaged.arn)
            raise

    def _whole(self, row: Row | None) -> Resource | None:
        return None if row is None else self.whole(row)

    def _sound(self, rows: Iterable[sql.Row[Any]]) -> list[Resource]:
        """The rows that can be read; each of the others is logged once."""
        found = []
        for kept in rows:
            row = Row.of(kept)
            try:
                found.append(row.resource())
            except Damaged as damaged:
                self._met.add(row.arn)
                if (row.arn, row.version) not in self._told:
                    self._told.add((row.arn, row.version))
                    logs.tell(_log, "damaged record", level=logging.ERROR, exc_info=damaged, resource=str(row.arn))
        return found

    def count_in(self, kind: str, region: str, filters: Filters = EVERYTHING) -> int:
        """How many resources of a kind there are in a region that the filters keep."""
        query = ResourceListing(kind=kind, region=region, filters=filters).count(self._engine.dialect)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def list(
        self,
        kind: str,
        region: str,
        *,
        filters: Filters = EVERYTHING,
        sort_by: SortKey = "created",
        descending: bool = True,
        max_results: int = 100,
        token: str | None = None,
    ) -> Page:
        """A page of the resources of a kind and region, filtered and sorted. Rows added or removed between two pages
        move no other row: a page begins after the last seen key.

        Raises Invalid for a token that did not come from a listing in the same order.
        """
        listing = ResourceListing(kind=kind, region=region, filters=filters, sort_by=sort_by, descending=descending)
        query = listing.page(self._engine.dialect, token=token, most=max_results + 1)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        shown, more = rows[:max_results], len(rows) > max_results
        last = Row.of(shown[-1]) if more and shown else None
        token = None if last is None else listing.token(key=getattr(last, sort_by), arn=last.arn)
        return Page(items=self._sound(shown), next_token=token)


def _steps(connection: sql.Connection, column: sql.Column[str], *conditions: sql.ColumnElement[bool]) -> list[str]:
    """The values of the column that an index leads to, each found behind the one before."""
    found = [""]
    while found[-1] is not None:
        query = sql.select(sql.func.min(column)).where(column > found[-1], *conditions)
        found.append(connection.execute(query).scalar_one())
    return found[1:-1]


def _is_moment(count: object) -> bool:
    try:
        return type(count) is int and moment(count) is not None
    except OverflowError:
        return False


def _as_kept(row: tuple[Any, ...] | None) -> Row | None:
    return None if row is None else Row._make(row)


def _name_taken(name: str) -> NameTaken:
    return NameTaken(f"{name}: this name is in use already. Choose another name.")
