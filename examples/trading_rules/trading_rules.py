"""A chatbot for trading rules, in plain boto3 calls that run against Amazon Bedrock too.

    outcrop run -- python -m examples.trading_rules.trading_rules --rules us-securities-law/sections.jsonl

Rules become a knowledge base that is asked, talked with, and traced; a rule changes, and the next answer is current; a
model learns to answer from passages, and is compared with its base. The environment says where to go (AWS_ENDPOINT_URL,
keys, region) and which role everything runs under (OUTCROP_ROLE_ARN).
"""

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3

from .answer_measures import Measured, measure, table
from .rule_base import EXTRACTS, ON_AWS, PATIENT, RuleAnswer, RuleBase, build
from .rule_files import Rule, read_rules
from .rule_models import customize, questions_of, records_of

SCENARIO = Path(__file__).parent / "scenario.toml"


def main(arguments: Sequence[str] | None = None) -> None:
    started = time.monotonic()
    options = parse_options(arguments)
    scenario = tomllib.loads(options.scenario.read_text("utf-8"))
    rules = read_rules(options.rules)
    run = f"{options.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    report: dict[str, Any] = {}

    heading("1  Rules into a knowledge base")
    storage = json.loads(options.storage.read_text()) if options.storage else None
    encoder = options.encoder or an_encoder()
    base = build(run, rules, encoder, tokens=options.tokens, results=options.results, storage=storage)
    began = time.monotonic()
    report["first"] = told_counts(base.ingest(), began)

    heading("2  A talk, in one session")
    reader = options.reader or (options.base if ON_AWS else EXTRACTS)
    answers = talk(base, reader, scenario["talk"])

    heading("3  An answer traced to its rule")
    report["traced"] = trace(base, next((each for each in answers if any(p.rules for p in each.parts)), answers[0]))

    heading("4  A rule changes")
    report["change"] = change(base, rules, scenario["change"], reader)

    heading("5  Models with and without tuning")
    questions = scenario["questions"][: options.questions]
    report["models"] = compare(base, run, rules, questions, options)
    report["seconds"] = round(time.monotonic() - started, 1)
    if options.report:
        options.report.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(f"\nDone in {report['seconds']:.0f} s.")


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Rules that can be asked, and models that answer from them.")
    parser.add_argument("--rules", type=Path, required=True, help="JSON Lines, or a folder with a file for each rule")
    parser.add_argument("--scenario", type=Path, default=SCENARIO, help="what is asked and changed, as scenario.toml")
    parser.add_argument("--base", default="outcrop.starter-v1", help="base model that answers, and is tuned")
    parser.add_argument("--encoder", help="embedding model; without it, the first that the service lists")
    parser.add_argument("--reader", help="who answers in the talk; without it, sentences of the passages")
    parser.add_argument("--storage", type=Path, help="storageConfiguration as JSON, which Amazon Bedrock needs")
    parser.add_argument("--tokens", type=int, default=150, help="of a passage")
    parser.add_argument("--results", type=int, default=2, help="passages that a model reads")
    parser.add_argument("--records", type=int, default=80, help="training records; 0 tunes nothing")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--questions", type=int, default=16, help="questions that all models are asked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="trading-rules", help="beginning of every name this run uses")
    parser.add_argument("--work", type=Path, default=Path("trading_rules"), help="folder for the training records")
    parser.add_argument("--report", type=Path, help="file for all numbers and answers, as JSON")
    return parser.parse_args(arguments)


def an_encoder() -> str:
    """The first embedding model of the service. Ends the program where there is none."""
    bedrock = boto3.client("bedrock", config=PATIENT)
    found = bedrock.list_foundation_models(byOutputModality="EMBEDDING")["modelSummaries"]
    if not found:
        sys.exit(
            "There is no embedding model. Register one (`outcrop register`), or find by words alone: "
            "`outcrop alias amazon.titan-embed-text-v2:0 outcrop.starter-v1`."
        )
    return str(found[0]["modelId"])


