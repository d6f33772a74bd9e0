"""A statement that runs for every request: built once, and on SQLite given to the driver as it stands.

On its way through SQLAlchemy a statement takes many times what SQLite needs for it. Text and conversions are still
SQLAlchemy's own, taken from it once, so a row is the same whichever way it went. It joins the transaction of the
connection that it is given; elsewhere than on SQLite it is an ordinary statement.
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
class _Text:
    """A statement as SQLite's driver takes it. A value without a conversion goes as it is."""

    query: str
    parameters: Sequence[tuple[str, Convert | None]]
    columns: Sequence[tuple[str, Convert | None]]


class Prepared:
    """A prepared SELECT, INSERT, UPDATE or DELETE, every value of which is a named parameter. Safe in several
    threads."""

    def __init__(self, statement: sql.Executable) -> None:
        self._statement = statement
        self._text: _Text | None = None

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> None:
        driver = _driver(connection)
        if driver is None:
            connection.execute(self._statement, parameters)
            return
        text = self._for(connection.dialect)
        driver.execute(text.query, _bound(text, parameters))

    def first(self, connection: Connection, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The first row found, by the names of its columns."""
        driver = _driver(connection)
        if driver is None:
            found = connection.execute(self._statement, parameters).first()
            return None if found is None else found._asdict()
        return self.first_by(driver, connection.dialect, parameters)

    def first_by(
        self, driver: sqlite3.Connection, dialect: Dialect, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """The first row found by a connection of SQLite's driver that SQLAlchemy knows nothing of, as `first` gives it.
        `dialect` is the engine's."""
        text = self._for(dialect)
        row = driver.execute(text.query, _bound(text, parameters)).fetchone()
        return None if row is None else _named(text, row)

    def _for(self, dialect: Dialect) -> _Text:
        # Every engine of SQLite compiles alike, so whose dialect came first does not matter.
        if self._text is None:
            self._text = _text(self._statement, dialect)
        return self._text


def _driver(connection: Connection) -> sqlite3.Connection | None:
    if connection.dialect.name != "sqlite":
        return None
    if not connection.in_transaction():
        connection.begin()  # as the first statement by SQLAlchemy would: a reader sees one moment throughout
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _text(statement: sql.Executable, dialect: Dialect) -> _Text:
    assert isinstance(statement, sql.ClauseElement)
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    names = compiled.positiontup or []
    columns: list[sql.ColumnElement[Any]] = (
        list(statement.selected_columns) if isinstance(statement, sql.Select) else []
    )
    return _Text(
        query=compiled.string,
        parameters=[(name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names],
        columns=[
            (column.key or "", column.type.dialect_impl(dialect).result_processor(dialect, None)) for column in columns
        ],
    )


def _bound(text: _Text, parameters: Mapping[str, Any]) -> list[Any]:
    return [parameters[name] if convert is None else convert(parameters[name]) for name, convert in text.parameters]


def _named(text: _Text, row: Sequence[Any]) -> dict[str, Any]:
    return {
        name: value if convert is None else convert(value)
        for (name, convert), value in zip(text.columns, row, strict=True)
    }
