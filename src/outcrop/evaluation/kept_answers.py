"""Answers and log probabilities that are kept: nothing is asked twice, and a killed run goes on.

One file of JSON Lines for each model, by a digest of what it is; a line is written when an answer is there. A last line
that was cut by a kill is passed over. What could not be answered is not kept: it is asked again.
"""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from outcrop.evaluation.answers import AnswerSettings, EvaluatedAnswer, LogProbabilities
from outcrop.evaluation.questions import Question

_FORM = 1
"Counted up when what a line means changes."


class KeptAnswers:
    """The answers of one model that were given before, and those that are given now."""

    def __init__(self, folder: Path, identity: str) -> None:
        """`identity` is equal only while the same model answers."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{_digest(_FORM, identity)[:32]}.jsonl"
        self._kept = _read(self._path)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if not _ends_with_line(self._path):
            os.write(self._file, b"\n")

    def close(self) -> None:
        os.close(self._file)

    def answer(self, question: Question, settings: AnswerSettings) -> EvaluatedAnswer | None:
        """The answer to a question under these settings; None where it was never given."""
        found = self._kept.get(_asked(question, settings))
        return None if found is None else EvaluatedAnswer(**{**found, "passages": tuple(found["passages"])})

    def likelihood(self, question: Question) -> LogProbabilities | None:
        """The likelihood of a question's reference; None where it was never told."""
        found = self._kept.get(_scored(question))
        return None if found is None else LogProbabilities(**found)

    def keep_answer(self, question: Question, settings: AnswerSettings, answer: EvaluatedAnswer) -> None:
        self._keep(_asked(question, settings), asdict(answer))

    def keep_likelihood(self, question: Question, likelihood: LogProbabilities) -> None:
        self._keep(_scored(question), asdict(likelihood))

    def _keep(self, key: str, value: dict[str, Any]) -> None:
        line = json.dumps({"key": key, "value": value}, ensure_ascii=False) + "\n"
        os.write(self._file, line.encode("utf-8", "replace"))  # one call: two processes' lines never mix
        self._kept[key] = value


def _asked(question: Question, settings: AnswerSettings) -> str:
    asked = [question.system, [dict(turn) for turn in question.messages], list(question.tools), asdict(settings)]
    return _digest("answer", asked)


def _scored(question: Question) -> str:
    return _digest("likelihood", question.digest)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    kept: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return kept
    with path.open("rb") as file:
        for line in file:
            try:
                told = json.loads(line)
                kept[told["key"]] = told["value"]
            except (ValueError, KeyError, TypeError):
                continue  # cut by a kill
    return kept


def _ends_with_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return True
        file.seek(size - 1)
        return file.read(1) == b"\n"
