"""The account's alias: at most one, a name for people."""

import re

import sqlalchemy as sql

from outcrop.access.records.records import Records
from outcrop.access.records.tables import schema, table
from outcrop.errors import ServiceRefusal
from outcrop.store.database import create_tables

_aliases = table("aliases", sql.Column("alias", sql.String, primary_key=True))
_FORM = re.compile(r"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$")


class Aliases:
    """The alias, in a list as IAM has it."""

    def __init__(self, records: Records) -> None:
        self._records = records
        create_tables(records.engine, schema)

    def all(self) -> list[str]:
        return [row.alias for row in self._records.all(sql.select(_aliases.c.alias))]

    def set(self, alias: str) -> None:
        """Set the account's alias, in place of the one before."""
        if not _FORM.match(alias):
            sentence = f"AccountAlias: {alias!r} may hold 3 to 63 lower-case letters, digits and single inner dashes."
            raise ServiceRefusal("ValidationError", sentence, http_status=400)
        with self._records.alone():
            self._records.write(sql.delete(_aliases))
            self._records.write(sql.insert(_aliases).values(alias=alias))

    def remove(self, alias: str) -> None:
        if not self._records.write(sql.delete(_aliases).where(_aliases.c.alias == alias)):
            sentence = f"The account alias {alias} does not exist."
            raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)
