"""What holds for every test: none is timed, since the machines they run on are as fast as their other guests leave them.

The longest files begin first: a file runs in one process, and one that begins last keeps the others waiting for its end.
Properties are tried on fewer examples every day than in `make soak`, which chooses the profile of that name.

With OUTCROP_TEST_DATABASE=postgresql in the environment, each home of the tests has a database of its own in one
PostgreSQL server of the process (`make test-postgresql`).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

# OpenMP's threads wait for their next piece of work by spinning. Where several processes share two cores, they spin
# away the time of those who have work: the tests of numbers took twice the processor time. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
# A worker's settings of the allocator are read at its start by `exec`. Workers of tests are forked, all but a few.
os.environ.setdefault("GLIBC_TUNABLES", "")

settings.register_profile("daily", deadline=None, max_examples=30)
settings.register_profile("soak", deadline=None, max_examples=1000)
settings.load_profile("daily")

LONGEST = (
    "flow/test_readme.py",
    "flow/test_renga_booth.py",
    "flow/test_console.py",
    "flow/test_console_pages.py",
    "flow/test_bedrock_steps.py",
    "clients/test_openai_programs.py",
    "flow/test_endpoints.py",
    "isolation/test_bad_programs.py",
    "numerics/test_probe.py",
    "numerics/test_training_runs.py",
    "flow/test_crashes.py",
    "unit/test_job_progress.py",
    "clients/test_programs.py",
    "flow/test_tuning_jobs.py",
    "flow/test_up.py",
    "flow/test_models_from_elsewhere.py",
    "flow/test_forget.py",
    "flow/test_jumpstart.py",
    "flow/test_five_models.py",
    "unit/test_forgetting.py",
    "flow/test_training_jobs.py",
    "numerics/test_training_tracing.py",
    "flow/test_alarms.py",
    "numerics/test_method_runs.py",
    "clients/test_sagemaker_sdk.py",
    "flow/test_export_command.py",
    "flow/test_gen_parker.py",
    "flow/test_knowledge_examples.py",
    "flow/test_bakeoff.py",
    "flow/test_knowledge_commands.py",
    "numerics/test_ranks.py",
    "flow/test_from_zero.py",
    "protocol/test_round_trips.py",
    "unit/test_cli_mistakes.py",
    "flow/test_engine_process.py",
    "flow/test_methods.py",
    "flow/test_report_page.py",
    "flow/test_full_disk.py",
    "contract/test_identities.py",
    "flow/test_listings.py",
    "unit/test_prompt_formats_of_jobs.py",
    "unit/test_sagemaker.py",
)
"The longest first, by processor time and waiting as measured; what is not named here takes less than ten seconds."


_IN_POSTGRESQL = os.environ.get("OUTCROP_TEST_DATABASE") == "postgresql"
_HOMES = Path(__file__).parent / "support" / "postgresql_homes"
_server = ExitStack()


def pytest_sessionstart(session: pytest.Session) -> None:
    if not _IN_POSTGRESQL or (hasattr(session.config.option, "dist") and session.config.option.dist != "no"):
        return  # under xdist, each worker has a server of its own
    from tests.support import postgres

    programs = postgres.programs()
    if programs is None:
        pytest.exit("OUTCROP_TEST_DATABASE: PostgreSQL is not installed (Debian's package is `postgresql`).", 2)
    url = _server.enter_context(postgres.postgres_server(programs))
    os.environ["OUTCROP_TEST_DATABASE_SERVER"] = url.render_as_string(hide_password=False)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_HOMES), os.environ.get("PYTHONPATH", "")]))
    sys.path.insert(0, str(_HOMES))
    import homes_in_postgresql

    homes_in_postgresql.install()


def pytest_sessionfinish() -> None:
    _server.close()


@pytest.fixture(autouse=True, scope="module")
def _databases_of_its_own() -> Iterator[None]:
    """What a file's homes had in PostgreSQL goes with the file: a database takes 7 MB of the disk."""
    if not _IN_POSTGRESQL:
        yield
        return
    import homes_in_postgresql

    before = homes_in_postgresql.names()
    yield
    homes_in_postgresql.drop(homes_in_postgresql.names() - before)


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """A command sets its process's umask, and whoever runs one within a test's process leaves it to the next test.

    The same holds for the folder that it works in.
    """
    folder, umask = os.getcwd(), os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)
    os.chdir(folder)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes by their number where they are many: packed ones hold the time, and each process would name a test anew."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and len(val) > 16 else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stable, so that the tests of a file keep their order."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0].removeprefix("tests/"), len(place)))
