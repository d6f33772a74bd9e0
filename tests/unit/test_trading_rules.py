"""The example of trading rules: rules as documents, a key that the law bears out, and numbers that mean what they say."""

import importlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.sample_data import sample

# By name: for the type checker, which reads examples as programs, they are modules of another path.
measures, rule_base, rule_files, rule_models, program = (
    importlib.import_module(f"examples.trading_rules.{name}")
    for name in ("answer_measures", "rule_base", "rule_files", "rule_models", "trading_rules")
)

LAW = {"id": "15-USC-77o–11", "section": "§ 77o–11. Credit risk", "text": "A securitizer keeps 5 percent of the risk."}


def answered(text: str, *rules: str) -> Any:
    part = rule_base.Cited(text=text, start=0, rules=rules, uris=(), passages=())
    return rule_base.RuleAnswer(text=text, parts=(part,), session="s", seconds=2.0)


def test_a_rule_is_a_document_with_its_number_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "law.jsonl"
    file.write_text(json.dumps(LAW) + "\n" + json.dumps({"input": "Rule 1.2 Fees\nA fee is due."}) + "\n", "utf-8")
    law, made = rule_files.read_rules(file)
    assert (law.id, law.key) == ("15-USC-77o–11", "rules/15-USC-77o-11.md")
    assert law.body.decode() == "# § 77o–11. Credit risk\n\nA securitizer keeps 5 percent of the risk.\n"
    assert json.loads(law.metadata)["metadataAttributes"]["rule"] == "15-USC-77o–11"
    assert (made.title, made.key) == ("Rule 1.2 Fees", "rules/0002-Rule-1.2-Fees.md")


def test_each_file_of_a_folder_is_a_rule(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A rule.")
    (tmp_path / "b.xyz").write_text("no form that is read")
    (rule,) = rule_files.read_rules(tmp_path)
    assert (rule.id, rule.key, rule.body) == ("a", "rules/a.txt", b"A rule.")
    with pytest.raises(SystemExit, match="no rule in it"):
        rule_files.read_rules(_empty(tmp_path))


def _empty(folder: Path) -> Path:
    made = folder / "empty"
    made.mkdir()
    return made


def test_the_law_bears_out_the_key() -> None:
    scenario = tomllib.loads(program.SCENARIO.read_text("utf-8"))
    rules = {rule.id: rule.body.decode() for rule in rule_files.read_rules(sample("us-securities-law/sections.jsonl"))}
    for question in scenario["questions"]:
        assert any(words in rules[question["rule"]] for words in question["answers"]), question
    assert scenario["change"]["from"] in rules[scenario["change"]["rule"]]


def test_training_asks_nothing_that_the_key_asks() -> None:
    text = (
        "# A title\n\nShort. A member shall keep each order ticket for at least six years after the trade was made.\n"
    )
    rules = [rule_files.Rule(id=str(number), title=f"§ {number}. Tickets", body=text.encode()) for number in range(4)]
    made = list(rule_models.questions_of(rules, but=["2"], seed=0))
    assert len(made) == 3
    assert made[0]["answer"] == "A member shall keep each order ticket for at least six years after the trade was made."
    assert made[0]["question"] == "What do the rules say about this: Tickets?"
    assert made == list(rule_models.questions_of(rules, but=["2"], seed=0))


def test_answers_are_measured_by_rule_fact_and_support() -> None:
    questions = [{"rule": "1", "answers": ["six years"]}, {"rule": "2", "answers": ["void", "invalid"]}]
    found = measures.measure(questions, [answered("For SIX years.", "1", "3"), answered("It is binding.")])
    assert (found.right_rule, found.right_fact, found.supported, found.seconds) == (0.5, 0.5, 0.5, 2.0)
    assert measures.table({"base": found}).splitlines()[-1] == "| base | 50% | 50% | 50% | 2.0 |"


def test_a_passage_is_compared_without_marks_of_markdown() -> None:
    assert program.plain("##### (a)  Title\n\ntext") == "(a) Title text"


def test_its_options_have_defaults() -> None:
    assert program.parse_options(["--rules", "x"]).base == "outcrop.starter-v1"
