"""Log groups with their streams and events, as CloudWatch Logs has them: lines with a time.

    groups = LogGroups(store, clock, folder)
    groups.create("/aws/bedrock", region="us-east-1")              # False where it was there already
    groups.put("/aws/bedrock", "aws/bedrock/modelinvocations", [LogEvent(at=now, message="{…}")], region="us-east-1")
    groups.events("/aws/bedrock", region="us-east-1", since=yesterday)
    groups.sweep()                                                 # every hour: what is older than its group keeps

Groups and streams are rows; events are in files, a folder for each stream (`event_files.py` tells why). Give `put` many
lines at a time: each call is one write that waits for the disk, and costs the same for one line as for thousands.
"""

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from outcrop import arn as arns
from outcrop.clock import Clock
from outcrop.errors import Invalid, MachineTrouble, ServiceRefusal
from outcrop.keys.envelopes import DataKey, Envelopes, WrappedKey
from outcrop.keys.sealed_content import OpenKey
from outcrop.log_groups.event_files import Extent, LogFiles
from outcrop.log_groups.events import EventPlace, KeptEvent, LogEvent, ReadSpan
from outcrop.log_groups.reading import StreamFile, in_order
from outcrop.log_groups.records import LogGroup, LogRecords, LogStream, no_stream
from outcrop.store.database import microseconds
from outcrop.store.store import Store

_GROUP = re.compile(r"[A-Za-z0-9_./#-]{1,512}")
_STREAM = re.compile(r"[^:*]{1,512}")
KEY_CONTEXT = "aws:logs:arn"
"The one pair of the encryption context: the ARN of the group."
_MOST_OPEN = 4096
"Streams whose files this process remembers."
_LEFT_BEHIND_S = 3600


def _without_keys() -> Envelopes:
    raise MachineTrouble("These log groups were opened without keys, and one of them is sealed. Open the whole house.")


