"""The switch of everything in this folder: the environment variable OUTCROP_FAST, which is on unless it says 0."""

import os

from outcrop.errors import Invalid

NAME = "OUTCROP_FAST"


def is_on() -> bool:
    """Whether training computes in its fast ways; else `transformers` and torch compute everything.

    Raises Invalid for a value that is neither 0 nor 1.
    """
    value = os.environ.get(NAME, "").strip() or "1"
    if value not in ("0", "1"):
        raise Invalid(f"{NAME}: {value[:40]!r} is neither 0 nor 1. Give 0 to leave all to transformers, or unset it.")
    return value == "1"
