"""Turn three public data sets into FINE_TUNING records: `python examples/convert.py waka SOURCE_DIR OUT_DIR`.

    waka          waka.jsonl                       upper verse -> lower verse
    mts-dialog    train.jsonl, validation.jsonl    doctor-patient conversation -> section of the clinical note
    jsquad        valid.jsonl                      paragraph and question -> answer

Writes train.jsonl, validation.jsonl and test.jsonl. What two records share (a verse, a conversation, a paragraph) never
stands in two of these files, or a score on test.jsonl would measure memory. The same source, sizes and seed give the
same files. Every record that is read and not written is counted aloud, with the reason.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

SIZES = {"train": 2000, "validation": 200, "test": 200}
SEED = 1
SPECIAL_TOKENS = 3
"""Room for what a base model puts around prompt and completion: begin, separator, end."""

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One record to be, and what it must not share with a record of another file."""

    prompt: str
    completion: str
    shared: tuple[str, ...]
    """Every example with one of these texts goes to the same file."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How one data set is read."""

    pool: str
    """The source file that is divided."""
    test: str | None
    """The source file that is the test set already, where the data set brings one."""
    example: Callable[[Row], Example]


def main(argv: Sequence[str] | None = None) -> None:
    """Read, divide, write; print what was written and what was left out."""
    arguments = parse_arguments(argv)
    conversion, limit = CONVERSIONS[arguments.dataset], arguments.max_tokens
    length = token_counter(arguments.tokenizer) if limit is not None else None
    read = partial(read_fitting, example=conversion.example, length=length, limit=limit)
    pool = read(arguments.source / conversion.pool)
    test = read(arguments.source / conversion.test) if conversion.test else None
    pool = apart_from(test or [], pool)
    sizes = {name: getattr(arguments, name) for name in SIZES}
    files = divide(pool, test, sizes=sizes, seed=arguments.seed)
    if not files["train"]:
        raise SystemExit("Nothing is left for train.jsonl. Ask for fewer records with --validation and --test.")
    write(files, arguments.out, sizes)
    num_unused = len(pool) + len(test or []) - sum(map(len, files.values()))
    print(f"left out: {num_unused} records that these sizes have no room for")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked; ends the program with a message when it is wrong."""
    parser = argparse.ArgumentParser(description="Turn a public data set into FINE_TUNING records.")
    parser.add_argument("dataset", choices=sorted(CONVERSIONS))
    parser.add_argument("source", type=Path, metavar="SOURCE_DIR")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    for name, size in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=size, metavar="N", help=f"most records (default {size})")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--max-tokens", type=int, metavar="N", help="leave out records longer than this")
    parser.add_argument("--tokenizer", type=Path, metavar="TOKENIZER_JSON", help="what --max-tokens counts with")
    arguments = parser.parse_args(argv)
    if (arguments.max_tokens is None) != (arguments.tokenizer is None):
        parser.error("--max-tokens and --tokenizer belong together. Give both, or neither.")
    conversion = CONVERSIONS[arguments.dataset]
    for path in (arguments.source / name for name in (conversion.pool, conversion.test) if name):
        if not path.is_file():
            parser.error(f"{path}: no such file. SOURCE_DIR is the folder that holds it.")
    return arguments


def waka_example(row: Row) -> Example:
    """A classical poem: the upper verse asks, the lower verse answers.

    Anthologies quote and vary each other, so poems with either verse in common stay together.
    """
    return Example(
        prompt=f"上の句: {row['upper']}\n下の句:", completion=f" {row['lower']}", shared=(row["upper"], row["lower"])
    )


def mts_dialog_example(row: Row) -> Example:
    """A conversation and one section of the note written after it."""
    dialogue, task = plain_lines(row["dialogue"]), "Summarize the following doctor-patient conversation as the"
    return Example(
        prompt=f"{task} {row['section_header']} section.\n\n{dialogue}\n\nSummary:",
        completion=f" {plain_lines(row['section_text'])}",
        shared=(dialogue,),
    )


def jsquad_example(row: Row) -> Example:
    """A paragraph of an encyclopedia and a question; of the reference answers the first.

    "title [SEP] paragraph" is how one model family wants two texts; here the title becomes a line of its own.
    """
    context = row["context"].replace(" [SEP] ", "\n", 1)
    return Example(
        prompt=f"{context}\n質問: {row['question']}\n答え:", completion=f" {row['answers'][0]}", shared=(context,)
    )


CONVERSIONS = {
    "waka": Conversion(pool="waka.jsonl", test=None, example=waka_example),
    "mts-dialog": Conversion(pool="train.jsonl", test="validation.jsonl", example=mts_dialog_example),
    "jsquad": Conversion(pool="valid.jsonl", test=None, example=jsquad_example),
}


def plain_lines(text: str) -> str:
    """The text with \\n as its only line end and no blanks at the ends of its lines; the source mixes in \\r\\n."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


