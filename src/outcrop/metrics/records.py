"""The tables of points: a row for each series, and one for each interval in which a process saw values."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson
import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from outcrop.metrics.series import Series
from outcrop.metrics.statistic import KeptPoint
from outcrop.store.database import UtcTime, create_tables, moment, reading, writing

_BYTES_OF_ROW = 64
"Of a row, its keys and its place in the tree, beside the counts."
_HOUR = 3_600_000_000
_schema = sql.MetaData()
_series = sql.Table(
    "metric_series",
    _schema,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("namespace", sql.String, nullable=False),
    sql.Column("metric", sql.String, nullable=False),
    sql.Column("dimensions", sql.String, nullable=False),
    sql.Column("unit", sql.String, nullable=False),
    sql.UniqueConstraint("namespace", "metric", "dimensions", "unit", name="metric_series_named"),
)
_points = sql.Table(
    "metric_points",
    _schema,
    # A process may hold the number of a series that another has removed: the key says so, and it is asked for again.
    sql.Column("series", sql.Integer, sql.ForeignKey("metric_series.id"), primary_key=True),
    sql.Column("at", UtcTime, primary_key=True),
    sql.Column("part", sql.BigInteger, primary_key=True),
    sql.Column("count", sql.BigInteger, nullable=False),
    sql.Column("total", sql.Double, nullable=False),
    sql.Column("least", sql.Double, nullable=False),
    sql.Column("most", sql.Double, nullable=False),
    sql.Column("counts", sql.String),
    sqlite_with_rowid=False,
)
_SERIES_BY_NAME = tuple(_series.c[name] for name in ("namespace", "metric", "dimensions", "unit"))


class PointRow(NamedTuple):
    """The values that one process saw in one interval of a series."""

    series: Series
    at: datetime
    part: int
    "Tells rows of one interval apart: each process, and each beginning of an interval anew, has its own."
    num_values: int
    total: float
    least: float
    most: float
    counts: Mapping[float, int]
    maybe_there: bool
    "Whether it was written before: it is written again while its interval lasts."


class SeriesGone(Exception):
    """A series whose number is remembered was removed meanwhile."""


class PointRecords:
    """The rows of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        create_tables(engine, _schema)

    def write(self, rows: Sequence[PointRow], numbers: dict[Series, int], *, new_series: bool) -> list[PointRow]:
        """Write rows in one transaction; returns those left out, since `new_series` may not be made.

        `numbers` remembers the numbers of series from call to call. Raises SeriesGone when one of them is wrong.
        """
        with writing(self._engine) as connection:
            found = dict(numbers)
            for row in rows:
                if row.series not in found:
                    number = _number(connection, row.series, make=new_series)
                    if number is not None:
                        found[row.series] = number
            kept = [row for row in rows if row.series in found]
            again = [{"s": found[row.series], "a": row.at, "p": row.part} for row in kept if row.maybe_there]
            if again:
                named = (_points.c.series == sql.bindparam("s")) & (_points.c.at == sql.bindparam("a"))
                connection.execute(sql.delete(_points).where(named, _points.c.part == sql.bindparam("p")), again)
            if kept:
                try:
                    connection.execute(sql.insert(_points), [_values(found[row.series], row) for row in kept])
                except sql.exc.IntegrityError as error:
                    raise SeriesGone from error
        numbers.update(found)
        return [row for row in rows if row.series not in found]

    def kept(
        self,
        names: Mapping[str, str],
        namespaces: Collection[str],
        dimensions: Sequence[tuple[str, str]],
        *,
        since: datetime,
        until: datetime,
        spread: bool,
    ) -> Iterator[tuple[str, KeptPoint]]:
        """The unit and the values of each interval that begins in [since, until), oldest first.

        `names` are metric and perhaps unit; without `spread` nobody needs to know each value.
        """
        named = [_series.c[name] == value for name, value in names.items()]
        # A bare NULL has the type of the column here, and is read as such.
        counts = _points.c.counts if spread else sql.null().label("counts")
        query = (
            sql.select(
                _series.c.unit, _points.c.at, _points.c.count, _points.c.total, _points.c.least, _points.c.most, counts
            )
            .join(_series, _series.c.id == _points.c.series)
            .where(*named, _series.c.namespace.in_(list(namespaces)))
            .where(_series.c.dimensions == _dimensions_text(dimensions))
            .where(_points.c.at >= since, _points.c.at < until)
            .order_by(_points.c.at)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        for unit, at, count, total, least, most, text in rows:
            yield unit, KeptPoint(at, count, total, least, most, _counts(text, least, count) if spread else {})

    def series(self, names: Mapping[str, Collection[str]], *, since: datetime | None = None) -> list[Series]:
        """Every series with one of these names each (namespace, metric, unit), in order; with points `since` then."""
        named = [_series.c[name].in_(list(values)) for name, values in names.items()]
        query = sql.select(*_SERIES_BY_NAME).where(*named)
        if since is not None:
            query = query.where(sql.exists().where(_points.c.series == _series.c.id, _points.c.at >= since))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(*_SERIES_BY_NAME)).all()
        return [
            Series(
                row.namespace,
                row.metric,
                tuple((name, value) for name, value in orjson.loads(row.dimensions)),
                row.unit,
            )
            for row in rows
        ]

    def has(self, of: Series) -> bool:
        """Whether a series is on record."""
        with reading(self._engine) as connection:
            return _number(connection, of, make=False) is not None

    def num_series(self) -> int:
        with reading(self._engine) as connection:
            return connection.execute(sql.select(sql.func.count()).select_from(_series)).scalar_one()

    def sizes(self) -> list[tuple[datetime, int]]:
        """The hours that have points, newest first, each with about as many bytes as its points take."""
        at = sql.type_coerce(_points.c.at, sql.BigInteger)
        hour = (at - at % _HOUR).label("hour")
        size = sql.func.sum(sql.func.coalesce(sql.func.length(_points.c.counts), 0) + _BYTES_OF_ROW)
        query = sql.select(hour, size).group_by(hour).order_by(hour.desc())
        with reading(self._engine) as connection:
            return [(moment(int(began)), int(taken)) for began, taken in connection.execute(query)]

    def remove_before(self, cutoff: datetime) -> int:
        """Forget all points before a moment, and series without any; returns how many points went.

        One series at a time, so that whoever else writes comes between.
        """
        removed = 0
        with reading(self._engine) as connection:
            numbers = connection.execute(sql.select(_series.c.id)).scalars().all()
        for number in numbers:
            old = sql.delete(_points).where(_points.c.series == number, _points.c.at < cutoff)
            left = sql.exists().where(_points.c.series == number)
            with writing(self._engine) as connection:
                removed += connection.execute(old).rowcount
                connection.execute(sql.delete(_series).where(_series.c.id == number, ~left))
        return removed


