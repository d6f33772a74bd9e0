"""The booth for linked verse with all of its models: also JumpStart's adapter by OFT, and a larger model."""

from pathlib import Path

import pytest

from tests.support.renga_booth import STARTER, check_booth
from tests.support.sandboxes import needs_sandbox

pytestmark = [pytest.mark.soak, needs_sandbox]


def test_a_booth_with_every_model(tmp_path: Path) -> None:
    check_booth(tmp_path, "--larger", STARTER, models=["base", "lora", "oft", "larger", "remote"])
