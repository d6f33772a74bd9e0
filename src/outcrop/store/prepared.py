"""A statement that runs for every request: built once, and given to the database's driver as it stands.

On its way through SQLAlchemy a statement takes many times what SQLite needs for it. Text and conversions are still
SQLAlchemy's own, taken from it once, so a row is the same whichever way it went. It joins the transaction of the
connection that it is given; in one of PostgreSQL's it is an ordinary statement there.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

Convert = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class DriverText:
    """A statement as a driver takes it. A value without a conversion goes as it is."""

    query: str
    parameters: Sequence[tuple[str, Convert | None]]
    columns: Sequence[tuple[str, Convert | None]]

    def bound(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The values for SQLite, in their order."""
        return [parameters[name] if convert is None else convert(parameters[name]) for name, convert in self.parameters]

    def bound_by_name(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The values for PostgreSQL."""
        return dict(zip((name for name, _ in self.parameters), self.bound(parameters), strict=True))

    def named(self, row: Sequence[Any]) -> dict[str, Any]:
        return {
            name: value if convert is None else convert(value)
            for (name, convert), value in zip(self.columns, row, strict=True)
        }


class Prepared:
    """A prepared SELECT, INSERT, UPDATE or DELETE, every value of which is a named parameter. Safe in several
    threads."""

    def __init__(self, statement: sql.Executable) -> None:
        self._statement = statement
        self._texts: dict[str, DriverText] = {}

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> None:
        driver = _driver(connection)
        if driver is None:
            connection.execute(self._statement, parameters)
            return
        text = self.text(connection.dialect)
        driver.execute(text.query, text.bound(parameters))

    def first(self, connection: Connection, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The first row found, by the names of its columns."""
        driver = _driver(connection)
        if driver is None:
            found = connection.execute(self._statement, parameters).first()
            return None if found is None else found._asdict()
        text = self.text(connection.dialect)
        row = driver.execute(text.query, text.bound(parameters)).fetchone()
        return None if row is None else text.named(row)

    def text(self, dialect: Dialect) -> DriverText:
        """The statement for a driver's connection that SQLAlchemy knows nothing of. `dialect` is the engine's."""
        # Every engine of a database compiles alike, so whose dialect came first does not matter.
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = _text(self._statement, dialect)
        return text


def _driver(connection: Connection) -> sqlite3.Connection | None:
    if connection.dialect.name != "sqlite":
        return None
    if not connection.in_transaction():
        connection.begin()  # as the first statement by SQLAlchemy would: a reader sees one moment throughout
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _text(statement: sql.Executable, dialect: Dialect) -> DriverText:
    assert isinstance(statement, sql.ClauseElement)
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    names = compiled.positiontup or list(compiled.bind_names.values())
    columns: list[sql.ColumnElement[Any]] = (
        list(statement.selected_columns) if isinstance(statement, sql.Select) else []
    )
    return DriverText(
        query=compiled.string,
        parameters=[(name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names],
        columns=[
            (column.key or "", column.type.dialect_impl(dialect).result_processor(dialect, None)) for column in columns
        ],
    )