def token_counter(path: Path) -> Callable[[Example], int]:
    """Counts the tokens that an example takes in training, by the tokenizer.json at `path`."""
    # Here and not above: without --max-tokens the standard library is enough.
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    # Else a tokenizer saved with truncation finds no text too long, and one with padding finds all of them alike.
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(example: Example) -> int:
        texts = [example.prompt, example.completion]
        return SPECIAL_TOKENS + sum(len(ids) for ids in tokenizer.encode_batch(texts, add_special_tokens=False))

    return count


def read_fitting(
    path: Path, example: Callable[[Row], Example], length: Callable[[Example], int] | None, limit: int | None
) -> list[Example]:
    """The examples of a source file that are within the limit, if there is one; prints how many were read and kept."""
    lines = path.read_text(encoding="utf-8").split("\n")
    examples = [example(json.loads(line)) for line in lines if line.strip()]
    print(f"{path.name}: {len(examples)} records read")
    if length is None or limit is None:
        return examples
    fitting = [each for each in examples if length(each) <= limit]
    print(f"left out: {len(examples) - len(fitting)} records of {path.name} longer than {limit} tokens")
    return fitting


def apart_from(test: list[Example], pool: list[Example]) -> list[Example]:
    """The examples of the pool that share nothing with the test set; prints how many do, if any."""
    tested = {text for example in test for text in example.shared}
    apart = [example for example in pool if tested.isdisjoint(example.shared)]
    if len(apart) < len(pool):
        print(f"left out: {len(pool) - len(apart)} records that share their text with the test set")
    return apart


def divide(
    pool: list[Example], test: list[Example] | None, *, sizes: dict[str, int], seed: int
) -> dict[str, list[Example]]:
    """The examples of each file, at most as many as `sizes` says; without `test` the pool gives the test set too.

    The held-out files are filled first: they decide what a score is worth.
    """
    groups = iter(shuffled_groups(pool, seed))
    held_out = groups if test is None else iter(shuffled_groups(test, seed))
    drawn = {
        "test": draw(held_out, sizes["test"]),
        "validation": draw(groups, sizes["validation"]),
        "train": draw(groups, sizes["train"]),
    }
    # Shuffled once more, or the questions about one paragraph would stand in a row.
    return {name: sorted(drawn[name], key=partial(digest, seed=seed)) for name in SIZES}


def shuffled_groups(examples: Iterable[Example], seed: int) -> list[list[Example]]:
    """The examples in groups that share nothing with each other, in an order that only they and `seed` decide."""
    return sorted(grouped(examples), key=lambda group: digest(group[0], seed=seed))


def grouped(examples: Iterable[Example]) -> list[list[Example]]:
    """The examples in groups, such that no two groups share a text."""
    group_of: dict[str, list[Example]] = {}
    for example in examples:
        touched = {id(group): group for text in example.shared if (group := group_of.get(text))}
        merged = [member for group in touched.values() for member in group] + [example]
        group_of |= {text: merged for member in merged for text in member.shared}
    return list({id(group): group for group in group_of.values()}.values())


def digest(example: Example, *, seed: int) -> bytes:
    """What examples are shuffled by: random.shuffle promises its order within one version of Python only."""
    return sha256(f"{seed}/{example.prompt}{example.completion}".encode()).digest()


def draw(groups: Iterator[list[Example]], size: int) -> list[Example]:
    """The next groups, until there are `size` examples. What the last group has too many goes to no other file."""
    drawn: list[Example] = []
    while len(drawn) < size and (group := next(groups, None)):
        drawn += group
    return drawn[:size]


def write(files: dict[str, list[Example]], folder: Path, sizes: dict[str, int]) -> None:
    """Write each file's records and print how many, and how many were asked for where the source had fewer."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, examples in files.items():
        (folder / f"{name}.jsonl").write_bytes("".join(map(record_line, examples)).encode())
        fewer = f" ({sizes[name]} asked for)" if len(examples) < sizes[name] else ""
        print(f"{folder / name}.jsonl: {len(examples)} records{fewer}")


def record_line(example: Example) -> str:
    """One line of a FINE_TUNING dataset."""
    record = {"prompt": example.prompt, "completion": example.completion}
    return json.dumps(record, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
