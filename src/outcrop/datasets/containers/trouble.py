"""Errors of a file around its records, where it can be read no further."""


class ContainerError(Exception):
    """The file can be read no further; where, what, and how to mend it."""

    def __init__(self, what: str, mend: str, *, number: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.number = number
        "The record at which reading ended; None: the whole file is meant."


def needs_extra(what: str) -> ContainerError:
    """The error for a form that is read by a package which is not installed."""
    return ContainerError(f"{what}, and the package that reads this is not installed", "pip install 'outcrop[data]'")
