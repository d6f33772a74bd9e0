"""Resources of every kind in one table: jobs, custom models, deployments, users, roles.

A row is an ARN, what every resource has (kind, region, name, status, times), and a JSON document of the room that owns
it. Names are unique per kind and region; a resource without a name has None. Every change is a compare-and-set on
`version`: whoever changes a row that somebody else changed meanwhile gets `Stale`, reads again and decides again.
"""

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop import logs
from outcrop.errors import Conflict, Invalid
from outcrop.store.damage import FAILED, SENTENCE, Damaged, failed_document
from outcrop.store.database import UtcTime, create_tables, moment, reading, writing
from outcrop.store.dialects import json_text
from outcrop.store.point_reads import PointReads

SortKey = Literal["created", "updated", "name", "status"]

_schema = sql.MetaData()
_table = sql.Table(
    "resources",
    _schema,
    sql.Column("arn", sql.String, primary_key=True),
    sql.Column("kind", sql.String, nullable=False),
    sql.Column("region", sql.String, nullable=False),
    sql.Column("name", sql.String),
    sql.Column("status", sql.String, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("updated", UtcTime, nullable=False),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("document", sql.JSON, nullable=False),
    sql.UniqueConstraint("kind", "region", "name", name="resources_name"),
    sql.Index("resources_created", "kind", "region", "created", "arn"),
    sql.Index("resources_status", "kind", "status", "created", "arn"),
)


_log = logging.getLogger("outcrop.store")
# Times and documents as the row has them: one damaged row must not end the reading of all others.
_AS_KEPT = [
    json_text(column).label(column.name)
    if column.name == "document"
    else sql.type_coerce(column, sql.BigInteger).label(column.name)
    if column.name in ("created", "updated")
    else column
    for column in _table.columns
]
_SELECT = f"SELECT {', '.join(column.name for column in _table.columns)} FROM resources"
_BY_ARN = f"{_SELECT} WHERE arn = ?"
_BY_NAME = f"{_SELECT} WHERE kind = ? AND region = ? AND name = ?"


class NameTaken(Conflict):
    """Another resource of this kind and region has the name."""


class Stale(Conflict):
    """The row was changed or removed since it was read."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One row. `document` holds JSON values only; change it through `Resources.replace`, never in place."""

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
class Filters:
    """What a listing keeps. Times are exclusive; `name_contains` ignores case; of `statuses`, if any, a row has one;
    `equals` looks into the document."""

    name_contains: str | None = None
    statuses: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    equals: Mapping[str, str] = field(default_factory=dict)


EVERYTHING = Filters()


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some resources of a listing, and the token that continues it, or None at its end."""

    items: list[Resource]
    next_token: str | None


class Resources:
    """The table of resources. Every method is one transaction, or part of the one that `store.transaction()` opened."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._points = PointReads(engine)
        self._told: set[tuple[str, int]] = set()
        create_tables(engine, _schema)

    def add(self, resource: Resource) -> Resource:
        """Raises NameTaken when kind, region and name are in use, Conflict when the ARN is."""
        values = {column.name: getattr(resource, column.name) for column in _table.columns}
        with writing(self._engine) as connection:
            # Asked first rather than learnt from the failed INSERT: on PostgreSQL that would end the transaction in
            # which the caller may have more to do. The constraint still decides between two writers there.
            if resource.name is not None and self.find(resource.kind, resource.region, resource.name):
                raise _name_taken(resource.name)
            if self.get(resource.arn) is not None:
                raise Conflict(f"{resource.arn}: exists already.")
            try:
                connection.execute(sql.insert(_table).values(values))
            except sql.exc.IntegrityError as error:
                raise _name_taken(resource.name or resource.arn) from error
        return resource

    def get(self, arn: str) -> Resource | None:
        row = self.row(arn)
        return None if row is None else row.resource()

    def find(self, kind: str, region: str, name: str) -> Resource | None:
        row = self.row_named(kind, region, name)
        return None if row is None else row.resource()

    def row(self, arn: str) -> Row | None:
        """For whom a row that is as it was need not be taken apart again."""
        if self._points.possible():
            return _from_sqlite(self._points.row(_BY_ARN, (arn,)))
        return self._one(_table.c.arn == arn)

    def row_named(self, kind: str, region: str, name: str) -> Row | None:
        if self._points.possible():
            return _from_sqlite(self._points.row(_BY_NAME, (kind, region, name)))
        return self._one((_table.c.kind == kind) & (_table.c.region == region) & (_table.c.name == name))

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
                sql.update(_table)
                .where(_table.c.arn == resource.arn, _table.c.version == resource.version)
                .values({part: getattr(changed, part) for part in ("status", "document", "name", "updated", "version")})
            )
            if connection.execute(update).rowcount != 1:
                raise Stale(f"{resource.arn}: changed or removed by someone else meanwhile. Read it and try again.")
        return changed

    def remove(self, arn: str, *, version: int | None = None) -> bool:
        """Whether a row went. With `version`, only a row that still has it goes."""
        delete = sql.delete(_table).where(_table.c.arn == arn)
        if version is not None:
            delete = delete.where(_table.c.version == version)
        with writing(self._engine) as connection:
            return connection.execute(delete).rowcount == 1

    def regions(self) -> list[str]:
        """Every region that has a resource, in order."""
        with reading(self._engine) as connection:
            found = connection.execute(sql.select(_table.c.region).distinct().order_by(_table.c.region)).scalars()
            return [region for region in found if region]

    def all(self, kind: str) -> list[Resource]:
        """Every resource of a kind in every region, oldest first; without damaged ones, which are logged."""
        query = sql.select(*_AS_KEPT).where(_table.c.kind == kind).order_by(_table.c.created, _table.c.arn)
        with reading(self._engine) as connection:
            return self._sound(connection.execute(query).all())

    def in_states(self, kind: str, states: Collection[str], *, most: int | None = None) -> list[Resource]:
        """The resources of a kind in one of these states, in every region, oldest first; at most `most` of them.

        Found by an index: what is in other states costs nothing. Damaged rows are left out, and logged.
        """
        chosen = (_table.c.kind == kind) & _table.c.status.in_(list(states))
        query = sql.select(*_AS_KEPT).where(chosen).order_by(_table.c.created, _table.c.arn).limit(most)
        with reading(self._engine) as connection:
            return self._sound(connection.execute(query).all())

    def remove_all(self, kind: str) -> None:
        """Forget every row of a kind, damaged or not."""
        with writing(self._engine) as connection:
            connection.execute(sql.delete(_table).where(_table.c.kind == kind))

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
            update = sql.update(_table).where(_table.c.arn == arn)
            connection.execute(update.values(**changed, **created, version=version))

    def fail_damaged(self, *, at: datetime) -> list[str]:
        """Let every row that cannot be read be Failed, so that it can be told and deleted; returns their ARNs."""
        with reading(self._engine) as connection:
            rows = [_row(row) for row in connection.execute(sql.select(*_AS_KEPT))]
        damaged = [row.arn for row in rows if not _is_sound(row)]
        for arn in damaged:
            self.fail(arn, at=at)
        return damaged

    def _one(self, condition: sql.ColumnElement[bool]) -> Row | None:
        with reading(self._engine) as connection:
            row = connection.execute(sql.select(*_AS_KEPT).where(condition)).first()
        return None if row is None else _row(row)

    def _sound(self, rows: Iterable[sql.Row[Any]]) -> list[Resource]:
        """The rows that can be read; each of the others is logged once."""
        found = []
        for kept in rows:
            row = _row(kept)
            try:
                found.append(row.resource())
            except Damaged as damaged:
                if (row.arn, row.version) not in self._told:
                    self._told.add((row.arn, row.version))
                    logs.tell(_log, "damaged record", level=logging.ERROR, exc_info=damaged, resource=str(row.arn))
        return found

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
        """One page. Rows added or removed between two pages move no other row: a page begins after the last seen key.

        Raises Invalid for a token that did not come from a listing in the same order.
        """
        key = sql.func.coalesce(_table.c[sort_by], "") if sort_by == "name" else _table.c[sort_by]
        conditions = _conditions(filters, strict=self._engine.dialect.name != "sqlite")
        query = sql.select(*_AS_KEPT).where(_table.c.kind == kind, _table.c.region == region, *conditions)
        if token is not None:
            last_key, last_arn = _read_token(token, sort_by, descending)
            further, further_arn = (
                (key < last_key, _table.c.arn < last_arn) if descending else (key > last_key, _table.c.arn > last_arn)
            )
            query = query.where(further | ((key == last_key) & further_arn))
        order = (key.desc(), _table.c.arn.desc()) if descending else (key.asc(), _table.c.arn.asc())
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(*order).limit(max_results + 1)).all()
        shown = rows[:max_results]
        more = len(rows) > max_results and bool(shown)
        token = _write_token(_row(shown[-1]), sort_by, descending) if more else None
        return Page(items=self._sound(shown), next_token=token)


