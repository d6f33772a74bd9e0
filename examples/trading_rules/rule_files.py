"""Rule books as documents of a knowledge base: one rule a document, with its number in a metadata file."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMS = (".md", ".txt", ".html", ".pdf", ".docx")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule as it is put into a bucket."""

    id: str
    title: str
    body: bytes
    ending: str = ".md"

    @property
    def name(self) -> str:
        """Its number as a part of a key: letters, digits, dots and dashes."""
        return re.sub(r"[^\w.-]+", "-", self.id.replace("–", "-")).strip("-")

    @property
    def key(self) -> str:
        return f"rules/{self.name}{self.ending}"

    @property
    def metadata(self) -> bytes:
        """The metadata file beside it."""
        return json.dumps({"metadataAttributes": {"rule": self.id, "title": self.title}}).encode()


def read_rules(path: Path) -> list[Rule]:
    """The rules of a folder, a file for each, or of JSON Lines. Ends the program where there is none.

    A line has id, section and text, or input, as `outcrop data rules` writes it.
    """
    found = list(_of_folder(path) if path.is_dir() else _of_lines(path))
    if not found:
        raise SystemExit(f"{path}: no rule in it. Name a folder of {', '.join(FORMS)}, or a file of JSON Lines.")
    return found


def _of_folder(path: Path) -> Iterator[Rule]:
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in FORMS:
            yield Rule(id=file.stem, title=file.stem, body=file.read_bytes(), ending=file.suffix.lower())


def _of_lines(path: Path) -> Iterator[Rule]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        yield _of_row(json.loads(line), number)


def _of_row(row: Mapping[str, Any], number: int) -> Rule:
    if "input" in row:
        title = str(row["input"]).strip().splitlines()[0]
        return Rule(id=f"{number:04}-{title[:60]}", title=title, body=str(row["input"]).encode())
    text = f"# {row['section']}\n\n{row['text']}\n"
    return Rule(id=row["id"], title=row["section"], body=text.encode())
