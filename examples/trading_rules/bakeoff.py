"""The questions on trading rules as a bake-off: writes its plan, and the files that the plan names.

    python -m examples.trading_rules.bakeoff --rules us-securities-law/sections.jsonl --out rules
    outcrop bakeoff rules/plan.toml --html rules/bakeoff.html

Two prompts, with and without retrieval, and three customizations: none, fine-tuning, and pre-training before it. No
rule that a question asks about is among the pairs; all rules are among the texts and documents.
"""

import argparse
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from .rule_files import Rule, read_rules
from .rule_models import questions_of

SCENARIO = Path(__file__).parent / "scenario.toml"
PLAN = Path(__file__).parent / "plan.toml"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(arguments)
    rules = read_rules(options.rules)
    asked = tomllib.loads(options.scenario.read_text("utf-8"))["questions"][: options.questions]
    write_files(rules, asked, options)
    print(f"{options.out / 'plan.toml'} is written. Carry it out: outcrop bakeoff {options.out / 'plan.toml'}")


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write a bake-off on trading rules.")
    parser.add_argument("--rules", type=Path, required=True, help="JSON Lines, or a folder with a file for each rule")
    parser.add_argument("--out", type=Path, required=True, help="folder for the plan and its files")
    parser.add_argument("--scenario", type=Path, default=SCENARIO, help="the questions with their key")
    parser.add_argument("--questions", type=int, default=16)
    parser.add_argument("--records", type=int, default=80, help="pairs to learn from")
    parser.add_argument("--letters", type=int, default=600, help="of each rule that is read in pre-training")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def write_files(rules: Sequence[Rule], asked: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> None:
    """Questions, pairs, texts, documents and the plan."""
    (options.out / "documents").mkdir(parents=True, exist_ok=True)
    for rule in rules:
        (options.out / "documents" / Path(rule.key).name).write_bytes(rule.body)
    write_lines(
        options.out / "questions.jsonl",
        ({"prompt": each["question"], "referenceResponses": each["answers"]} for each in asked),
    )
    pairs = questions_of(rules, but=[each["rule"] for each in asked], seed=options.seed)
    records = [{"prompt": each["question"], "completion": each["answer"]} for each in islice(pairs, options.records)]
    num_held_out = max(1, len(records) // 10)
    write_lines(options.out / "validation.jsonl", records[:num_held_out])
    write_lines(options.out / "train.jsonl", records[num_held_out:])
    texts = (rule.body.decode("utf-8", "ignore")[: options.letters] for rule in rules)
    write_lines(options.out / "texts.jsonl", ({"input": text} for text in texts))
    (options.out / "plan.toml").write_bytes(PLAN.read_bytes())


def write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), "utf-8")


if __name__ == "__main__":
    main()
