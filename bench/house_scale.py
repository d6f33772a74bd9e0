"""`make bench-house-scale`: a home with many records beside an empty one.

The large home has 100,000 ended jobs, 10,000 custom models and 2,000 deployments on record; the peer of each row is the
empty home, but where it says otherwise. Of each: how long `outcrop up` takes until it answers, the processor time of
all its processes while nobody asks anything, a page of 50 of each listing, and an invocation of the bundled model.
Each time is the least of several: what else the machine does only adds to it.
"""

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psutil
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.load import free_port
from bench.measuring import Row, lower_is_better, report
from bench.scale_records import COUNTS, REGION, START, fill
from outcrop.cli import export
from outcrop.settings import Settings

PAGE = 50
STARTS = 4
"Of each home, in turns."
ROUNDS = 6
BASE = "outcrop.starter-v1"
FOUNDATION = f"arn:aws:bedrock:{REGION}::foundation-model/{BASE}"
ENGINE_S = 300.0
SETTLED_S = 30.0
"The start is over: whatever is read beside the first requests has been read, and the worker counts as well."
UNITS = {
    "an invocation": "ms",
    "idle processes": "% of a core",
    "ready after the start": "s",
    "processor time of the start": "s",
}
LISTINGS: dict[str, tuple[str, dict[str, str]]] = {
    "jobs": ("/model-customization-jobs", {}),
    "jobs that failed": ("/model-customization-jobs", {"statusEquals": "Failed"}),
    "jobs from the middle on": ("/model-customization-jobs", {"creationTimeBefore": "MIDDLE"}),
    "jobs, oldest first": ("/model-customization-jobs", {"sortOrder": "Ascending"}),
    "custom models": ("/custom-models", {}),
    "custom models of a base": ("/custom-models", {"baseModelArnEquals": FOUNDATION}),
    "deployments": ("/model-customization/custom-model-deployments", {}),
    "deployments that are active": ("/model-customization/custom-model-deployments", {"statusEquals": "Active"}),
    "provisioned throughput": ("/provisioned-model-throughputs", {}),
}
SEARCHES: dict[str, tuple[str, dict[str, str]]] = {
    "jobs by a part of the name that none has": ("/model-customization-jobs", {"nameContains": "none"}),
}


class NotReady(Exception):
    """The engine is still starting."""


@dataclass(frozen=True, kw_only=True)
class House:
    """A running installation, and how its administrator asks it."""

    settings: Settings
    process: "subprocess.Popen[str]"
    ready_s: float
    start_cpu_s: float
    "Of all its processes until then: what a machine that is busy with other things does not lengthen as much."
    credentials: Credentials

    def ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b"") -> Any:
        request = AWSRequest(method=method, url=self.settings.endpoint + path, data=body)
        SigV4Auth(self.credentials, "bedrock", REGION).add_auth(request)
        connection.request(method, path, body=body or None, headers=dict(request.headers))
        answer = connection.getresponse()
        text = answer.read()
        if answer.status in (429, 503):
            raise NotReady(text)
        assert answer.status == 200, text
        return json.loads(text)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.settings.host, self.settings.port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=30, help="how often each page and invocation is asked for")
    parser.add_argument("--idle-s", type=float, default=60.0, help="how long the idle installation is watched")
    parser.add_argument("--share", type=float, default=1.0, help="of the records, for a quick look")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        homes = [Path(place) / "empty", Path(place) / "large"]
        make(homes[0], share=0.0)
        make(homes[1], share=given.share)
        starts = [[started(home) for home in homes] for _ in range(STARTS)]
        orders = [invocations_in_turns(homes, given.times), invocations_in_turns(homes[::-1], given.times)[::-1]]
        invocations = list(map(min, *orders))  # the home whose engine starts last is slower by a tenth
        empty, large = (
            {**least(of_home), "an invocation": ms, **pages(home, given, has_records=home is homes[1])}
            for home, of_home, ms in zip(homes, zip(*starts, strict=True), invocations, strict=True)
        )
    counts = ", ".join(f"{round(count * given.share):,} {kind}s" for kind, count in COUNTS.items())
    load = f"load {os.getloadavg()[0]:.1f} in the last minute" if hasattr(os, "getloadavg") else "load unknown"
    report("house_scale", rows_of(large, empty), [f"On record: {counts}. The machine had other work too: {load}."])


def rows_of(large: dict[str, float], empty: dict[str, float]) -> list[Row]:
    """Pages, the start and the idle minute are held against a limit; the invocation against the empty home."""
    limits = {
        "a page": (20.0, "ms, at most"),
        "a search": (200.0, "ms, at most"),
        "idle": (2.0, "% of a core, at most"),
        "ready": (1.0, "s, at most"),
    }
    rows = []
    for name, ours in large.items():
        for beginning, (peer, unit) in limits.items():
            if name.startswith(beginning):
                rows.append(lower_is_better(name, ours=ours, peer=peer, unit=unit, goal=1))
        if name in empty and not name.startswith("idle"):  # which has a limit, and no need to be least
            unit = UNITS.get(name, "")
            rows.append(lower_is_better(f"{name}; an empty home", ours=ours, peer=empty[name], unit=unit, goal=0.9))
    return rows


