"""A folder of checkpoints and its prefix in S3: fetched before the script starts, and kept alike while it runs.

A file is put there once it has not changed between two looks, so that what is half written is seldom taken for a
checkpoint; one that changes all the time is taken at every third look. What the script deletes is deleted there. The
last look takes everything.
"""

import os
import stat
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from outcrop.buckets.names import parse_s3_uri
from outcrop.data import fetching
from outcrop.data.data import RoleData
from outcrop.errors import Invalid
from outcrop.isolation import leftovers

_DEFAULT = "/opt/ml/checkpoints"
_OPT_ML = ("/", "opt", "ml")
_PATIENCE = 3
"Looks that a file which changes all the time is left alone for."
_BINARY = "application/octet-stream"


class Checkpoints:
    """The checkpoints of one training job."""

    def __init__(self, data: RoleData, uri: str, folder: Path) -> None:
        self._data = data
        self._uri = uri.rstrip("/")
        self._folder = folder
        self._seen: dict[str, tuple[int, int]] = {}
        self._restless: Counter[str] = Counter()
        "Looks in a row at which a file had changed."
        self._kept: dict[str, tuple[int, int]] = {}
        "Size and time of the files as they lie in S3."

    def fetch(self) -> int:
        """Copy what lies in S3 into the folder; returns the number of files."""
        place = parse_s3_uri(f"{self._uri}/")
        keys = [record.key for record in self._data.list_objects(f"{self._uri}/")]
        names = fetching.names_of(keys, prefix=place.key)
        for key, name in names.items():
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            self._data.fetch(f"s3://{place.bucket}/{key}", target)
            self._kept[name] = _state(target.stat())
        self._seen = dict(self._kept)
        return len(names)

    def look(self, *, last: bool = False) -> int:
        """Put new and changed files into S3, and remove those that are gone; returns the number of both.

        Where the script has removed the whole folder, what lies in S3 stays. Raises Invalid for a link in its place.
        """
        if not os.path.lexists(self._folder):
            return 0
        if not stat.S_ISDIR(os.lstat(self._folder).st_mode):
            raise Invalid("CheckpointConfig.LocalPath: the script has put something else in the place of the folder.")
        found: dict[str, tuple[int, int]] = {}
        moved = 0
        for file in leftovers.files(self._folder):
            state = found[file.path] = _state(os.fstat(file.descriptor))
            if self._kept.get(file.path) != state and (last or self._is_due(file.path, state)):
                # By its descriptor: the name may be another file's by now.
                held = Path(f"/proc/self/fd/{file.descriptor}")
                self._data.put_file(f"{self._uri}/{file.path}", held, content_type=_BINARY)
                self._kept[file.path] = state
                self._restless[file.path] = 0
                moved += 1
        gone = self._kept.keys() - found.keys()
        for path in gone:
            self._data.remove(f"{self._uri}/{path}")
            del self._kept[path]
        self._seen = found
        return moved + len(gone)

    def _is_due(self, path: str, state: tuple[int, int]) -> bool:
        if self._seen.get(path) != state:
            self._restless[path] += 1
        return self._seen.get(path) == state or self._restless[path] >= _PATIENCE


def local_path(request: Mapping[str, Any]) -> PurePosixPath:
    """The folder of the checkpoints, from /opt/ml on. Raises Invalid for one that lies elsewhere."""
    given = PurePosixPath(request["CheckpointConfig"].get("LocalPath") or _DEFAULT)
    if given.parts[:3] != _OPT_ML or len(given.parts) < 4 or ".." in given.parts:
        raise Invalid(f"CheckpointConfig.LocalPath: {given} is no folder below /opt/ml. Name one, {_DEFAULT} say.")
    return PurePosixPath(*given.parts[3:])


def _state(of: os.stat_result) -> tuple[int, int]:
    return of.st_size, of.st_mtime_ns
