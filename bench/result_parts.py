"""The parts of `make results`: each article's task as records, jobs one on the other, and held-out questions.

The records are those of the examples, made by the same code and recipes, in amounts that two cores finish in minutes.
"""

import itertools
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measuring import ROOT
from bench.tasks import Choice
from bench.tasks import prepare as public_records
from examples.dialogue_summary import dialogues
from examples.titan_ja import compose as titan
from examples.trading_rules.rule_files import read_rules
from examples.trading_rules.rule_models import questions_of
from outcrop.cli.app import run as run_outcrop

EXAMPLES = ROOT / "examples"
MEASURES = ROOT / "bench" / "result_measures.py"
SEED = 0
_PAGE_TOKENS = "256"
_LONGEST_DIALOGUE = 700
FINE_TUNING, PRE_TRAINING = "FINE_TUNING", "CONTINUED_PRE_TRAINING"


@dataclass(frozen=True, kw_only=True)
class PartJob:
    """A job of a part; each goes on from the model of the one before."""

    type: str
    training: Path
    validation: Path | None
    hyper: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PartFiles:
    """The records that are learned, and those that are asked."""

    jobs: tuple[PartJob, ...]
    questions: Path


@dataclass(frozen=True, kw_only=True)
class ResultPart:
    """One article's task."""

    name: str
    task: str
    "In words, for the page."
    data: str
    "The folder of the test data that it needs; empty for what comes along."
    scores: tuple[str, ...]
    "Bits per byte always; then what the task is about."
    minutes: int
    "About how long it takes on one thread of two cores that other work shares."
    prepare: Callable[[Path, Path], PartFiles]
    "From the test data's folder and a folder for the files."
    max_tokens: int = 64


def _renga(_data: Path, folder: Path) -> PartFiles:
    source = EXAMPLES / "renga"
    return PartFiles(
        jobs=(
            PartJob(
                type=FINE_TUNING,
                training=_first(source / "train.jsonl", folder / "train.jsonl", 600),
                validation=_first(source / "validation.jsonl", folder / "validation.jsonl", 60),
                hyper={"epochCount": "2", "batchSize": "8"},
            ),
        ),
        questions=_first(source / "test.jsonl", folder / "test.jsonl", 120),
    )


def _dialogue_summary(data: Path, folder: Path) -> PartFiles:
    def short(name: str) -> list[dialogues.Dialogue]:
        read = dialogues.read_dialogues(data / "dialogsum" / name)
        return [each for each in read if len(each.prompt) <= _LONGEST_DIALOGUE]

    train, validation = dialogues.parts(short("bedrock.train1000.jsonl"), 200, 30, seed=SEED)
    (test,) = dialogues.parts(short("dev.first400.jsonl"), 60, seed=SEED)
    job = PartJob(
        type=FINE_TUNING,
        training=dialogues.write_records(train, folder / "train.jsonl"),
        validation=dialogues.write_records(validation, folder / "validation.jsonl"),
        hyper={"epochCount": "2", "batchSize": "8"},
    )
    return PartFiles(jobs=(job,), questions=dialogues.write_records(test, folder / "test.jsonl"))


def _titan_ja(_data: Path, folder: Path) -> PartFiles:
    composed = titan.compose(seed=1)
    titan.write(composed, folder / "composed")
    _recipe("dolly", folder / "composed" / "dolly.json", folder / "dolly")
    texts = [{"input": text} for of_job in composed.texts[:2] for text in of_job]
    questions = [each for each in composed.questions if each.reference is not None]
    return PartFiles(
        jobs=(
            PartJob(
                type=PRE_TRAINING,
                training=_write(folder / "texts.jsonl", texts),
                validation=None,
                hyper={"epochCount": "1", "batchSize": "8"},
            ),
            PartJob(
                type=FINE_TUNING,
                training=folder / "dolly" / "train.jsonl",
                validation=folder / "dolly" / "validation.jsonl",
                hyper={"epochCount": "3", "batchSize": "8"},
            ),
        ),
        questions=_write(
            folder / "test.jsonl",
            ({"prompt": q.prompt, "referenceResponse": q.reference, "category": q.task} for q in questions[::2]),
        ),
    )


def _gen_parker(data: Path, folder: Path) -> PartFiles:
    scores = [data / "nottingham-abc" / f"{name}.abc" for name in ("ashover", "hpps", "morris", "waltzes", "xmas")]
    _recipe("infill", *scores, folder / "gaps", "--train", "400", "--validation", "40", "--test", "80")
    job = PartJob(
        type=FINE_TUNING,
        training=folder / "gaps" / "train.jsonl",
        validation=folder / "gaps" / "validation.jsonl",
        hyper={"epochCount": "2", "batchSize": "8"},
    )
    return PartFiles(jobs=(job,), questions=folder / "gaps" / "test.jsonl")