def make(home: Path, *, share: float) -> None:
    """A home with that share of the records."""
    with installed(home) as house:  # made by a first start, as every home is
        account = export.installation(house.settings).account
    if share:
        fill(Settings(home=home), account, share=share)
        os.sync()  # or the first start competes with the disk still writing all of it


def started(home: Path) -> dict[str, float]:
    """The time and the processor time of a start."""
    with installed(home) as house:
        return {"ready after the start": house.ready_s, "processor time of the start": house.start_cpu_s}


def invocations_in_turns(homes: Sequence[Path], times: int) -> list[float]:
    """Milliseconds of an invocation in each home. Both are up, and asked in turns: the machine's hour is the same."""
    with ExitStack() as stack:
        houses = [stack.enter_context(installed(home)) for home in homes]
        turns = [[invocation_ms(house, times) for house in houses] for _ in range(ROUNDS)]
        return [min(of_home) for of_home in zip(*turns, strict=True)]


def least(several: Sequence[dict[str, float]]) -> dict[str, float]:
    """The least of each: engines of one network, too, differ by half from start to start."""
    return {name: min(each[name] for each in several) for name in several[0]}


def pages(home: Path, given: argparse.Namespace, *, has_records: bool) -> dict[str, float]:
    """An idle minute, and the pages of each listing."""
    with installed(home) as house:
        time.sleep(SETTLED_S)
        found = {"idle processes": idle(house, given.idle_s)}
        for name, asked in LISTINGS.items() if has_records else ():
            found[f"a page of {PAGE}: {name}"] = page_ms(house, *asked, given.times)
        for name, asked in SEARCHES.items() if has_records else ():
            found[f"a search: {name}"] = page_ms(house, *asked, given.times)
        told(home.name, found)
    return found


def told(home: str, found: dict[str, float]) -> None:
    print(f"{home}: {json.dumps(found, indent=1)}", file=sys.stderr)


def used(pid: int) -> dict[str, float]:
    """Processor seconds of a process and those that it started, by what they run."""
    first = psutil.Process(pid)
    times = {
        f"{each.pid} {' '.join(each.cmdline()[1:3])}": each.cpu_times()
        for each in (first, *first.children(recursive=True))
    }
    return {name: each.user + each.system for name, each in times.items()}


def idle(house: House, lasting_s: float) -> float:
    """Percent of one core that all processes use together."""
    before, started = used(house.process.pid), time.monotonic()
    time.sleep(lasting_s)
    after, passed = used(house.process.pid), time.monotonic() - started
    assert before.keys() == after.keys(), "a process ended meanwhile"
    for name in after:
        print(f"  {name}: {100 * (after[name] - before[name]) / passed:.2f} % of a core", file=sys.stderr)
    return 100 * (sum(after.values()) - sum(before.values())) / passed


def page_ms(house: House, path: str, params: dict[str, str], times: int) -> float:
    """Milliseconds of a page: the first, or the one behind it where that takes longer."""
    middle = (START + timedelta(seconds=COUNTS["job"] // 2)).isoformat()
    asked = {"maxResults": str(PAGE)} | {name: value.replace("MIDDLE", middle) for name, value in params.items()}
    connection = house.connect()

    def ask(query: dict[str, str]) -> Any:
        return house.ask(connection, "GET", f"{path}?{urlencode(sorted(query.items()), quote_via=quote)}")

    first = ask(asked)
    (rows,) = (value for value in first.values() if isinstance(value, list))
    further = [asked | {"nextToken": first["nextToken"]}] if first.get("nextToken") else []
    assert len(rows) == PAGE or not further, f"{path}: {len(rows)} rows"
    return max(least_ms(partial(ask, query), times) for query in (asked, *further))


def invocation_ms(house: House, times: int) -> float:
    """Milliseconds of an invocation of eight tokens."""
    asked = {
        "messages": [{"role": "user", "content": [{"text": "One."}]}],
        "inferenceConfig": {"maxTokens": 8, "temperature": 0},
    }
    connection = house.connect()
    ask = partial(house.ask, connection, "POST", f"/model/{BASE}/converse", json.dumps(asked).encode())
    end = time.monotonic() + ENGINE_S
    while True:  # its engine is started, which on a busy machine takes longer than a request waits
        try:
            ask()
            break
        except NotReady:
            assert time.monotonic() < end, "the engine does not come"
    return least_ms(ask, times)


def least_ms(action: Callable[[], Any], times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        taken.append(1000 * (time.perf_counter() - started))
    return min(taken)


@contextmanager
def installed(home: Path) -> Iterator[House]:
    """`outcrop up` on `home`, ended by SIGTERM."""
    settings = Settings(home=home, port=free_port())
    command = [sys.executable, "-m", "outcrop.cli.app", "up", "--home", str(home), "--port", str(settings.port)]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE, text=True)
    try:
        ready_s = _ready(process, started)
        made = export.installation(settings)
        yield House(
            settings=settings,
            process=process,
            ready_s=ready_s,
            start_cpu_s=sum(used(process.pid).values()),
            credentials=Credentials(made.access_key_id, made.secret_access_key),
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def _ready(process: "subprocess.Popen[str]", started: float) -> float:
    """Until it says so itself, which it does once the server answers."""
    assert process.stdout is not None
    assert process.stdout.readline(), "outcrop up ended"
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
