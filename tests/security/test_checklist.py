"""The page and the tests are one list."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LINES = re.findall(
    r"^\|.*`(?:(tests/\S+)/)?(test_\w+\.py)::(test_\w+)` \|$", (ROOT / "docs/security.md").read_text(), re.M
)


def test_every_line_of_the_checklist_names_a_test_that_exists() -> None:
    assert len(LINES) > 35
    for folder, file, name in LINES:
        path = ROOT / (folder or "tests/security") / file
        assert re.search(rf"^def {name}\(", path.read_text(), re.M), f"{path}: no {name}"
