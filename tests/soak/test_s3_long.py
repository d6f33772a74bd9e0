"""Five gigabytes in and out of the server, whose memory stays where it was."""

from pathlib import Path

import pytest

from tests.support.s3_memory import MIB, growth_during, watched_server


@pytest.mark.soak
def test_memory_stays_flat_for_five_gigabytes(tmp_path: Path) -> None:
    with watched_server(tmp_path) as (s3, process):
        grown = growth_during(process, s3, 5 * 1024 * MIB)
        # for docs/reliability.md
        print(f"grown by {grown / MIB:.0f} MiB to {process.memory_info().rss / MIB:.0f} MiB")
        assert grown < 60 * MIB
