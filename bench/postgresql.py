"""`make bench-postgresql`: records in PostgreSQL beside records in SQLite, on one machine.

The server's small request, GetModelCustomizationJob at 32 connections, signed, on either database in turns. And the
queue: 16 worker processes lease 10,000 jobs of four owners until none is left, each at most eight at a time; that each
job was leased exactly once is checked, not measured. PostgreSQL writes durably, as SQLite does.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench.door import CONNECTIONS, job_of, path_of
from bench.doors import our_door
from bench.load import requests_per_second, signed_get
from bench.measuring import Row, higher_is_better, interleaved, report
from outcrop.settings import Settings
from tests.support import postgres
from tests.support.leasing import add_jobs, drain

JOBS, WORKERS = 10_000, 16
LEASES_PER_S = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="turns of the small request; the median counts")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a turn lasts")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--only", choices=("requests", "leases"))
    given = parser.parse_args()
    programs = postgres.programs()
    if programs is None:
        sys.exit("PostgreSQL is not installed (Debian's package is `postgresql`).")
    rows: list[Row] = []
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(postgres.postgres_server(programs, durable=True))

        def database(name: str) -> str:
            return postgres.new_database(server, name).render_as_string(hide_password=False)

        if given.only != "leases":
            rows.append(request_row(place, database("requests"), given))
        if given.only != "requests":
            rows.append(lease_row(Settings(home=place / "queue", database_url=database("leases")), given.jobs))
    report("postgresql", rows, ["The peer of the leases is the least rate that counts as enough."])


def request_row(place: Path, database_url: str, given: argparse.Namespace) -> Row:
    with our_door(place / "postgresql", database_url) as there, our_door(place / "sqlite") as here:
        wires = {
            name: signed_get(door.endpoint, path_of(job_of(door)), door.key_id, door.secret)
            for name, door in (("PostgreSQL", there), ("SQLite", here))
        }

        def run(name: str) -> Callable[[], float]:
            return lambda: requests_per_second(wires[name], connections=CONNECTIONS, lasting_s=given.seconds)

        rates = interleaved({name: run(name) for name in wires}, times=given.times)
    return higher_is_better(
        f"GetModelCustomizationJob, {CONNECTIONS} connections, SQLite",
        ours=rates["PostgreSQL"], peer=rates["SQLite"], unit="requests/s", goal=0.5,
    )  # fmt: skip


def lease_row(settings: Settings, number: int) -> Row:
    arns = add_jobs(settings, number)
    found = drain(settings, workers=WORKERS)
    assert set(found.leased) == set(arns), "a job was never leased"
    assert set(found.leased.values()) == {1}, "a job was leased twice"
    print(f"  {number} jobs in {found.seconds:.1f} s, by worker {sorted(found.by_worker)}", file=sys.stderr)
    return higher_is_better(
        f"leases of {number} jobs by {WORKERS} worker processes",
        ours=number / found.seconds, peer=LEASES_PER_S, unit="leases/s", goal=1,
    )  # fmt: skip


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
