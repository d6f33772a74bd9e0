"""Dialogues and their summaries: a file of DialogSum, or made-up ones; and the instruction they are wrapped in.

    python -m dialogue_summary.dialogues OUT        (in examples/; the same seed gives the same bytes on every machine)

The made-up ones are ours. DialogSum's text is CC BY-NC-SA and does not come along: give the program its file.
"""

import argparse
import csv
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).parent
INSTRUCTION = "Summarize the following conversation.\n\n{dialogue}"
"The form of training, and of every question: another form asks for another habit."
_DIALOGUE, _SUMMARY = ("dialogue", "prompt"), ("summary", "completion")


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """A dialogue, and the summary that a person has made of it."""

    dialogue: str
    summary: str

    @property
    def prompt(self) -> str:
        """The dialogue in its instruction; a record that has one already keeps it."""
        begun = self.dialogue.startswith(INSTRUCTION.partition("{")[0].strip())
        return self.dialogue if begun else INSTRUCTION.format(dialogue=self.dialogue)

    @property
    def record(self) -> dict[str, str]:
        """The training record. Id and topic are dropped: nobody tells them when a summary is asked for."""
        return {"prompt": self.prompt, "completion": self.summary}


def read_dialogues(path: Path) -> list[Dialogue]:
    """The dialogues of a CSV or JSON Lines file with the columns dialogue and summary. Ends the program without any."""
    rows = list(_rows(path))
    found = [
        Dialogue(dialogue=dialogue.strip(), summary=summary.strip())
        for row in rows
        if (dialogue := _column(row, _DIALOGUE)) and (summary := _column(row, _SUMMARY))
    ]
    if not found:
        raise SystemExit(f"{path}: no row with dialogue and summary. Give DialogSum's CSV or JSON Lines.")
    return found


def compose(count: int, *, seed: int) -> list[Dialogue]:
    """So many made-up dialogues, no two of them alike; the seed alone decides."""
    told = tomllib.loads((HERE / "scenes.toml").read_text("utf-8"))
    random, made = Random(seed), dict[str, Dialogue]()
    while len(made) < count:
        one = _composed(random.choice(told["scene"]), told["slots"], random)
        made.setdefault(one.dialogue, one)
    return list(made.values())


def parts(dialogues: Sequence[Dialogue], *sizes: int, seed: int) -> list[list[Dialogue]]:
    """The dialogues dealt into parts of these sizes. Ends the program where there are too few."""
    if sum(sizes) > len(dialogues):
        raise SystemExit(f"{len(dialogues)} dialogues, and {sum(sizes)} are asked for. Ask for fewer, or give more.")
    order, dealt = list(dialogues), []
    Random(seed).shuffle(order)
    for size in sizes:
        dealt.append(order[:size])
        order = order[size:]
    return dealt


def write_records(dialogues: Sequence[Dialogue], path: Path) -> Path:
    """The dialogues as a file of training records."""
    path.write_text("".join(json.dumps(each.record, ensure_ascii=False) + "\n" for each in dialogues), "utf-8")
    return path


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".csv":
            yield from csv.DictReader(file)
        else:
            yield from (json.loads(line) for line in file if line.strip())


def _column(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((row[name] for name in names if isinstance(row.get(name), str)), "")


def _composed(scene: Mapping[str, Any], slots: Mapping[str, Sequence[str]], random: Random) -> Dialogue:
    drawn = {name: random.choice(values) for name, values in slots.items()}
    turns = [turn for step in scene["steps"] for turn in random.choice(step)]
    return Dialogue(
        dialogue="\n".join(_sentence(turn.format(**drawn)) for turn in turns), summary=scene["summary"].format(**drawn)
    )


def _sentence(turn: str) -> str:
    """A turn whose first word begins with a capital, whatever was put there."""
    speaker, _, said = turn.partition(": ")
    return f"{speaker}: {said[0].upper()}{said[1:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write made-up dialogues with their summaries.")
    parser.add_argument("out", type=Path, help="a file of JSON Lines: prompt, completion")
    parser.add_argument("--count", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_records(compose(options.count, seed=options.seed), options.out)


if __name__ == "__main__":
    main()
