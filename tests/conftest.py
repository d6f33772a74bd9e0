"""What holds for every test: none is timed, since the machines they run on are as fast as their other guests leave them.

The longest files begin first: a file runs in one process, and one that begins last keeps the others waiting for its end.
Properties are tried on fewer examples every day than in `make soak`, which chooses the profile of that name.
"""

import os

import pytest
from hypothesis import settings

# OpenMP's threads wait for their next piece of work by spinning. Where several processes share two cores, they spin
# away the time of those who have work: the tests of numbers took twice the processor time. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
# A worker's settings of the allocator are read at its start by `exec`. Workers of tests are forked, all but a few.
os.environ.setdefault("GLIBC_TUNABLES", "")

settings.register_profile("daily", deadline=None, max_examples=50)
settings.register_profile("soak", deadline=None, max_examples=1000)
settings.load_profile("daily")

LONGEST = (
    "flow/test_crashes.py",
    "numerics/test_ranks.py",
    "flow/test_notebook.py",
    "flow/test_up.py",
    "clients/test_programs.py",
    "flow/test_damage.py",
    "flow/test_methods.py",
    "flow/test_readme.py",
    "property/test_job_lifecycle.py",
    "numerics/test_probe.py",
    "numerics/test_training_runs.py",
    "numerics/test_method_runs.py",
    "flow/test_full_disk.py",
    "contract/test_resources.py",
    "contract/test_identities.py",
    "flow/test_engine_process.py",
    "numerics/test_gradient_checkpointing.py",
    "numerics/test_training_estimate.py",
    "numerics/test_training_tracing.py",
    "protocol/test_round_trips.py",
    "numerics/test_engine.py",
    "unit/test_cli_mistakes.py",
)
"The longest first, as measured; what is not named here takes less than a quarter of a minute."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stable, so that the tests of a file keep their order."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0].removeprefix("tests/"), len(place)))
