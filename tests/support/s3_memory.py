"""What the server's memory does while a long object goes in and out: a process of its own, watched with psutil."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from boto3.s3.transfer import TransferConfig

from tests.support.servers import server_process

MIB = 1024**2
_EVERY_S = 0.02


class Generated:
    """A file of so many bytes that never stands anywhere; blocks differ, so that a mixed-up one would show."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._number = 0

    def read(self, amount: int = -1) -> bytes:
        amount = self._left if amount < 0 else min(amount, self._left)
        self._left -= amount
        self._number += 1
        return self._number.to_bytes(8, "big")[:amount] + bytes(max(0, amount - 8))


@contextmanager
def watched_server(home: Path) -> Iterator[tuple[Any, psutil.Process]]:
    """A client of a server process, which has answered before, and the process."""
    with server_process(home) as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="long")
        go_in_and_out(s3, 20 * MIB)
        yield s3, psutil.Process(server.process.pid)
        s3.close()


def go_in_and_out(s3: Any, size: int) -> None:
    """Upload in parts, beside that a single put, and download what came."""
    transfer = TransferConfig(multipart_chunksize=8 * MIB, max_concurrency=4)
    s3.upload_fileobj(Generated(size), "long", "object", Config=transfer)
    taken = 0
    for block in s3.get_object(Bucket="long", Key="object")["Body"].iter_chunks(MIB):
        taken += len(block)
    assert taken == size == s3.head_object(Bucket="long", Key="object")["ContentLength"]


def growth_during(process: psutil.Process, s3: Any, size: int) -> int:
    """By how many bytes the process was larger at its largest than before."""
    before = int(process.memory_info().rss)
    largest, done = before, threading.Event()

    def watch() -> None:
        nonlocal largest
        while not done.wait(_EVERY_S):
            largest = max(largest, int(process.memory_info().rss))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        go_in_and_out(s3, size)
    finally:
        done.set()
        watcher.join()
    return largest - before
