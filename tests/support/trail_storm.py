"""Calls that change something from many threads while their server is killed again and again, held against its record."""

import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from outcrop.clock import SystemClock
from outcrop.house import House
from tests.support.servers import ServerProcess, server_process

_THREADS = 4


@dataclass
class Storm:
    """What the clients were told, and what the record says of it."""

    acknowledged: list[str] = field(default_factory=list)
    "The ids of the requests that were answered as done."
    entries: Counter[str] = field(default_factory=Counter)
    "Of each request's id, how many entries there are."
    broken: str | None = None
    kills: int = 0

    @property
    def missing(self) -> list[str]:
        return [each for each in self.acknowledged if self.entries[each] == 0]

    @property
    def doubled(self) -> list[str]:
        return [each for each, times in self.entries.items() if times > 1]


def run_storm(home: Path, *, calls: int, kills: int) -> Storm:
    """Make so many calls, killing the server so many times on the way; then read the record."""
    storm, numbers, lock = Storm(), iter(range(calls)), threading.Lock()
    gone = threading.Semaphore(0)

    def work(server: ServerProcess) -> None:
        iam, s3 = server.client("iam"), server.client("s3")
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            answer = _call(server, iam, s3, number)
            with lock:
                if answer is not None:
                    storm.acknowledged.append(answer)
            gone.release()

    with server_process(home) as server:
        threads = [threading.Thread(target=work, args=(server,)) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            for _ in range(calls // (kills + 1)):
                gone.acquire()
            server.kill()
            storm.kills += 1
            server.start()
        for thread in threads:
            thread.join()
        server.kill()
        settings = server.settings
        with House.open(settings, SystemClock()) as house:
            storm.broken = house.audit.verify().broken
            for recorded in house.audit.following(0, 10 * calls):
                if not recorded.entry.read_only:
                    storm.entries[recorded.entry.request_id] += 1
    return storm


def _call(server: ServerProcess, iam: Any, s3: Any, number: int) -> str | None:
    """The id of the request if it was answered as done. One that finds no server is made again, for that is none."""
    while True:
        with suppress(ClientError):
            try:
                made = (
                    iam.create_user(UserName=f"user-{number}")
                    if number % 2
                    else s3.create_bucket(Bucket=f"storm-bucket-{number}")
                )
            except BotoCoreError as error:
                if "Could not connect" in str(error):
                    time.sleep(0.05)
                    continue
                return None
            return str(made["ResponseMetadata"]["RequestId"])
        return None
