"""The end of a model's answer: exactly one end token, whether or not a record's writer has put one there."""

from collections.abc import Set


def cut(text: str, ends: Set[str]) -> str:
    """The text without the end tokens it ends with, and without the white space behind them."""
    while True:
        bare = text.rstrip()
        ending = next((end for end in ends if bare.endswith(end)), None)
        if ending is None:
            return text
        text = bare[: -len(ending)]
