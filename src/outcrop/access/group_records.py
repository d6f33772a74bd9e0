"""Which users are in which groups. The groups themselves are identities, see records.py."""

import sqlalchemy as sql

from outcrop.access.records import Identity, Records, identities_where, of_identity, schema, table
from outcrop.store.database import create_tables

_members = table(
    "group_members",
    of_identity(),
    sql.Column("user_id", sql.ForeignKey("access_identities.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class GroupRecords:
    """Memberships."""

    def __init__(self, records: Records) -> None:
        self._records = records
        create_tables(records.engine, schema)

    def add(self, group_id: str, user_id: str) -> None:
        self._records.write(sql.insert(_members).values(identity_id=group_id, user_id=user_id))

    def remove(self, group_id: str, user_id: str) -> bool:
        here = (_members.c.identity_id == group_id) & (_members.c.user_id == user_id)
        return self._records.write(sql.delete(_members).where(here)) == 1

    def members(self, group_id: str) -> list[Identity]:
        """In the order of their names."""
        found = sql.select(_members.c.user_id).where(_members.c.identity_id == group_id)
        return identities_where(self._records, lambda column: column.in_(found))

    def groups_of(self, user_id: str) -> list[Identity]:
        """In the order of their names."""
        found = sql.select(_members.c.identity_id).where(_members.c.user_id == user_id)
        return identities_where(self._records, lambda column: column.in_(found))
