"""The example on dialogues: its made-up data, DialogSum's files, and the instruction around them."""

import csv
import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def dialogues(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("dialogue_summary.dialogues")


def test_a_thousand_dialogues_are_made_no_two_alike_and_the_seed_decides(dialogues: ModuleType) -> None:
    made = dialogues.compose(1000, seed=0)
    assert len({each.dialogue for each in made}) == 1000
    assert made == dialogues.compose(1000, seed=0)
    assert made != dialogues.compose(1000, seed=1)
    assert all("{" not in each.dialogue + each.summary for each in made)
    assert all(line.startswith("#Person") for line in made[0].dialogue.splitlines())
    assert all(len(each.summary) < len(each.dialogue) / 2 for each in made)


def test_dialogsum_is_read_and_its_id_and_topic_are_dropped(dialogues: ModuleType, tmp_path: Path) -> None:
    row = {
        "id": "train_0",
        "dialogue": '#Person1#: Hi, "you".\n#Person2#: Hello.',
        "summary": "They greet.",
        "topic": "greeting",
    }
    with (tmp_path / "train.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n")
    expected = {
        "prompt": f"Summarize the following conversation.\n\n{row['dialogue']}",
        "completion": "They greet.",
    }
    for name in ("train.csv", "train.jsonl"):
        (one,) = dialogues.read_dialogues(tmp_path / name)
        assert one.record == expected
    (tmp_path / "records.jsonl").write_text(json.dumps(expected) + "\n")
    (one,) = dialogues.read_dialogues(tmp_path / "records.jsonl")
    assert one.record == expected, "an instruction is not put before another"


def test_no_dialogue_is_in_two_parts(dialogues: ModuleType) -> None:
    dealt = dialogues.parts(dialogues.compose(40, seed=0), 20, 10, 10, seed=0)
    assert [len(part) for part in dealt] == [20, 10, 10]
    assert len({each.dialogue for part in dealt for each in part}) == 40
    with pytest.raises(SystemExit, match="40 dialogues, and 41 are asked for"):
        dialogues.parts(dialogues.compose(40, seed=0), 41, seed=0)
