"""What an idle worker costs: processor time of one look for jobs, beside many that have ended.

python -m bench.idle_worker --ended 100000
"""

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sql

from outcrop.customization.kind import KIND
from outcrop.jobs.leases import Leases
from outcrop.kinds import KINDS
from outcrop.settings import Settings
from outcrop.store.database import writing
from outcrop.store.resource_table import RESOURCES
from outcrop.store.store import Store

LOOKS_PER_S = 5
_AT_ONCE = 10_000


def add_ended(store: Store, number: int) -> None:
    """Put ended jobs on record, as many in each end."""
    ends, at = sorted(KIND.lifecycle.ended), datetime(2026, 1, 1, tzinfo=UTC)
    document = {"endTime": at.isoformat(), "statusDetails": {phase: {"status": "Completed"} for phase in KIND.phases}}
    for begin in range(0, number, _AT_ONCE):
        rows = [
            {
                "arn": f"arn:aws:bedrock:us-east-1:123456789012:{KIND.name}/x/{index:012}",
                "kind": KIND.name,
                "region": "us-east-1",
                "name": f"ended-{index}",
                "status": ends[index % len(ends)],
                "created": at,
                "updated": at,
                "version": 5,
                "document": document,
            }
            for index in range(begin, min(begin + _AT_ONCE, number))
        ]
        with writing(store.engine) as connection:
            connection.execute(sql.insert(RESOURCES), rows)


def look_us(store: Store, *, looks: int = 2000) -> float:
    """Processor time of one look of a worker that finds nothing, in microseconds."""
    leases, now = Leases(store, KINDS), datetime.now(UTC)
    began = time.process_time()
    for _ in range(looks):
        assert leases.take("worker-1", now=now) is None, "a job is there to be run"
    return (time.process_time() - began) / looks * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ended", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        store = Store.open(Settings(home=Path(home)))
        for number in (0, asked.ended):
            add_ended(store, number)
            cost = look_us(store)
            share = cost * LOOKS_PER_S / 1e6
            print(f"{number:>9,} ended jobs  {cost:6.1f} µs a look  {share:.4%} of a core")
        store.close()


if __name__ == "__main__":
    main()
