"""A data file or folder that a command is given: on this machine, and readable more than once."""

import difflib
import re
from pathlib import Path

from outcrop.errors import Invalid

_URI = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.IGNORECASE)


def check_data_file(given: Path) -> Path:
    """The file or folder. Raises Invalid for what is none, saying what to do."""
    try:
        path = given.expanduser()
    except RuntimeError as error:
        raise Invalid(f"{given}: nobody knows whose home ~ is. Give the whole path.") from error
    if path.is_file() or path.is_dir():
        return path
    if path.exists():
        raise Invalid(f"{given}: no regular file, and it is read more than once. Write it to a file first.")
    uri = _URI.fullmatch(str(given))
    if uri is not None:
        raise Invalid(_fetch(uri[1].lower(), f"{uri[1]}://{uri[2]}"))
    raise Invalid(f"{given}: no such file.{_like(path)}")


def _fetch(scheme: str, uri: str) -> str:
    how = f"aws s3 cp {uri} ." if scheme == "s3" else f"curl -O {uri}" if scheme in ("http", "https") else ""
    first = f"Fetch it first: {how}" if how else "Fetch it first, and name the file here."
    return f"{uri}: an address, and this command reads files of this machine. {first}"


def _like(path: Path) -> str:
    try:
        names = [each.name for each in path.parent.iterdir()]
    except OSError:
        return f" There is no folder {path.parent} either." if not path.parent.is_dir() else ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {path.parent / near[0]}?" if near else ""
