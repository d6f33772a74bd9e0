"""Whether this machine can keep programs of others apart; tests that run some are skipped where it cannot."""

import pytest

from outcrop.errors import MachineTrouble
from outcrop.isolation.found import found


def _trouble() -> str:
    try:
        found()
    except MachineTrouble as trouble:
        return trouble.message
    return ""


needs_sandbox = pytest.mark.skipif(bool(_trouble()), reason=f"no sandbox here: {_trouble()}")
