"""Points in time on the wire: ISO 8601, seconds since 1970, dates of HTTP headers. Inside, always aware and UTC."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(text: str | float) -> datetime:
    """The moment `text` names, in any of the wire's formats. Raises ValueError when it names none.

    The format is told from the text, not from the shape: clients send seconds where ISO 8601 is modelled and the other
    way round, and no text means two things.
    """
    if isinstance(text, int | float):
        return _from_seconds(text)
    try:
        return _from_seconds(float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def write(moment: datetime, style: str) -> str | float:
    """`moment` as `iso8601`, `rfc822` or `unixtimestamp`, the names botocore's models use."""
    assert moment.tzinfo is not None, f"{moment!r} names no time zone"
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    if style == "iso8601":
        return iso8601(moment)
    if style == "rfc822":
        return format_datetime(moment.replace(microsecond=0), usegmt=True)
    if style == "unixtimestamp":
        seconds = (moment - _EPOCH) / timedelta(seconds=1)
        return int(seconds) if seconds.is_integer() else seconds
    raise AssertionError(f"no such timestamp format in any model: {style}")


@lru_cache(maxsize=4096)
def iso8601(moment: datetime) -> str:
    """`2023-11-14T22:13:20Z`, with as many digits of the second as there are."""
    digits = "seconds" if not moment.microsecond else "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=digits)[:-6] + "Z"


def _from_seconds(seconds: float) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{seconds} seconds since 1970 is no date") from error
