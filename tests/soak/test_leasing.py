"""Sixteen worker processes at one queue of 10,000 jobs in PostgreSQL: each job is leased exactly once.

Run by `make soak`; its rate is measured by `make bench-postgresql`.
"""

from pathlib import Path

import pytest

from outcrop.settings import Settings
from tests.support import postgres
from tests.support.leasing import add_jobs, drain

pytestmark = pytest.mark.soak
JOBS, WORKERS = 10_000, 16


def test_ten_thousand_jobs_go_once_each_to_sixteen_workers(tmp_path: Path) -> None:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's package is `postgresql`)")
    with postgres.postgres_server(programs) as server:
        url = postgres.new_database(server, "queue").render_as_string(hide_password=False)
        settings = Settings(home=tmp_path / "home", database_url=url)
        arns = add_jobs(settings, JOBS)
        drained = drain(settings, workers=WORKERS)
    assert set(drained.leased) == set(arns)
    assert set(drained.leased.values()) == {1}
    assert all(drained.by_worker), "a worker was never given a job"
