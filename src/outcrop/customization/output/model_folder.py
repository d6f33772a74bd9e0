"""The files of a job's model: made beside their place, and put there with the model's row.

The folder in which they are made is the lease's own (`jobs/lease_folders.py`). A worker that lost its lease can so
neither add to a model nor replace one.
"""

import shutil
from pathlib import Path

from outcrop.jobs import lease_folders


def take_up(folder: Path, *, number: int) -> Path:
    """The folder in which a lease makes the model of `folder`; what was made before is in it.

    No row may name the model yet: a worker that was killed before its last commit may have put the files in place.
    Raises LeaseLost.
    """
    making = lease_folders.take_up(folder.parent, _making(folder), number) / folder.name
    if folder.exists() and not making.exists():
        making.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(making)
    return making


def put_in_place(making: Path, folder: Path) -> None:
    """Put the files of a model where they shall be. Call it in the transaction that writes the model's row: its fence
    keeps others off."""
    shutil.rmtree(folder, ignore_errors=True)  # what a worker left that was killed before its last commit
    making.rename(folder)


def remove_leftovers(folder: Path, *, number: int | None = None) -> None:
    """Remove what all leases of a job, or the one with this number, have made for the model of `folder`."""
    lease_folders.remove(folder.parent, _making(folder), number=number)


def _making(folder: Path) -> str:
    return f".{folder.name}.lease"