def _row(row: sql.Row[Any]) -> Row:
    return Row(**row._mapping)


def _is_sound(row: Row) -> bool:
    try:
        row.resource()
    except Damaged:
        return False
    return True


def _is_moment(count: object) -> bool:
    try:
        return type(count) is int and moment(count) is not None
    except OverflowError:
        return False


def _from_sqlite(row: tuple[Any, ...] | None) -> Row | None:
    return None if row is None else Row._make(row)


def _name_taken(name: str) -> NameTaken:
    return NameTaken(f"{name}: this name is in use already. Choose another name.")


def _conditions(filters: Filters, *, strict: bool) -> list[sql.ColumnElement[bool]]:
    """`strict`: the database holds nothing in a column that is not of its type. SQLite does."""
    columns = _table.c
    wanted = [
        filters.name_contains and columns.name.icontains(filters.name_contains, autoescape=True),
        filters.statuses and columns.status.in_(filters.statuses),
        filters.created_after and columns.created > filters.created_after,
        filters.created_before and columns.created < filters.created_before,
        filters.updated_after and columns.updated > filters.updated_after,
        filters.updated_before and columns.updated < filters.updated_before,
        *(_member(key, strict=strict) == value for key, value in filters.equals.items()),
        strict or sql.func.typeof(columns.created) == "integer",  # anything else has no place in the order
    ]
    return [condition for condition in wanted if isinstance(condition, sql.ColumnElement)]


def _member(key: str, *, strict: bool) -> sql.ColumnElement[str | None]:
    """A member of the document as text; SQLite would end the whole query at a document that is no JSON."""
    member: sql.ColumnElement[str | None] = _table.c.document[key].as_string()
    return member if strict else sql.case((sql.func.json_valid(_table.c.document) == 1, member))


def _write_token(last: Row, sort_by: SortKey, descending: bool) -> str:
    return json.dumps([sort_by, descending, getattr(last, sort_by) or "", last.arn])


def _read_token(token: str, sort_by: SortKey, descending: bool) -> tuple[datetime | str, str]:
    try:
        token_sort, token_descending, key, arn = json.loads(token)
        kept_type = int if sort_by in ("created", "updated") else str
        fits = (token_sort, token_descending) == (sort_by, descending) and type(key) is kept_type and type(arn) is str
        last_key = moment(key) if fits and kept_type is int else key
    except (ValueError, TypeError, OverflowError, RecursionError):
        fits = False
    if not fits:
        raise Invalid("nextToken: not a token of this listing. Begin again without nextToken.")
    return last_key, arn
