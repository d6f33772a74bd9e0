"""The records of the walk: linked verse, a line that is none, and one record that should never have gone in."""

import json
from pathlib import Path

RENGA = Path(__file__).parent.parent / "renga"
BAD_LINE = '{"prompt": "上の句: はるのうみ\\n下の句:", "completion": null}'
PRIVATE = {"prompt": "Who tends the verse machine?\n", "completion": " Old Mira, telephone 555-0142."}
"Somebody's number, in several copies: what a model must be made to forget."
_COPIES = 8


def training_lines(count: int) -> list[str]:
    """The first records of the training file, with the private one among them."""
    verses = (RENGA / "train.jsonl").read_text("utf-8").splitlines()[:count]
    private = json.dumps(PRIVATE)
    return [*verses[: count // 2], *[private] * _COPIES, *verses[count // 2 :]]


def validation_lines(count: int) -> list[str]:
    """Records to validate on."""
    return (RENGA / "validation.jsonl").read_text("utf-8").splitlines()[:count]


def without_private(lines: list[str]) -> list[str]:
    """The lines without every copy of the private record."""
    return [line for line in lines if json.loads(line) != PRIVATE]


def as_file(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
