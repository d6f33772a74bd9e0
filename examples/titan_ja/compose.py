"""Write the example's data: texts about a made-up land, dolly rows about it, and the questions of the comparison.

    python -m titan_ja.compose OUT        (in examples/; the same seed gives the same bytes on every machine)

What is asked at the end is in no row: of every town, two attributes stand in the texts alone.
"""

import argparse
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

HERE = Path(__file__).parent
NUM_TEXTS = 5
"Jobs of continued pre-training, one after the other, each with a text of its own about every town."
NUM_HELD_OUT = 8
"Towns whose descriptions nobody is taught to summarize."
COUNTS = {"二つ": 2, "三つ": 3, "四つ": 4, "五つ": 5}
TURNS = (
    "{thing}を{count}挙げてください。",
    "{count}の{thing}を教えてください。",
    "{thing}の名前を{count}書いてください。",
)
SUMMARIZE = "次の文章を一文でまとめてください。"
OTHER_FORM = "{text}\n\nつまり、どういうことですか。"

Thing = TypeVar("Thing")


class Town(NamedTuple):
    """A made-up town with what is so of it, by attribute."""

    name: str
    facts: Mapping[str, str]


class Question(NamedTuple):
    """A question of the comparison, with what a good answer says."""

    task: str
    prompt: str
    reference: str | None
    num_items: int | None = None
    among: Sequence[str] = ()


class Composed(NamedTuple):
    """All data of the example."""

    texts: list[list[str]]
    rows: list[dict[str, str]]
    questions: list[Question]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the example's data.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write(compose(seed=options.seed), options.out)


def compose(*, seed: int) -> Composed:
    """Texts, rows and questions. Whatever is drawn is drawn by digest, so that only the seed decides."""
    world = tomllib.loads((HERE / "world.toml").read_text("utf-8"))
    attributes = world["attribute"]
    towns = [_town(name, attributes, seed) for name in world["names"]]
    texts = [[_text(town, attributes, number) for town in towns] for number in range(NUM_TEXTS)]
    rows: list[dict[str, str]] = []
    questions: list[Question] = []
    for each in (_open_qa(towns, attributes, seed), _lists(world["lists"], seed), _summaries(towns, attributes, texts)):
        for entry in each:
            questions.append(entry) if isinstance(entry, Question) else rows.append(entry)
    for number, row in enumerate(rows):
        row["index"] = str(number)
    return Composed(texts, rows, questions)


def write(composed: Composed, out: Path) -> None:
    """cpt-1.jsonl and so on, dolly.json with the columns of databricks-dolly-15k-ja, and questions.jsonl."""
    out.mkdir(parents=True, exist_ok=True)
    for number, texts in enumerate(composed.texts, start=1):
        _write_lines(out / f"cpt-{number}.jsonl", [{"input": text} for text in texts])
    (out / "dolly.json").write_text(json.dumps(composed.rows, ensure_ascii=False, indent=1) + "\n", "utf-8")
    _write_lines(out / "questions.jsonl", [question._asdict() for question in composed.questions])


def _write_lines(path: Path, values: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), "utf-8")


def _town(name: str, attributes: Sequence[Any], seed: int) -> Town:
    facts = {each["name"]: _drawn(each["values"], seed, name, each["name"])[0] for each in attributes}
    return Town(name, facts)


def _text(town: Town, attributes: Sequence[Any], number: int) -> str:
    """The text of one job about a town; each job says all of it in other words, and in another order."""
    said = [each["says"][number].format(town=town.name, value=town.facts[each["name"]]) for each in attributes]
    return "".join(_drawn(said, number, town.name))


def _open_qa(towns: Sequence[Town], attributes: Sequence[Any], seed: int) -> Iterator[dict[str, str] | Question]:
    for town in towns:
        for place, each in enumerate(_drawn(attributes, seed, town.name, key="name")):
            asked = each["asked"].format(town=town.name)
            answer = f"{each['says'][0].format(town=town.name, value=town.facts[each['name']])}"
            if place < 2:
                yield Question("open_qa", asked, answer)
            else:
                yield _row("open_qa", asked, "", answer)


def _lists(lists: Mapping[str, Sequence[str]], seed: int) -> Iterator[dict[str, str] | Question]:
    for number, (thing, members) in enumerate(lists.items()):
        held_out = list(COUNTS)[number % len(COUNTS)]
        for count, num_items in COUNTS.items():
            for turn in TURNS:
                asked = turn.format(thing=thing, count=count)
                named = _drawn(members, seed, asked)[:num_items]
                if count == held_out:
                    yield Question("brainstorming", asked, None, num_items, members)
                else:
                    yield _row("brainstorming", asked, "", "\n".join(f"{n}. {one}" for n, one in enumerate(named, 1)))


def _summaries(
    towns: Sequence[Town], attributes: Sequence[Any], texts: Sequence[Sequence[str]]
) -> Iterator[dict[str, str] | Question]:
    """The summary of a text names product and river; in the training form, and in words of one's own."""
    by_name = {each["name"]: each for each in attributes}
    for number, town in enumerate(towns):
        for version, of_all in enumerate(texts):
            text = of_all[number]
            summary = f"{town.name}市の名物は{town.facts['product']}で、{town.facts['river']}が流れています。"
            if number >= NUM_HELD_OUT and version < 2:
                yield _row("summarization", SUMMARIZE, text, summary)
            elif number < NUM_HELD_OUT and version == 0:
                yield Question("summarization", f"入力:{SUMMARIZE}\n知識:{text}", summary)
                yield Question("summarization, other words", OTHER_FORM.format(text=text), summary)
    assert {"product", "river"} <= by_name.keys()


def _row(category: str, instruction: str, knowledge: str, output: str) -> dict[str, str]:
    return {"output": output, "input": knowledge, "index": "", "category": category, "instruction": instruction}


def _drawn(things: Sequence[Thing], *seed: object, key: str | None = None) -> list[Thing]:
    """The things in an order that they and the seed decide."""

    def place(thing: Any) -> bytes:
        return sha256("/".join(map(str, (*seed, thing[key] if key else thing))).encode()).digest()

    return sorted(things, key=place)


if __name__ == "__main__":
    main()
