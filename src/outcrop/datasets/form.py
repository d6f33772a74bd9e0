"""Forms of files that are no JSON Lines, what turns each into JSON Lines, and whether it is read."""

from enum import StrEnum
from typing import NamedTuple

HEAD_BYTES = 256 * 1024
"Of a file, looked at to tell its form."


class Container(StrEnum):
    """The forms of files that are read beside JSON Lines."""

    ARRAY = "array"
    OBJECT = "object"
    DELIMITED = "delimited"
    PARQUET = "parquet"
    ARROW = "arrow"
    ARROW_STREAM = "arrow stream"


class Form(NamedTuple):
    """A file's form, and the command that turns it into JSON Lines."""

    what: str
    mend: str
    container: Container | None = None
    "None: it is not read."
    detail: str = ""
    "The key under which an object holds its records, or the separator of a table's columns."
