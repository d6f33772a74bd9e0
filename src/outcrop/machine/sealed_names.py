"""The name under which the header of a sealed file of weights lies beside it, readable without a key."""

from pathlib import Path

HEADER = ".header"


def sealed_header(path: Path) -> Path:
    """Where the header of a file of weights lies in clear, if the file is sealed."""
    return path.with_name(f"{path.name}{HEADER}")
