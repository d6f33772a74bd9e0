"""The booth for linked verse, with the adapter of a script of one's own; `make soak` has all of its models."""

from pathlib import Path

from tests.support.renga_booth import check_booth
from tests.support.sandboxes import needs_sandbox


@needs_sandbox
def test_a_booth_trains_serves_asks_and_learns_what_visitors_chose(tmp_path: Path) -> None:
    check_booth(tmp_path, "--without-oft", models=["base", "lora", "remote"])
