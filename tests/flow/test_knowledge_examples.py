"""The examples of trading rules and of a book, run as a user runs them, on little."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.catalog.catalog import Catalog
from tests.support.rule_book import RULES
from tests.support.servers import Installed, installed

ROOT = Path(__file__).parents[2]
STARTER, TITAN = "outcrop.starter-v1", "amazon.titan-embed-text-v2:0"
SCENARIO = """
talk = ["How long must order tickets be kept?", "And complaints of customers?"]
[change]
rule = "5.1"
question = "How long must order tickets be kept?"
from = "six years"
to = "nine years"
[[questions]]
question = "What is the initial margin of a purchase of shares?"
rule = "3.6"
answers = ["50 percent"]
"""
BOOK = "\n".join(f"In chapter {n} the miller of Aldbourne, Mr. Quince, sold {n} sacks of flour." for n in range(1, 160))
QUESTIONS = """
[[questions]]
question = "What is the name of the miller of Aldbourne?"
answers = ["Quince"]
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """An installation without an embedding model: words alone find."""
    home = tmp_path_factory.mktemp("examples") / "home"
    home.mkdir()
    Catalog(home).alias(TITAN, STARTER)
    with installed(home) as installation:
        yield installation


def report_of(house: Installed, module: str, folder: Path, *options: str) -> tuple[str, Any]:
    """The printed lines of an example, and its report."""
    written = folder / "report.json"
    command = [sys.executable, "-m", module, *options, "--work", str(folder / "work"), "--report", str(written)]
    environment = {**os.environ, **house.environment}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout, json.loads(written.read_text("utf-8"))


def test_rules_are_asked_traced_and_changed_and_models_compared(house: Installed, tmp_path: Path) -> None:
    rules, scenario = tmp_path / "rules.jsonl", tmp_path / "scenario.toml"
    rows = [{"id": number, "section": f"{number}. {rule.title}", "text": rule.text} for number, rule in RULES.items()]
    rules.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    scenario.write_text(SCENARIO, "utf-8")
    options = ["--rules", str(rules), "--scenario", str(scenario), "--records", "6", "--epochs", "1"]
    said, report = report_of(house, "examples.trading_rules.trading_rules", tmp_path, *options)
    # The whole book is read once, and after the change that rule alone
    assert report["first"] == {"scanned": len(RULES), "new": len(RULES), "changed": 0, "deleted": 0}
    assert report["change"]["counts"] == {"scanned": len(RULES), "new": 0, "changed": 1, "deleted": 0}
    assert ("six years" in report["change"]["before"], "nine years" in report["change"]["after"]) == (True, True)
    # Each part of the traced answer is followed to its rule, where the passage stands
    assert {each["rule"] for each in report["traced"]} == {"5.1"}
    assert all(each["stands"] for each in report["traced"])
    # The talk goes on in its session, and models are measured by the same key
    assert "> And complaints of customers?" in said
    assert list(report["models"]) == ["extracts", "base", "tuned"]
    assert report["models"]["extracts"]["right_rule"] == report["models"]["extracts"]["right_fact"] == 1.0
    assert "| tuned | " in said


def test_a_book_is_known_by_training_by_retrieval_and_by_both(house: Installed, tmp_path: Path) -> None:
    book, questions = tmp_path / "mill.txt", tmp_path / "questions.toml"
    book.write_text(BOOK, "utf-8")
    questions.write_text(QUESTIONS, "utf-8")
    options = ["--book", str(book), "--questions", str(questions), "--epochs", "1", "--record-tokens", "128"]
    said, report = report_of(house, "examples.book.book", tmp_path, *options)
    assert list(report["ways"]) == ["base", "cpt", "retrieval", "cpt and retrieval", "retrieval, extracts"]
    (extract,) = report["ways"]["retrieval, extracts"]
    assert (extract["right"], extract["supported"]) == (True, 1.0)
    assert extract["pages"], "a passage knows its page"
    assert not report["ways"]["base"][0]["right"], "the model has never heard of the miller"
    assert "| retrieval, extracts | 1 of 1 | 100% | " in said
