"""Rows of key material and grants. Material comes and goes sealed; keys and aliases themselves are resources."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.keys.grants import KeyGrant
from outcrop.store.database import UtcTime, create_tables, reading, writing

_schema = sql.MetaData()
_materials = sql.Table(
    "kms_materials",
    _schema,
    sql.Column("key_arn", sql.String, primary_key=True),
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("number", sql.Integer, nullable=False),
    sql.Column("made_by", sql.String, nullable=False),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("sealed", sql.LargeBinary, nullable=False),
    sql.UniqueConstraint("key_arn", "number"),
)
_grants = sql.Table(
    "kms_grants",
    _schema,
    sql.Column("id", sql.String, primary_key=True),
    sql.Column("key_arn", sql.String, nullable=False, index=True),
    sql.Column("retiring", sql.String, nullable=False, index=True),
    sql.Column("created", UtcTime, nullable=False),
    sql.Column("document", sql.JSON, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class KeyMaterial:
    """The bytes behind a key, sealed by the root key; each rotation adds one, and none goes before its key."""

    key_arn: str
    id: str
    number: int
    "Its place among the materials of its key, from 0; the last one encrypts."
    made_by: str
    "AUTOMATIC or ON_DEMAND; empty for the first."
    created: datetime
    sealed: bytes = field(repr=False)


class KmsRecords:
    """The rows of materials and grants of all keys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def add_material(self, material: KeyMaterial) -> None:
        self._write(sql.insert(_materials).values(vars(material)))

    def material(self, key_arn: str, material_id: str) -> KeyMaterial | None:
        found = self._materials((_materials.c.key_arn == key_arn) & (_materials.c.id == material_id))
        return found[0] if found else None

    def materials(self, key_arn: str) -> list[KeyMaterial]:
        """Oldest first."""
        return self._materials(_materials.c.key_arn == key_arn)

    def all_materials(self) -> list[KeyMaterial]:
        return self._materials(sql.true())

    def set_sealed(self, material: KeyMaterial, sealed: bytes) -> None:
        wanted = (_materials.c.key_arn == material.key_arn) & (_materials.c.id == material.id)
        self._write(sql.update(_materials).where(wanted).values(sealed=sealed))

    def add_grant(self, grant: KeyGrant) -> None:
        document = grant.document()
        self._write(
            sql.insert(_grants).values(
                id=grant.id, key_arn=grant.key_arn, retiring=grant.retiring, created=grant.created, document=document
            )
        )

    def grants(self, key_arn: str) -> list[KeyGrant]:
        """Oldest first."""
        return self._grants(_grants.c.key_arn == key_arn)

    def grants_page(
        self, *, key_arn: str = "", retiring: str = "", grantee: str = "", after: str = "", most: int
    ) -> list[KeyGrant]:
        """Grants by their ids, behind one; of a key or with a retiring principal."""
        condition = _grants.c.id > after
        if key_arn:
            condition &= _grants.c.key_arn == key_arn
        if retiring:
            condition &= _grants.c.retiring == retiring
        found = self._grants(condition, order=_grants.c.id, most=None if grantee else most)
        return [each for each in found if grantee in ("", each.grantee)][:most]

    def remove_grant(self, grant_id: str) -> None:
        self._write(sql.delete(_grants).where(_grants.c.id == grant_id))

    def remove_key(self, key_arn: str) -> None:
        """Forget the materials and grants of a key for ever."""
        for table in (_materials, _grants):
            self._write(sql.delete(table).where(table.c.key_arn == key_arn))

    def _materials(self, condition: sql.ColumnElement[bool]) -> list[KeyMaterial]:
        query = sql.select(_materials).where(condition).order_by(_materials.c.key_arn, _materials.c.number)
        with reading(self._engine) as connection:
            return [KeyMaterial(**row._mapping) for row in connection.execute(query)]

    def _grants(
        self, condition: sql.ColumnElement[bool], *, order: Any = None, most: int | None = None
    ) -> list[KeyGrant]:
        by = (_grants.c.created, _grants.c.id) if order is None else (order,)
        with reading(self._engine) as connection:
            rows = connection.execute(sql.select(_grants).where(condition).order_by(*by).limit(most)).all()
        return [KeyGrant.of(row.id, row.key_arn, row.retiring, row.created, row.document) for row in rows]

    def _write(self, statement: sql.Insert | sql.Update | sql.Delete) -> None:
        with writing(self._engine) as connection:
            connection.execute(statement)
