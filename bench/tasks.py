"""The sample tasks: three public data sets as `examples/convert.py` divides them, and records chosen from each part.

What two records share never stands in two parts. Validation records decide which weights a run keeps, and which
hyperparameters an experiment; test records decide nothing.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tokenizers import Tokenizer

from bench.measuring import ROOT

TOKENIZER = ROOT / "src/outcrop/catalog/bundled/starter-v1/tokenizer.json"
LONGEST = 256
"""Tokens of the longest record. Measured on one thread, and a run is to take a minute."""
POOLS = {"train": 2000, "validation": 400, "test": 150}
FOLDERS = {"waka": "waka-hachidaishu", "mts-dialog": "mts-dialog", "jsquad": "jsquad"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How many records of each part, the first ones of at most `longest` tokens."""

    train: int
    validation: int
    longest: int = LONGEST


@dataclass(frozen=True, kw_only=True)
class Records:
    """Files of one task."""

    train: Path
    validation: Path
    test: Path
    train_texts: Path
    "The training records' texts, prompt and completion end to end, for continued pre-training."
    validation_texts: Path

    def digest(self) -> str:
        files = [getattr(self, field.name) for field in fields(self)]
        return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def prepare(data: Path, folder: Path, choices: dict[str, Choice]) -> dict[str, Records]:
    """Records of each task under `folder`; the same source and choices give the same files."""
    return {task: _prepare(task, data, folder / task, choice) for task, choice in choices.items()}


def _prepare(task: str, data: Path, folder: Path, choice: Choice) -> Records:
    pool = folder / "pool"
    sizes = [f"--{part}={size}" for part, size in POOLS.items()]
    limits = ["--max-tokens", str(LONGEST), "--tokenizer", str(TOKENIZER)]
    program = [sys.executable, ROOT / "examples/convert.py", task, data / FOLDERS[task], pool, *sizes, *limits]
    subprocess.run(list(map(str, program)), check=True, stdout=subprocess.DEVNULL)
    parts = {part: _read(pool / f"{part}.jsonl") for part in POOLS}
    parts["train"] = _first(parts["train"], choice.train, longest=choice.longest)
    parts["validation"] = _first(parts["validation"], choice.validation, longest=choice.longest)
    return _put(folder, parts)


def shipped(folder: Path) -> Records:
    """The records of `make quickstart`, all of them."""
    return _put(folder, {part: _read(ROOT / "examples/renga" / f"{part}.jsonl") for part in POOLS})


def _put(folder: Path, parts: dict[str, list[dict[str, str]]]) -> Records:
    folder.mkdir(parents=True, exist_ok=True)
    for part, records in parts.items():
        _write(folder / f"{part}.jsonl", records)
        texts = dict.fromkeys(record["prompt"] + record["completion"] for record in records)
        _write(folder / f"{part}-texts.jsonl", [{"input": text} for text in texts])
    return Records(
        train=folder / "train.jsonl",
        validation=folder / "validation.jsonl",
        test=folder / "test.jsonl",
        train_texts=folder / "train-texts.jsonl",
        validation_texts=folder / "validation-texts.jsonl",
    )


def _first(records: Sequence[dict[str, str]], count: int, *, longest: int) -> list[dict[str, str]]:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    lengths = [len(tokenizer.encode(record["prompt"] + record["completion"]).ids) for record in records]
    fitting = [record for record, length in zip(records, lengths, strict=True) if length <= longest]
    if len(fitting) < count:
        raise SystemExit(f"Only {len(fitting)} records have at most {longest} tokens. Choose fewer, or longer ones.")
    return fitting[:count]


def _read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _write(path: Path, records: Sequence[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