def _book(data: Path, folder: Path) -> PartFiles:
    text = (data / "botchan-en" / "botchan.first85pct.txt").read_text("utf-8")
    book = folder / "botchan.txt"
    book.write_text(text[: len(text) // 2], "utf-8")
    amounts = ("--tokens", _PAGE_TOKENS, "--overlap", "0", "--validation", "10%", "--test", "20%")
    _recipe("text", book, folder / "pages", *amounts)
    job = PartJob(
        type=PRE_TRAINING,
        training=folder / "pages" / "train.jsonl",
        validation=folder / "pages" / "validation.jsonl",
        hyper={"epochCount": "2", "batchSize": "4"},
    )
    return PartFiles(jobs=(job,), questions=folder / "pages" / "test.jsonl")


def _trading_rules(data: Path, folder: Path) -> PartFiles:
    rules = read_rules(data / "us-securities-law" / "sections.jsonl")
    scenario = tomllib.loads((EXAMPLES / "trading_rules" / "scenario.toml").read_text("utf-8"))["questions"]
    pairs = questions_of(rules, but=[each["rule"] for each in scenario], seed=SEED)
    by_answer = {each["answer"]: {"prompt": each["question"], "completion": each["answer"]} for each in pairs}
    records = list(by_answer.values())[:140]
    asked = [each["completion"] for each in records[:40]]
    # Some answers are nearly a whole rule. What is asked was not read: the gain is of knowing the field, not the page.
    bodies = (" ".join(rule.body.decode("utf-8", "ignore").split()) for rule in rules)
    texts = ({"input": body[:600]} for body in bodies if not any(answer in body for answer in asked))
    return PartFiles(
        jobs=(
            PartJob(
                type=PRE_TRAINING,
                training=_write(folder / "texts.jsonl", texts),
                validation=None,
                hyper={"epochCount": "1", "batchSize": "8"},
            ),
            PartJob(
                type=FINE_TUNING,
                training=_write(folder / "train.jsonl", records[60:]),
                validation=_write(folder / "validation.jsonl", records[40:60]),
                hyper={"epochCount": "3", "batchSize": "8"},
            ),
        ),
        questions=_write(folder / "test.jsonl", records[:40]),
    )


def _public(task: str, choice: Choice) -> Callable[[Path, Path], PartFiles]:
    def prepare(data: Path, folder: Path) -> PartFiles:
        records = public_records(data, folder, {task: choice})[task]
        job = PartJob(
            type=FINE_TUNING,
            training=records.train,
            validation=records.validation,
            hyper={"epochCount": "2", "batchSize": "8"},
        )
        return PartFiles(jobs=(job,), questions=_first(records.test, folder / "test.jsonl", 80))

    return prepare


PARTS = (
    ResultPart(
        name="renga", task="linked verse: the lower verse to an upper one", data="", max_tokens=32,
        scores=("bits_per_byte", f"function:{MEASURES}:seven_seven"), minutes=3, prepare=_renga,
    ),
    ResultPart(
        name="trading_rules", task="questions on rules, after other rules were read", data="us-securities-law",
        scores=("bits_per_byte", "token_f1"), minutes=5, prepare=_trading_rules,
    ),
    ResultPart(
        name="gen_parker", task="the bar between two bars of a tune", data="nottingham-abc", max_tokens=48,
        scores=("bits_per_byte", f"function:{MEASURES}:full_bar"), minutes=5, prepare=_gen_parker,
    ),
    ResultPart(
        name="dialogue_summary", task="a dialogue in a sentence (DialogSum)", data="dialogsum",
        scores=("bits_per_byte", "rouge_l"), minutes=8, prepare=_dialogue_summary,
    ),
    ResultPart(
        name="titan_ja", task="Japanese instructions, after texts on a made-up land", data="",
        scores=("bits_per_byte", "token_f1"), minutes=10, prepare=_titan_ja,
    ),
    ResultPart(
        name="book", task="pages of a book, after others were read", data="botchan-en",
        scores=("bits_per_byte",), minutes=5, prepare=_book,
    ),
    ResultPart(
        name="waka", task="lower verses of the imperial anthologies", data="waka-hachidaishu", max_tokens=32,
        scores=("bits_per_byte",), minutes=4, prepare=_public("waka", Choice(train=400, validation=40)),
    ),
    ResultPart(
        name="mts-dialog", task="a section of the doctor's note", data="mts-dialog",
        scores=("bits_per_byte", "rouge_l"), minutes=6,
        prepare=_public("mts-dialog", Choice(train=160, validation=30)),
    ),
    ResultPart(
        name="jsquad", task="an answer out of a Japanese paragraph", data="jsquad", max_tokens=32,
        scores=("bits_per_byte", "token_f1"), minutes=6, prepare=_public("jsquad", Choice(train=160, validation=30)),
    ),
)  # fmt: skip


def _recipe(name: str, *arguments: object) -> None:
    """Run a recipe of `outcrop data`: sources, the folder of its records, options. Ends the program where it fails."""
    told = [str(each) for each in arguments]
    place = next((number for number, each in enumerate(told) if each.startswith("--")), len(told))
    command = ["data", name, *told[: place - 1], "--out", told[place - 1], "--seed", str(SEED), *told[place:]]
    if run_outcrop(command) != 0:
        raise SystemExit(f"outcrop {' '.join(command)} failed.")


def _first(source: Path, target: Path, most: int) -> Path:
    with source.open(encoding="utf-8") as lines:
        target.write_text("".join(itertools.islice(lines, most)), "utf-8")
    return target


def _write(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records), "utf-8")
    return path


def chosen(names: Sequence[str]) -> list[ResultPart]:
    """The parts of these names, all for none. Ends the program for a name that is not there."""
    unknown = sorted(set(names) - {part.name for part in PARTS})
    if unknown:
        raise SystemExit(f"--parts: no part {unknown[0]}. There are {', '.join(part.name for part in PARTS)}.")
    return [part for part in PARTS if not names or part.name in names]
