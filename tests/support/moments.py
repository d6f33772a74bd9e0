"""Moments at which the clocks of tests begin."""

from datetime import UTC, datetime


def this_minute() -> datetime:
    """The beginning of this minute: signatures are of now, and no test falls between two minutes.

    Asked when a server starts, not when its file of tests is read: by then a quarter of an hour may have passed, and
    signatures would be of the future.
    """
    return datetime.now(UTC).replace(second=0, microsecond=0)
