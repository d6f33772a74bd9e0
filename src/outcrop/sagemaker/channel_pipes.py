"""Channels in Pipe mode: the bytes of a channel's objects, one after another, through a named pipe for each epoch.

The pipe of an epoch is `<channel>_<epoch>` beside the other channels. It is there before the script can want it: the
next one is made when a script opens the one before. Nothing is copied to the disk of the job.
"""

import errno
import os
import random
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from outcrop.data.data import RoleData
from outcrop.errors import Invalid, OutcropError

_PIECE_BYTES = 1 << 20
_LOOK_S = 0.05
"Between two looks whether a script has opened the pipe: there is nothing that would wait for it and can be ended."


class ChannelPipe:
    """A channel of one host in Pipe mode, from the first epoch to the end of the script."""

    def __init__(
        self, data: RoleData, uris: Sequence[str], folder: Path, name: str, *, shuffled_by: int | None = None
    ) -> None:
        """`folder` holds the channels; `shuffled_by` is the seed of ShuffleConfig, which shuffles every epoch anew."""
        self._data = data
        self._uris = uris
        self._name = name
        self._shuffled_by = shuffled_by
        self._ending = threading.Event()
        self.trouble: OutcropError | None = None
        "Why the channel cannot be given any more."
        # Held open: by its path, the script could put another folder in its place.
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._make(0)
        self._thread = threading.Thread(target=self._give, name=f"pipe-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End it, once the script has ended: nobody reads any more."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._folder)

    def _give(self) -> None:
        try:
            for epoch, pipe in enumerate(self._opened()):
                with suppress(BrokenPipeError), pipe:  # who has had enough of an epoch closes it
                    self._write(pipe, epoch)
        except OutcropError as trouble:
            self.trouble = trouble
        except OSError as error:
            self.trouble = Invalid(f"InputDataConfig: the pipe of the channel {self._name} is gone: {error.strerror}.")

    def _write(self, pipe: BinaryIO, epoch: int) -> None:
        uris = list(self._uris)
        if self._shuffled_by is not None:
            random.Random(self._shuffled_by + epoch).shuffle(uris)
        for uri in uris:
            with self._data.open(uri) as content:
                while piece := content.read(_PIECE_BYTES):
                    pipe.write(piece)

    def _opened(self) -> Iterator[BinaryIO]:
        """The pipe of each epoch, once the script has opened it."""
        epoch = 0
        while (descriptor := self._wait_for_reader(epoch)) is not None:
            self._make(epoch + 1)
            os.set_blocking(descriptor, True)
            yield os.fdopen(descriptor, "wb")
            epoch += 1

    def _wait_for_reader(self, epoch: int) -> int | None:
        """A descriptor to write to; None when the script has ended before."""
        while not self._ending.wait(_LOOK_S):
            try:
                descriptor = os.open(
                    f"{self._name}_{epoch}",
                    os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC,
                    dir_fd=self._folder,
                )
            except OSError as error:
                if error.errno == errno.ENXIO:  # nobody reads yet
                    continue
                raise
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
            raise OSError(errno.EINVAL, "something else stands in its place")
        return None

    def _make(self, epoch: int) -> None:
        """Make the pipe of an epoch, which belongs to whoever owns the folder: the script's user by now."""
        name, owner = f"{self._name}_{epoch}", os.fstat(self._folder)
        os.mkfifo(name, 0o600, dir_fd=self._folder)
        if owner.st_uid != os.geteuid():
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=self._folder, follow_symlinks=False)
