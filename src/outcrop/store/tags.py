"""Tags of resources: up to 50 keys with a value each, by ARN. Who owns the ARN is asked elsewhere."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sql
from sqlalchemy.engine import Engine

from outcrop.errors import Invalid, ServiceRefusal
from outcrop.store.database import create_tables, reading, writing

MAX_TAGS = 50

_schema = sql.MetaData()
_table = sql.Table(
    "tags",
    _schema,
    sql.Column("arn", sql.String, primary_key=True),
    sql.Column("key", sql.String, primary_key=True),
    sql.Column("value", sql.String, nullable=False),
)


def tags_of(member: str, pairs: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """The `key` and `value` pairs of a request's `member` as a mapping.

    Raises Invalid for a key that comes twice, or that begins with aws: in any case, which is AWS's own.
    """
    tags: dict[str, str] = {}
    for pair in pairs or ():
        key = pair["key"]
        if key in tags:
            raise Invalid(f"{member}: the key {key!r} is given twice. Give each key once.")
        if key.lower().startswith("aws:"):
            raise Invalid(f"{member}: the key {key!r} begins with aws:, which is kept for AWS. Choose another key.")
        tags[key] = pair["value"]
    return tags


def check_number(arn: str, tags: Mapping[str, str]) -> None:
    """Raises TooManyTagsException when these are more than a resource may have."""
    if len(tags) > MAX_TAGS:
        raise ServiceRefusal(
            "TooManyTagsException",
            f"{arn} would have {len(tags)} tags; at most {MAX_TAGS} are allowed. Remove some first.",
            http_status=400,
            resourceName=arn,
        )


class Tags:
    """The tags of every resource."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def put(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add tags, or give present keys a new value. Raises TooManyTagsException, and changes nothing then."""
        with writing(self._engine) as connection:
            check_number(arn, {**self.get(arn), **tags})
            self.remove(arn, tags)
            if tags:
                rows = [{"arn": arn, "key": key, "value": value} for key, value in tags.items()]
                connection.execute(sql.insert(_table), rows)

    def get(self, arn: str) -> dict[str, str]:
        """The tags by key, in the order of the keys."""
        query = sql.select(_table.c.key, _table.c.value).where(_table.c.arn == arn).order_by(_table.c.key)
        with reading(self._engine) as connection:
            return {row.key: row.value for row in connection.execute(query)}

    def remove(self, arn: str, keys: Iterable[str]) -> None:
        """Take these keys away; a key that is not there is no error."""
        with writing(self._engine) as connection:
            connection.execute(sql.delete(_table).where(_table.c.arn == arn, _table.c.key.in_(list(keys))))

    def clear(self, arn: str) -> None:
        """Take every tag away, as when the resource is deleted."""
        with writing(self._engine) as connection:
            connection.execute(sql.delete(_table).where(_table.c.arn == arn))
