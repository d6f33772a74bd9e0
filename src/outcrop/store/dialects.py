"""Where SQLite and PostgreSQL would differ: texts sort by their bytes in both, and JSON is read as its text."""

from typing import Any

import sqlalchemy as sql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class json_text(FunctionElement[str]):  # noqa: N801 (used as a function)
    """A JSON column as the text in the row; on SQLite whatever else stands there, as it is."""

    type = sql.String()
    inherit_cache = True


@compiles(json_text)
def _as_it_is(element: json_text, compiler: SQLCompiler, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(json_text, "postgresql")
def _as_text(element: json_text, compiler: SQLCompiler, **options: Any) -> str:
    # The driver would take JSON apart by itself.
    return f"CAST({compiler.process(element.clauses, **options)} AS TEXT)"


@compiles(CreateColumn, "postgresql")
def _in_the_order_of_bytes(created: CreateColumn, compiler: Any, **options: Any) -> str:
    """The definition of a PostgreSQL column, whose text sorts by bytes as in SQLite. With the letters of a language,
    pages of names would come in another order on every server."""
    column, kind = str(compiler.visit_create_column(created, **options)), created.element.type
    if not isinstance(kind, sql.String):
        return column
    plain = str(compiler.dialect.type_compiler_instance.process(kind))
    return column.replace(plain, f'{plain} COLLATE "C"', 1)
