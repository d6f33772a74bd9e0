"""The buckets that are kept elsewhere: mounted ones, written by `outcrop mount`, and those the installation provides.

A mounted bucket is a name here, and the URL of a real bucket or a directory.

The record is a file in the home, looked at anew when it changed, so that a running server sees a new mount at once.
It holds no credentials: those come from the environment of the process, as each provider's own tools read them.
"""

import json
import os
import threading
from pathlib import Path
from urllib.parse import urlsplit

from outcrop.buckets.mounted import Mounted
from outcrop.buckets.provided import Provided, Provider, nothing_provided
from outcrop.errors import Invalid

SCHEMES = ("s3", "gs", "az", "abfs", "abfss", "file")


class Mounts:
    """The mounts of one installation, and the buckets it provides."""

    def __init__(self, file: Path, provider: Provider = nothing_provided) -> None:
        self._file = file
        self._provider = provider
        self._seen: tuple[int, int] | None = None
        self._mounted: dict[str, Mounted] = {}
        self._lock = threading.Lock()

    def at(self, bucket: str) -> Mounted | Provided | None:
        """The bucket of this name that is kept elsewhere, or None."""
        return self.provided(bucket) or self.mounted(bucket)

    def provided(self, bucket: str) -> Provided | None:
        """The bucket of this name that the installation provides, as it is now, or None."""
        content = self._provider(bucket)
        return None if content is None else Provided(bucket, content)

    def mounted(self, bucket: str) -> Mounted | None:
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
