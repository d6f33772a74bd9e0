"""The ingestion of 1,000 pages of PDF in `make bench-knowledge`: from a bucket into an index, searched by words.

A served house and a light worker in this process, as in the flow tests; the pages are sentences of the law.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.knowledge_sets import WORK, RecallSet
from bench.measuring import Row, lower_is_better
from tests.support.knowledge_bases import knowledge_house
from tests.support.pdf_files import PdfFile, Placed, column

_FILES, _PAGES, _LINES = 4, 250, 45
_GOAL_S = 60.0
_LINE = 90
"Characters of a line."


def pages(about: RecallSet) -> tuple[list[Row], list[str]]:
    """The seconds from the start of an ingestion job to its end, beside the goal."""
    lines = lines_of([each.text for each in about.passages])
    WORK.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=WORK) as folder,
        knowledge_house(Path(folder) / "home") as knowledge,
    ):
        for number in range(_FILES):
            knowledge.put(f"pdf/{number}.pdf", book(lines, number))
        source = knowledge.source("pdf/")
        started = time.perf_counter()
        job = knowledge.start(source)
        while knowledge.job(job)["status"] not in ("COMPLETE", "FAILED"):
            time.sleep(0.2)
        taken = time.perf_counter() - started
        count = knowledge.index(source).count_passages()
    name = f"ingestion of {_FILES * _PAGES:,} pages of PDF, searched by words, beside the goal"
    row = lower_is_better(name, ours=taken, peer=_GOAL_S, unit="s", goal=1)
    return [row], [f"The {_FILES * _PAGES:,} pages became {count:,} passages."]


def lines_of(texts: Sequence[str]) -> list[str]:
    """Lines of a page, as they are set from these texts. Only letters that every font has."""
    words = " ".join(texts).encode("ascii", "ignore").decode().split()
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) < _LINE:
            lines[-1] += f" {word}" if lines[-1] else word
        else:
            lines.append(word)
    return lines


def book(lines: Sequence[str], number: int) -> bytes:
    """A file of pages, each with a running head, a number and lines of the law."""
    chance = random.Random(number)
    made = []
    for page in range(1, _PAGES + 1):
        first = chance.randrange(len(lines) - _LINES)
        head, foot = Placed(60, 815, f"Volume {number + 1} of the rules"), Placed(290, 30, str(page))
        made.append([head, *column(60, 780, lines[first : first + _LINES], step=16), foot])
    return PdfFile(made).to_bytes()
