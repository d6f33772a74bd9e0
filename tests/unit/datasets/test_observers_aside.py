"""Observers in a process of their own find what they find in this one."""

import json
import os
import pickle
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from outcrop.datasets.observing import aside
from outcrop.datasets.observing.aside import ObserversAside
from outcrop.datasets.preflight import examine
from outcrop.datasets.report.value import Report
from outcrop.errors import MachineTrouble
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.tiny import write_tokenizer

SAME = {"prompt": "Which river flows through Kyoto?", "completion": "The Kamo river flows through Kyoto."}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.open(write_tokenizer(tmp_path_factory.mktemp("tokenizer")))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A folder of two files, and a validator that has some of their records, near duplicates and bad lines."""
    records: list[dict[str, str]] = [
        {
            "prompt": f"Who wrote the book {n}?",
            "completion": f"It was written by author {n % 7}, write to a{n}@riverside.org.",
        }
        for n in range(700)
    ]
    near = SAME | {"completion": SAME["completion"] + " It is known for its ducks and its turtles to step on."}
    parts = {"train/a.jsonl": [SAME, *records[:300], SAME], "train/b.jsonl": [*records[280:600], near]}
    for name, lines in (parts | {"validation.jsonl": [*records[590:], SAME]}).items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "not JSON\n")
    return [tmp_path / "train", tmp_path / "validation.jsonl"]


def examined(files: list[Path], tokenizer: Tokenizer) -> Report:
    return examine(files, tokenizer=tokenizer, context_length=200, customization="FINE_TUNING")


def test_the_report_is_the_same(files: list[Path], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    here = examined(files, tokenizer)
    started: list[object] = []
    beginning = subprocess.Popen

    def popen(*arguments: Any, **more: Any) -> Any:
        started.append(arguments)
        return beginning(*arguments, **more)

    monkeypatch.setattr(aside, "LEAST_BYTES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(subprocess, "Popen", popen)
    there = examined(files, tokenizer)
    assert len(started) == 1
    assert there == here
    assert here.files[0].num_duplicates == 1
    assert here.files[2].num_overlap > 1
    assert any(kind.num for kind in here.files[1].personal)


def test_a_process_that_is_killed_is_told(files: list[Path], tokenizer: Tokenizer) -> None:
    with ObserversAside(tokenizer) as observers:
        file = observers.of_file("a.jsonl", ())
        os.kill(observers.pid, signal.SIGKILL)
        with pytest.raises(MachineTrouble, match="ended by signal 9"):
            file.found()


def test_a_tokenizer_that_another_process_gets_is_the_same(tokenizer: Tokenizer) -> None:
    again: Tokenizer = pickle.loads(pickle.dumps(tokenizer))
    text = "The river Kamo, 鴨川, has 3 ducks.\n\n  And turtles."
    assert again.encode(text, begin=True) == tokenizer.encode(text, begin=True)
    assert (again.name, again.eos_ids, again.special_ids) == (tokenizer.name, tokenizer.eos_ids, tokenizer.special_ids)
    assert (again.num_embeddings, again.chat_template is None) == (
        tokenizer.num_embeddings,
        tokenizer.chat_template is None,
    )