class LogGroups:
    """The log groups of an installation, in every region. Safe in several threads and processes."""

    def __init__(
        self, store: Store, clock: Clock, folder: Path, envelopes: Callable[[], Envelopes] = _without_keys
    ) -> None:
        """`folder` holds the events; `envelopes` has the data keys of groups that are sealed."""
        self._envelopes = envelopes
        self._data_keys: dict[tuple[int, str], DataKey] = {}
        self._store = store
        self._clock = clock
        self._folder = folder
        self._lock = threading.Lock()
        self._files: dict[str, LogFiles] = {}

    @cached_property
    def records(self) -> LogRecords:
        """Groups and streams."""
        return LogRecords(self._store.engine)  # when first needed: a start waits for no table of this room

    def create(self, name: str, *, region: str) -> bool:
        """Make a group; whether there was none of that name. Raises Invalid for what is no name of one."""
        check_group_name(name)
        return self.records.make_group(name, region=region, at=self._clock.now())

    def exists(self, name: str, *, region: str) -> bool:
        return self.records.find_group(name, region=region) is not None

    def names(self, *, region: str) -> list[str]:
        """The groups of a region, by name."""
        return [group.name for group in self.records.groups(region=region)]

    def streams(self, name: str, *, region: str) -> list[str]:
        """The streams of a group, by name. Raises NotFound."""
        return [stream.name for stream in self.records.streams(self.records.group(name, region=region))]

    def create_stream(self, name: str, stream: str, *, region: str) -> bool:
        """Make a stream; whether there was none of that name. Raises Invalid for its name, NotFound for the group."""
        check_stream_name(stream)
        return self.records.make_stream(self.records.group(name, region=region), stream, at=self._clock.now())[1]

    def put(self, name: str, stream: str, events: Sequence[LogEvent], *, region: str) -> None:
        """Add events to a stream, which is made where it is absent: all of them, or none.

        Raises NotFound for a group that is not there, Invalid for an event that is too large, DiskFull.
        """
        check_stream_name(stream)
        group, found = self.records.find_stream(name, stream, region=region)
        if found is None:
            found = self.records.make_stream(group, stream, at=self._clock.now())[0]
        self.append(group, found, events)

    def append(self, group: LogGroup, stream: LogStream, events: Sequence[LogEvent]) -> int:
        """Add events to a stream on record; returns the number that its next event will have.

        Raises AccessDeniedException where the key of the group cannot be used.
        """
        files = self.files(stream)
        if not events:
            return files.next_number()
        return files.append(events, now_us=microseconds(self._clock.now()), data_key=self._data_key(group))

    def next_number(self, stream: LogStream) -> int:
        """The number that the stream's next event will have."""
        return self.files(stream).next_number()

    def events(
        self,
        name: str,
        *,
        region: str,
        stream: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[KeptEvent]:
        """Events of a group, or of one of its streams, in [since, until), by their time. Raises NotFound."""
        group = self.records.group(name, region=region)
        chosen = [each for each in self.records.streams(group) if stream in (None, each.name)]
        yield from self.read(group, chosen, since=since, until=until)

    def read(
        self,
        group: LogGroup,
        streams: Sequence[LogStream],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: EventPlace | None = None,
        descending: bool = False,
    ) -> Iterator[KeptEvent]:
        """Events of some streams of a group in one order, behind a place; none that the group keeps no longer."""
        kept = self.kept_since(group)
        since = kept if since is None or (kept is not None and kept > since) else since
        opener = self._opener()
        files = [StreamFile(each.id, each.name, file, opener) for each in streams for file in self.files(each).files()]
        return in_order(files, ReadSpan.between(since, until, after=after, descending=descending))

    def _data_key(self, group: LogGroup) -> DataKey | None:
        """The data key that seals what is put into a group now: one for all batches of this process."""
        if not group.kms_key_arn:
            return None
        with _key_told():
            known = self._data_keys.get((group.id, group.kms_key_arn))
            if known is not None and self._envelopes().open(known.wrapped) == known.plaintext:
                return known
            arn = arns.parse(group.kms_key_arn)
            assert arn is not None, "a key is kept by its ARN"
            named = f"log-group:{group.name}"
            owner = arns.Arn(service="logs", region=group.region, account=arn.account, resource=named)
            made = self._envelopes().make(group.kms_key_arn, {KEY_CONTEXT: str(owner)})
        self._data_keys[group.id, group.kms_key_arn] = made
        return made

    def _opener(self) -> OpenKey:
        """Opens data keys, each once: the state of its key counts when a reading comes to it."""
        known: dict[bytes, bytes] = {}

        def opened(wrapped: WrappedKey) -> bytes:
            if wrapped.blob not in known:
                with _key_told():
                    known[wrapped.blob] = self._envelopes().open(wrapped)
            return known[wrapped.blob]

        return opened

    def kept_since(self, group: LogGroup) -> datetime | None:
        """The moment before which events of the group are no longer shown; None where all are."""
        return None if group.retention_days is None else self._clock.now() - timedelta(days=group.retention_days)

    def extent(self, stream: LogStream) -> Extent:
        """The events of a stream summed up."""
        return self.files(stream).extent()

    def delete(self, name: str, *, region: str) -> None:
        """Forget a group with its streams and events. Raises NotFound."""
        for stream in self.records.remove_group(name, region=region):
            self._remove(stream.folder)

    def delete_stream(self, name: str, stream: str, *, region: str) -> None:
        """Forget a stream with its events. Raises NotFound for the group, ResourceNotFoundException for the stream."""
        self._remove(self.records.remove_stream(self.records.group(name, region=region), stream).folder)

    def required_stream(self, name: str, stream: str, *, region: str) -> tuple[LogGroup, LogStream]:
        """The group and the stream. Raises NotFound, ResourceNotFoundException."""
        group, found = self.records.find_stream(name, stream, region=region)
        if found is None:
            raise no_stream()
        return group, found

    def sweep(self) -> int:
        """Remove the files of events that their groups keep no longer; returns how many events went.

        Folders without a stream go too: a writer may have been at work when its stream was deleted.
        """
        removed = 0
        for group in self.records.groups():
            cutoff = self.kept_since(group)
            if cutoff is not None:
                for stream in self.records.streams(group):
                    removed += self.files(stream).remove_before(microseconds(cutoff))
        self._remove_left_behind()
        return removed

    def files(self, stream: LogStream) -> LogFiles:
        """The files with the events of a stream."""
        with self._lock:
            found = self._files.get(stream.folder)
            if found is None:
                if len(self._files) >= _MOST_OPEN:
                    self._files.clear()
                found = self._files[stream.folder] = LogFiles(self._folder / stream.folder)
            return found

    def _remove(self, folder: str) -> None:
        with self._lock:
            self._files.pop(folder, None)
        shutil.rmtree(self._folder / folder, ignore_errors=True)

    def _remove_left_behind(self) -> None:
        if not self._folder.is_dir():
            return
        before = time.time() - _LEFT_BEHIND_S  # the file system's own clock
        found = [each.name for each in os.scandir(self._folder) if each.stat().st_mtime < before]
        for folder in set(found) - self.records.folders():
            self._remove(folder)


@contextmanager
def _key_told() -> Iterator[None]:
    """Turn the refusals of KMS into one of CloudWatch Logs, which knows none of their codes."""
    try:
        yield
    except ServiceRefusal as refused:
        sentence = f"The KMS key of the log group cannot be used: {refused.message} ({refused.code})"
        raise ServiceRefusal("AccessDeniedException", sentence, http_status=400) from refused


def check_group_name(name: str) -> None:
    """Raises Invalid for what CloudWatch Logs takes for no name of a group."""
    if not _GROUP.fullmatch(name):
        raise Invalid(
            f"logGroupName: {name[:80]!r} is no name of a log group. Use 1 to 512 of a-z, A-Z, 0-9, '_', '-', '/', "
            "'.' and '#'."
        )


def check_stream_name(stream: str) -> None:
    """Raises Invalid for what CloudWatch Logs takes for no name of a stream."""
    if not _STREAM.fullmatch(stream):
        raise Invalid(f"logStreamName: {stream[:80]!r} is no name of a stream. Leave out ':' and '*'.")