def talk(base: RuleBase, model: str, questions: Sequence[str]) -> list[RuleAnswer]:
    """Ask one question after the other; each answer is within the session of the first."""
    answers: list[RuleAnswer] = []
    for question in questions:
        answers.append(base.ask(question, model, session=answers[0].session if answers else None))
        show(question, answers[-1])
    return answers


def trace(base: RuleBase, answer: RuleAnswer) -> list[dict[str, Any]]:
    """Follow each part of an answer to its rule in the bucket, and look whether the passage stands there."""
    found = []
    for part in answer.parts:
        for rule, uri, passage in zip(part.rules, part.uris, part.passages, strict=True):
            key = uri.removeprefix(f"s3://{base.bucket}/")
            document = base.s3.get_object(Bucket=base.bucket, Key=key)["Body"].read().decode("utf-8", "ignore")
            stands = plain(passage) in plain(document)
            last = part.start + len(part.text.rstrip()) - 1
            found.append({"rule": rule, "uri": uri, "span": [part.start, last], "stands": stands})
            told = "stands there, word for word" if stands else "is not there as it is"
            print(
                f"  letters {part.start} to {last} -> {rule}, {uri}\n    the passage of {len(passage)} letters {told}"
            )
    return found


def change(base: RuleBase, rules: Sequence[Rule], scenario: Mapping[str, str], model: str) -> dict[str, Any]:
    """Ask, put another wording of one rule into the bucket, ingest, and ask again."""
    rule = next((each for each in rules if each.id == scenario["rule"]), None)
    if rule is None or scenario["from"].encode() not in rule.body:
        sys.exit(f"{scenario['rule']}: there is no such rule with the words {scenario['from']!r}. Mend the scenario.")
    before = base.ask(scenario["question"], model)
    show(scenario["question"], before)
    base.put(replace(rule, body=rule.body.replace(scenario["from"].encode(), scenario["to"].encode())))
    began = time.monotonic()
    counts = told_counts(base.ingest(), began)
    after = base.ask(scenario["question"], model)
    show(scenario["question"], after)
    return {"counts": counts, "before": before.text, "after": after.text}


def compare(
    base: RuleBase, run: str, rules: Sequence[Rule], questions: Sequence[Mapping[str, Any]], options: argparse.Namespace
) -> dict[str, Any]:
    """Ask all models the same questions, and measure the answers by the key."""
    found = dict[str, Measured]()

    def ask_all(name: str, model: str) -> None:
        found[name] = measure(questions, [base.ask(question["question"], model) for question in questions])
        print(f"  {name}: asked {len(questions)} questions", flush=True)

    if not ON_AWS:
        ask_all("extracts", EXTRACTS)
    ask_all("base", options.base)
    if options.records:
        pairs = questions_of(rules, but=[question["rule"] for question in questions], seed=options.seed)
        records = records_of(base, pairs, options.work, most=options.records)
        learned = customize(base, run, options.base, records, options.epochs)
        print(f"  {learned.records} records, {learned.minutes:.1f} minutes, validation loss {learned.loss:.3f}")
        ask_all("tuned", learned.deployment)
    print(f"\n{table(found)}")
    return {name: measured.to_json() for name, measured in found.items()}


def told_counts(statistics: Mapping[str, int], began: float) -> dict[str, int]:
    counts = {
        "scanned": statistics["numberOfDocumentsScanned"],
        "new": statistics["numberOfNewDocumentsIndexed"],
        "changed": statistics["numberOfModifiedDocumentsIndexed"],
        "deleted": statistics["numberOfDocumentsDeleted"],
    }
    told = ", ".join(f"{number} {word}" for word, number in counts.items())
    print(f"  documents: {told} ({time.monotonic() - began:.0f} s)", flush=True)
    return counts


def show(question: str, answer: RuleAnswer) -> None:
    """Print an answer, and behind each part the rules it stands on."""
    parts = (f"{part.text.strip()} [{', '.join(dict.fromkeys(part.rules)) or 'nothing'}]" for part in answer.parts)
    print(f"\n  > {question}\n  {' '.join(parts)}", flush=True)


def plain(text: str) -> str:
    """Without marks of Markdown, and blanks as one."""
    return " ".join(text.replace("#", " ").split())


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
