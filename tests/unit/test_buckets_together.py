"""Many hands at the same objects, and processes that are killed in the middle: what was acknowledged is whole."""

import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.checksums import Algorithm
from outcrop.buckets.conditions import Stretch
from outcrop.buckets.names import Place
from outcrop.buckets.records import Details
from outcrop.buckets.uploads import ChosenPart
from outcrop.clock import MovableClock, SystemClock
from outcrop.errors import ServiceRefusal
from outcrop.settings import Settings
from outcrop.store.store import Store

PUTTING = """
import asyncio, sys, hashlib
from pathlib import Path
from outcrop.buckets.buckets import Buckets
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import Promise
from outcrop.clock import SystemClock
from outcrop.settings import Settings
from outcrop.store.store import Store

buckets = Buckets(Store.open(Settings(home=Path(sys.argv[1]))), SystemClock())
number = 0
while True:
    seed = str(number % 3) if number % 2 else str(number)  # every second content comes again and again
    data = hashlib.shake_128(seed.encode()).digest(200_000)
    digest = hashlib.sha256(data).hexdigest()
    async def chunks():
        yield data
    place = Place("books", f"k{number % 7}" if number % 2 else f"n{number}")
    asyncio.run(buckets.put(place, chunks(), promise=Promise(sha256=digest)))
    print(number, digest, flush=True)
    number += 1
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    yield opened
    opened.close()


def test_a_killed_process_leaves_every_acknowledged_object_whole(store: Store, tmp_path: Path) -> None:
    buckets = Buckets(store, SystemClock())
    buckets.create("books", "us-east-1")
    acknowledged: dict[str, str] = {}
    for kill_after in (1, 6, 13):
        process = subprocess.Popen([sys.executable, "-c", PUTTING, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(kill_after)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        for number, digest in (line.split() for line in lines if line.endswith("\n")):
            if int(number) % 2 == 0:  # the others are overwritten later
                acknowledged[f"n{number}"] = digest

        assert acknowledged
        for record in buckets.under("books", ""):
            data = buckets.path(record).read_bytes()
            assert hashlib.sha256(data).hexdigest() == record.digest
            assert hashlib.md5(data).hexdigest() == record.etag
        for key, digest in acknowledged.items():
            assert buckets.find("books", key).digest == digest


def test_puts_deletes_and_sweeps_of_the_same_content_never_lose_a_file(store: Store) -> None:
    class Leaping:
        """A clock by which every grace period is over at once: the sweep is as keen as it can be."""

        def __init__(self) -> None:
            self._clock = MovableClock()
            self._lock = threading.Lock()

        def now(self) -> datetime:
            with self._lock:
                self._clock.move(timedelta(hours=1))
                return self._clock.now()

    buckets = Buckets(store, Leaping())
    buckets.create("books", "us-east-1")

    def work(worker: int) -> None:
        for turn in range(12):
            buckets.put_bytes("books", f"own{worker}", f"content {turn % 3}".encode())
            # No one else touches this key: its row is there, so its file must be
            assert buckets.read_bytes("books", f"own{worker}") == f"content {turn % 3}".encode()
            if turn % 4 == 3:
                buckets.remove("books", f"own{worker}")

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))


def test_of_two_completions_both_get_the_one_object(store: Store) -> None:
    buckets = Buckets(store, SystemClock())
    buckets.create("books", "us-east-1")
    place = Place("books", "whole")
    upload = buckets.uploads.begin(place, details=Details(), algorithm=Algorithm.CRC32)
    source = buckets.put_bytes("books", "source", b"part")
    part = buckets.uploads.copy_part(place, upload.id, 1, source, Stretch(0, 4))

    def complete(_: int) -> str:
        try:
            return buckets.uploads.complete(place, upload.id, [ChosenPart(number=1, etag=part.etag)]).etag
        except ServiceRefusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(complete, range(4)))

    assert len(answers) == 1
    assert buckets.read_bytes("books", "whole") == b"part"


def test_of_many_creators_of_a_bucket_one_wins(store: Store) -> None:
    buckets = Buckets(store, SystemClock())

    def create(_: int) -> str:
        try:
            buckets.create("books", "eu-west-1")
        except ServiceRefusal as refusal:
            return refusal.code
        return "created"

    with ThreadPoolExecutor(8) as threads:
        answers = sorted(threads.map(create, range(8)))

    assert answers == ["BucketAlreadyOwnedByYou"] * 7 + ["created"]
