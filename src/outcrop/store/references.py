"""Resources that name another one, found by members of their documents. Each member has an index of its own.

A room says once which members of its kind are asked for (`index`); whoever needs those that name a model, a parent or a
promised name then asks here, and pays for what is found.
"""

from collections.abc import Collection

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.store.database import reading, writing
from outcrop.store.resource_table import RESOURCES, member, member_index, of_kind
from outcrop.store.resources import Resource, Resources


class References:
    """The members of documents that name something."""

    def __init__(self, engine: Engine, resources: Resources) -> None:
        self._engine = engine
        self._resources = resources

    def index(self, kind: str, *members: str) -> None:
        """Let the rows of a kind be found, and listed, by these members without reading any other row."""
        with writing(self._engine) as connection:
            for name in members:
                connection.execute(member_index(kind, name, connection.dialect))

    def naming(
        self, kind: str, members: Collection[str], value: str, *, states: Collection[str] | None = None
    ) -> list[Resource]:
        """The resources of a kind whose document has this value in one of these members, oldest first.

        Found by the members' indexes; or, with `states`, among those in one of them, which then should be few.
        """
        # One statement a member: SQLite would not use two indexes for an OR and keep the order.
        found: dict[str, Resource] = {}
        for name in members:
            condition = of_kind(kind) & (member(name, self._engine.dialect) == sql.literal(value))
            if states is not None:
                condition &= RESOURCES.c.status.in_(list(states))
            found |= {row.arn: row for row in self._resources.where(condition)}
        return sorted(found.values(), key=lambda row: (row.created, row.arn))

    def named(self, kind: str, members: Collection[str], *, but_in: Collection[str]) -> set[tuple[str, str]]:
        """Region and value of these members, of each resource of a kind that is in none of the states `but_in`."""
        found: set[tuple[str, str]] = set()
        with reading(self._engine) as connection:
            for name in members:
                value = member(name, self._engine.dialect)
                query = sql.select(RESOURCES.c.region, value).distinct().where(of_kind(kind), value.is_not(None))
                rows = connection.execute(query.where(RESOURCES.c.status.not_in(list(but_in)))).all()
                found |= {(region, text) for region, text in rows if isinstance(text, str)}
        return found
