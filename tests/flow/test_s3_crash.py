"""The server is killed while clients write; what it had acknowledged is whole when it comes back."""

from pathlib import Path

from tests.support.crash_storm import storm


def test_a_killed_server_has_kept_every_write_that_it_acknowledged(tmp_path: Path) -> None:
    with storm(tmp_path) as blowing:
        blowing.blow(0, writes=20, then_s=0.05)
        blowing.server.start()
        assert blowing.check() > 0
