"""Bodies stream: a long object leaves the server's memory where it was. 5 GB: tests/soak/test_s3_long.py."""

from pathlib import Path

from tests.support.s3_memory import MIB, growth_during, watched_server


def test_memory_stays_flat_for_200_megabytes(tmp_path: Path) -> None:
    with watched_server(tmp_path) as (s3, process):
        assert growth_during(process, s3, 200 * MIB) < 60 * MIB
