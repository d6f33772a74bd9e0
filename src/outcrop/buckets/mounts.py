"""The mounted buckets: a name here, and the URL of a real bucket or a directory. Written by `outcrop mount`.

The record is a file in the home, looked at anew when it changed, so that a running server sees a new mount at once.
It holds no credentials: those come from the environment of the process, as each provider's own tools read them.
"""

import json
import os
import threading
from pathlib import Path
from urllib.parse import urlsplit

from outcrop.buckets.mounted import Mounted
from outcrop.errors import Invalid

SCHEMES = ("s3", "gs", "az", "abfs", "abfss", "file")


class Mounts:
    """The mounts of one installation."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._mounted: dict[str, Mounted] = {}
        self._lock = threading.Lock()

    def at(self, bucket: str) -> Mounted | None:
        """The bucket that is mounted under this name, or None."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return None
        seen = (status.st_mtime_ns, status.st_ino)
        with self._lock:
            if seen != self._seen:
                urls = self.urls()
                kept = {name: each for name, each in self._mounted.items() if urls.get(name) == each.url}
                self._mounted = {name: kept.get(name) or Mounted(name, url) for name, url in urls.items()}
                self._seen = seen
            return self._mounted.get(bucket)

    def urls(self) -> dict[str, str]:
        """URL by bucket."""
        try:
            found: dict[str, str] = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def write(self, bucket: str, url: str | None) -> None:
        """Mount, or with None take away; the files at the URL are not touched."""
        urls = {**self.urls(), bucket: url}
        text = json.dumps({name: each for name, each in sorted(urls.items()) if each is not None}, indent=2)
        beside = self._file.with_suffix(".new")
        beside.write_text(text, "utf-8")
        os.replace(beside, self._file)


def check_url(url: str) -> None:
    """Raises Invalid for what cannot be mounted."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or (parts.scheme == "file" and not Path(parts.path).is_dir()):
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise Invalid(
            f"{url}: cannot be mounted. Name a URL of {known}; a directory must be there: file:///data/texts."
        )
