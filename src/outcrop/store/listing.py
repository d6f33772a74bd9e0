"""Listings of resources: filters, orders and pages as statements that go along an index.

A page costs the same wherever it lies and however many rows there are: its order is that of an index, and it begins
there behind the last key of the page before. Filters by state, time and indexed members narrow the same walk. Two
things cannot be found so, and pass over what they leave out: a part of a name, and the second of two filters. Both are
decided on the index alone, without fetching rows, at a few million of them a second.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sql
from sqlalchemy.engine import Dialect

from outcrop.errors import Invalid
from outcrop.store.database import moment
from outcrop.store.resource_table import AS_KEPT, BY_NAME, RESOURCES, member, of_kind

SortKey = Literal["created", "updated", "name", "status"]
Key = datetime | str


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The filters of a listing: conditions for the rows that it keeps. Times are exclusive; `name_contains` ignores
    case; of `statuses`, if any, a row has one; `equals` looks into the document."""

    name_contains: str | None = None
    name_prefix: str | None = None
    statuses: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    equals: Mapping[str, str] = field(default_factory=dict)


EVERYTHING = Filters()


@dataclass(frozen=True, kw_only=True)
class ResourceListing:
    """A listing of resources as it was asked for: kind, region, filters and order."""

    kind: str
    region: str
    filters: Filters = EVERYTHING
    sort_by: SortKey = "created"
    descending: bool = True

    def page(self, dialect: Dialect, *, token: str | None, most: int) -> sql.Select[Any] | sql.CompoundSelect[Any]:
        """The statement of a page. Raises Invalid for a token that did not come from a listing in the same order."""
        after = None if token is None else self._read_token(token)
        statuses = self.filters.statuses
        if len(statuses) < 2 or self.sort_by != "created" or self.filters.equals:
            return self._ordered(self._select(dialect, statuses, after), RESOURCES.c).limit(most)
        # Rows of several states lie apart in the index: the first of each are put into one order.
        parts = [
            self._ordered(self._select(dialect, (status,), after), RESOURCES.c).limit(most).subquery()
            for status in statuses
        ]
        together = sql.union_all(*(sql.select(part) for part in parts)).subquery()
        return self._ordered(sql.select(together), together.c).limit(most)

    def count(self, dialect: Dialect) -> sql.Select[int]:
        """The statement of how many rows all pages have together."""
        conditions = self._conditions(dialect, self.filters.statuses, continued=False)
        rows = sql.select(sql.func.count()).select_from(RESOURCES)
        return rows.where(of_kind(self.kind), RESOURCES.c.region == self.region, *conditions)

    def token(self, *, key: object, arn: str) -> str:
        """The token with which a listing continues behind the row with this key and ARN."""
        return json.dumps([self.sort_by, self.descending, key or "", arn])

    def _select(self, dialect: Dialect, statuses: tuple[str, ...], after: tuple[Key, str] | None) -> sql.Select[Any]:
        conditions = self._conditions(dialect, statuses, continued=after is not None)
        if after is not None:
            conditions.append(self._behind(*after))
        return sql.select(*AS_KEPT).where(of_kind(self.kind), RESOURCES.c.region == self.region, *conditions)

    def _ordered(self, select: sql.Select[Any], columns: Any) -> sql.Select[Any]:
        key = BY_NAME if self.sort_by == "name" else columns[self.sort_by]
        return select.order_by(*(each.desc() if self.descending else each.asc() for each in (key, columns.arn)))

    def _behind(self, key: Key, arn: str) -> sql.ColumnElement[bool]:
        if self.sort_by != "name":
            column = RESOURCES.c[self.sort_by]
            here, there = (
                sql.tuple_(column, RESOURCES.c.arn),
                sql.tuple_(sql.literal(key, column.type), sql.literal(arn)),
            )
            return here < there if self.descending else here > there
        # SQLite compares pairs along an index of plain columns only. Names are unique, but for rows without one.
        if self.descending:
            return (key >= BY_NAME) & ((key > BY_NAME) | (RESOURCES.c.arn < arn))
        return (key <= BY_NAME) & ((key < BY_NAME) | (RESOURCES.c.arn > arn))

    def _conditions(
        self, dialect: Dialect, statuses: tuple[str, ...], *, continued: bool
    ) -> list[sql.ColumnElement[bool]]:
        asked, columns = self.filters, RESOURCES.c
        # The members' index is the narrower one, and holds the state too: SQLite would not know.
        status = columns.status.concat("") if asked.equals else columns.status
        wanted = [
            asked.name_prefix and self._begins_with(asked.name_prefix, dialect, continued),
            asked.name_contains and columns.name.icontains(asked.name_contains, autoescape=True),
            statuses and (status == statuses[0] if len(statuses) == 1 else status.in_(statuses)),
            asked.created_after and self._time("created", not continued or self.descending) > asked.created_after,
            asked.created_before and self._time("created", not (continued and self.descending)) < asked.created_before,
            asked.updated_after and self._time("updated", not continued or self.descending) > asked.updated_after,
            asked.updated_before and self._time("updated", not (continued and self.descending)) < asked.updated_before,
            *(member(key, dialect) == sql.literal(value) for key, value in asked.equals.items()),
            # SQLite holds anything in a column; what is no time has no place in the order.
            dialect.name == "sqlite" and sql.func.typeof(columns.created) == "integer",
        ]
        return [condition for condition in wanted if isinstance(condition, sql.ColumnElement)]

    def _begins_with(self, prefix: str, dialect: Dialect, continued: bool) -> sql.ColumnElement[bool]:
        """A stretch of the index by name in SQLite, which compares code points; a page behind another begins in it."""
        if dialect.name != "sqlite":
            return RESOURCES.c.name.startswith(prefix, autoescape=True)
        within = prefix + "\U0010ffff" > BY_NAME
        begun = continued and self.sort_by == "name" and not self.descending
        return within if begun else (prefix <= BY_NAME) & within

    def _time(self, column: Literal["created", "updated"], bounds: bool) -> sql.ColumnElement[datetime]:
        """A time to filter by; with `bounds`, one that the walk may begin or end at.

        Any other is hidden in a sum, or SQLite would leave the order's index for it, or begin at it instead of behind
        the last page.
        """
        kept = RESOURCES.c[column]
        if bounds and column == self.sort_by:
            return kept
        return sql.type_coerce(sql.type_coerce(kept, sql.BigInteger) + 0, kept.type)

    def _read_token(self, token: str) -> tuple[Key, str]:
        try:
            sort_by, descending, key, arn = json.loads(token)
            kept_type = int if self.sort_by in ("created", "updated") else str
            fits = (sort_by, descending) == (self.sort_by, self.descending) and type(key) is kept_type
            last_key = moment(key) if fits and kept_type is int else key
        except (ValueError, TypeError, OverflowError, RecursionError):
            fits = False
        if not fits or type(arn) is not str:
            raise Invalid("nextToken: not a token of this listing. Begin again without nextToken.")
        return last_key, arn
