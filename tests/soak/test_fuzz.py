"""Fifty thousand mutated requests over all services: no 500, no hang over two seconds, no write without a proof.

Run by `make soak`; prints its figures. The same as `python -m tests.fuzz.campaign 50000`.
"""

import os
import subprocess
import sys

import pytest

REQUESTS = int(os.environ.get("OUTCROP_FUZZ_REQUESTS", "50000"))

pytestmark = pytest.mark.soak


def test_the_server_stands_a_campaign_of_mutated_requests() -> None:
    command = [sys.executable, "-m", "tests.fuzz.campaign", str(REQUESTS), "1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-4000:]
