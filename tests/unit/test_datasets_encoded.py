"""What the preflight encodes is what training learns from: the same examples, whichever way they came."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from outcrop.datasets import encoded_file, preflight
from outcrop.datasets.records import Customization
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import data, examples
from outcrop.training.task import TrainingHyper, TrainingTask
from tests.support.tiny import CONTEXT_LENGTH, tiny_model

PAIRS: list[dict[str, object]] = [{"prompt": f"one {word} three", "completion": word} for word in ("two", "four")]
CHATS: list[dict[str, object]] = [
    {"system": [{"text": "one"}], "messages": [
        {"role": "user", "content": [{"text": "two"}]}, {"role": "assistant", "content": [{"text": "three four"}]},
    ]}
]  # fmt: skip
TEXTS: list[dict[str, object]] = [{"input": "one two three four " * 40}, {"input": "one"}]


def written(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def task_of(folder: Path, base: Path, records: list[dict[str, object]], customization: Customization) -> TrainingTask:
    return TrainingTask(
        base_dir=base,
        base_name="tiny",
        parent_adapter=None,
        train=written(folder / "train.jsonl", records),
        validators=(written(folder / "validation.jsonl", records[:1]),),
        customization=customization,
        hyper=TrainingHyper(epochs=1, batch_size=1, learning_rate=0.1),
        run_dir=folder / "run",
        output_dir=folder / "out",
    )


def told(read: data.TrainingData) -> list[tuple[list[int], list[int], list[int], int, int]]:
    every = [*read.examples, *(example for validator in read.validators for example in validator.examples)]
    return [(e.ids_T.tolist(), e.at_N.tolist(), e.target_N.tolist(), e.num_bytes, e.line) for e in every]


@pytest.mark.parametrize(
    ("records", "customization"),
    [(PAIRS, "FINE_TUNING"), (CHATS, "FINE_TUNING"), (TEXTS, "CONTINUED_PRE_TRAINING")],
    ids=["pairs", "chats", "texts"],
)
def test_training_reads_what_the_preflight_has_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[dict[str, object]], customization: Customization
) -> None:
    task = task_of(tmp_path, tiny_model(tmp_path / "base"), records, customization)
    anew = data.read(task)
    kept = (tmp_path / "train", tmp_path / "validation")
    files, tokenizer = [task.train, *task.validators], Tokenizer.open(task.base_dir)
    report = preflight.examine(
        files, tokenizer=tokenizer, context_length=CONTEXT_LENGTH, customization=customization, encoded=kept
    )
    assert report.problems == ()
    monkeypatch.setattr(examples, "encode_lines", None)  # nothing is encoded any more
    again = data.read(replace(task, encoded=kept))
    assert told(again) == told(anew)
    assert again.examples[0].ids_T.dtype == anew.examples[0].ids_T.dtype == torch.int64
    assert replace(task, encoded=kept).digest() == task.digest()


def test_what_was_encoded_for_another_context_is_encoded_anew(tmp_path: Path) -> None:
    task = task_of(tmp_path, tiny_model(tmp_path / "base"), TEXTS, "CONTINUED_PRE_TRAINING")
    kept = (tmp_path / "train", tmp_path / "validation")
    preflight.examine(
        [task.train, *task.validators],
        tokenizer=Tokenizer.open(task.base_dir),
        context_length=CONTEXT_LENGTH // 2,
        customization="CONTINUED_PRE_TRAINING",
        encoded=kept,
    )
    assert told(data.read(replace(task, encoded=kept))) == told(data.read(task))


def test_a_file_that_was_broken_off_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), encoded_file.EncodedFile(tmp_path / "train", context_length=8):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    assert encoded_file.read_encoded(tmp_path / "train", context_length=8) is None