def next_hour(hour: datetime) -> datetime:
    return hour + timedelta(microseconds=_HOUR)


def _number(connection: Connection, of: Series, *, make: bool) -> int | None:
    values = {
        "namespace": of.namespace,
        "metric": of.metric,
        "dimensions": _dimensions_text(of.dimensions),
        "unit": of.unit,
    }
    query = sql.select(_series.c.id).where(*(_series.c[name] == value for name, value in values.items()))
    number = connection.execute(query).scalar()
    if number is None and make:
        number = connection.execute(sql.insert(_series).values(values).returning(_series.c.id)).scalar_one()
    return number


def _values(number: int, row: PointRow) -> dict[str, object]:
    text = None if row.least == row.most else _counts_text(row.counts)
    return {
        "series": number,
        "at": row.at,
        "part": row.part,
        "count": row.num_values,
        "total": row.total,
        "least": row.least,
        "most": row.most,
        "counts": text,
    }


def _dimensions_text(dimensions: Collection[tuple[str, str]]) -> str:
    return orjson.dumps(sorted(dimensions)).decode()


def _counts_text(counts: Mapping[float, int]) -> str:
    return orjson.dumps(list(counts.items())).decode()


def _counts(text: str | None, value: float, count: int) -> dict[float, int]:
    """Equal values need no text."""
    return {value: count} if text is None else {float(each): times for each, times in orjson.loads(text)}
