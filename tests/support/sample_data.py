"""Files of the world beside the project, which no test may need: without them a test is skipped with a reason."""

import os
from pathlib import Path

import pytest

TEST_DATA = Path(os.environ.get("OUTCROP_TEST_DATA", "../shared/data"))


def sample(name: str) -> Path:
    """A file or folder of the test data."""
    place = TEST_DATA / name
    if not place.exists():
        pytest.skip(f"{place} is not here; set OUTCROP_TEST_DATA")
    return place
