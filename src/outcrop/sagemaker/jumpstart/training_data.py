"""The data of a JumpStart fine-tuning, as the channels bring it, made into the house's records.

instructions    train.jsonl with template.json, whose prompt and completion name keys of the records; or prompts with
                completions, or what the house converts to them by its own rules
conversations   messages, or dialog, of role and content
texts           text files, each a text; or records and tables with a text in each

A record keeps the number of its line, so that problems name the line that its owner wrote.
"""

import csv
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from string import Formatter
from typing import Any

from outcrop.catalog.base_model import Customization
from outcrop.datasets import json_lines
from outcrop.datasets.flaws import kind
from outcrop.datasets.problems import Problem, RecordError
from outcrop.datasets.reading import read_file
from outcrop.datasets.records import Conversation, PromptCompletion
from outcrop.errors import Invalid
from outcrop.json_files import FileProblem, JsonText, Members, content, parse
from outcrop.sagemaker.jumpstart.hyperparameters import FineTuningChoices

SEPARATOR = "\n\n### Response:\n"
"What JumpStart's own scripts put between an instruction and its answer, and whoever asks the model later."
TEMPLATE = "template.json"
_MOST_TEMPLATE_BYTES = 1 << 20
_TEMPLATE = Members(required={"prompt": JsonText(least=1), "completion": JsonText(least=1)})
_RECORDS = (".jsonl", ".json")
_TEXTS = (".txt", ".md")
_TABLES = (".csv",)


class ChannelData(StrEnum):
    """The kind of records that a channel holds."""

    INSTRUCTIONS = "instructions"
    CONVERSATIONS = "conversations"
    TEXTS = "texts"

    @property
    def customization(self) -> Customization:
        return Customization.CONTINUED_PRE_TRAINING if self is ChannelData.TEXTS else Customization.FINE_TUNING


@dataclass(frozen=True, kw_only=True)
class PreparedData:
    """A channel's data as the house reads it: a file, or a folder of files."""

    path: Path
    kind: ChannelData
    notes: tuple[str, ...] = ()
    "What was done with it, in plain words."


def prepare(
    channel: Path, folder: Path, choices: FineTuningChoices, *, like: ChannelData | None = None
) -> PreparedData:
    """The data in the folder of a channel; what has to be written anew is written into `folder`.

    `like`: the kind of the training data, which validation data has too. Raises Invalid with every problem.
    """
    files = [path for path in sorted(channel.rglob("*")) if path.is_file() and not _is_hidden(path, channel)]
    data = [path for path in files if path.name != TEMPLATE]
    if not data:
        raise Invalid(f"The channel {channel.name} holds no data. Put train.jsonl, or text files, into its prefix.")
    template = next((_template(path) for path in files if path.name == TEMPLATE), None)
    chosen, notes = (like, ()) if like is not None else _kind(data, template, choices)
    wanted = _wanted(data, chosen)
    left_out = [f"{path.name} is left out: it is no file of {chosen}" for path in data if path not in wanted]
    folder.mkdir(parents=True, exist_ok=True)
    paths = [_prepared(path, folder, chosen, template, choices) for path in wanted]
    return PreparedData(path=_together(paths, folder), kind=chosen, notes=(*notes, *left_out))


def _kind(
    data: list[Path], template: "InstructionTemplate | None", choices: FineTuningChoices
) -> tuple[ChannelData, tuple[str, ...]]:
    """The kind that was asked for; where none was, the one that is there."""
    if choices.is_instruction:
        return ChannelData.INSTRUCTIONS, ()
    if choices.is_chat:
        return ChannelData.CONVERSATIONS, ()
    first = next((_first(path) for path in data if path.suffix in _RECORDS), None)
    keys = set(first) if isinstance(first, dict) else set()
    if template is not None or {"prompt", "completion"} <= keys:
        return ChannelData.INSTRUCTIONS, (
            "instructions are learned, as if instruction_tuned were True: they are there",
        )
    if keys & {"messages", "dialog"}:
        return ChannelData.CONVERSATIONS, ("conversations are learned, as if chat_dataset were True: they are there",)
    return ChannelData.TEXTS, ()


def _wanted(data: list[Path], chosen: ChannelData) -> list[Path]:
    """The files of a kind. Raises Invalid where there is none."""
    suffixes = (*_RECORDS, *_TEXTS, *_TABLES) if chosen is ChannelData.TEXTS else _RECORDS
    found = [path for path in data if path.suffix.lower() in suffixes]
    lines = [path for path in found if path.suffix == ".jsonl"]
    if chosen is not ChannelData.TEXTS and lines:
        found = lines  # what lies beside is a description of them
    if not found:
        names = ", ".join(path.name for path in data[:5])
        raise Invalid(f"{names}: no {chosen} can be read from it. Give a file that ends in {', '.join(suffixes)}.")
    return found


def _prepared(
    path: Path, folder: Path, chosen: ChannelData, template: "InstructionTemplate | None", choices: FineTuningChoices
) -> Path:
    if chosen is ChannelData.TEXTS:
        if path.suffix.lower() in _TEXTS:
            return _written(folder / f"{path.name}.jsonl", [(1, {"input": _text(path)})])
        if path.suffix.lower() in _TABLES:
            return _written(folder / f"{path.name}.jsonl", _rows(path))
        return _written(folder / path.name, _renamed(path, {"text": "input"}))
    if chosen is ChannelData.CONVERSATIONS:
        return _written(folder / path.name, _renamed(path, {"dialog": "messages"}))
    pairs = _pairs(path) if template is None else template.pairs(path)
    if pairs is None:
        return path
    behind = SEPARATOR if choices.has_separator else ""
    return _written(
        folder / path.name,
        [(number, {"prompt": prompt + behind, "completion": completion}) for number, prompt, completion in pairs],
    )


Pair = tuple[int, str, str]
"Number of the line, prompt and completion."


@dataclass(frozen=True, kw_only=True)
class InstructionTemplate:
    """The texts of template.json, with keys of the records in braces."""

    prompt: str
    completion: str

    def __post_init__(self) -> None:
        """Raises Invalid."""
        if not (self._keys("prompt") | self._keys("completion")):
            raise Invalid(f"{TEMPLATE}: it names no key of the records. Write keys in braces, such as {{instruction}}.")

    def pairs(self, path: Path) -> list[Pair]:
        """The records of a file, filled in. Raises RecordError with every problem."""
        keys = sorted(self._keys("prompt") | self._keys("completion"))
        problems: list[Problem] = []
        found: list[Pair] = []
        for number, value in _values(path, problems):
            wrong = _problems_of(value, keys, path.name, number)
            problems += wrong
            if not wrong:
                found.append((number, self.prompt.format(**value), self.completion.format(**value)))
        if problems:
            raise RecordError(problems)
        return found

    def _keys(self, part: str) -> set[str]:
        text = self.prompt if part == "prompt" else self.completion
        mend = "Name a key of the records in braces, such as {instruction}; write braces of the text twice: {{ }}."
        try:
            fields = [(name, form, how) for _, name, form, how in Formatter().parse(text) if name is not None]
        except ValueError as error:
            raise Invalid(f"{TEMPLATE}: {part}: {error}. {mend}") from error
        for name, form, how in fields:
            if not name or form or how or any(letter in name for letter in ".[]"):
                raise Invalid(f"{TEMPLATE}: {part}: {{{name}}} is not the name of a key alone. {mend}")
        return {name for name, _, _ in fields}


def _template(path: Path) -> InstructionTemplate:
    """Raises Invalid."""
    try:
        value = parse(content(path, most_bytes=_MOST_TEMPLATE_BYTES), name=path.name)
        if (wrong := _TEMPLATE.problem(value, "")) is not None:
            raise FileProblem(f"{path.name}: {wrong}")
    except FileProblem as problem:
        raise Invalid(
            f'{problem}. Write {{"prompt": "… {{instruction}} …", "completion": "{{response}}"}}.'
        ) from problem
    return InstructionTemplate(prompt=value["prompt"], completion=value["completion"])


def _problems_of(value: Any, keys: list[str], name: str, number: int) -> list[Problem]:
    if not isinstance(value, dict):
        return [
            _problem(name, number, "", f"expected an object, found {kind(value)}", "Write one object on each line.")
        ]
    mend = f"Give the record a text of this name, or correct {TEMPLATE}."
    return [
        _problem(
            name, number, key, "missing" if key not in value else f"expected a text, found {kind(value[key])}", mend
        )
        for key in keys
        if isinstance(value.get(key), bool) or not isinstance(value.get(key), str | int | float)
    ]


def _pairs(path: Path) -> list[Pair] | None:
    """Prompts with completions of a file; None for conversations, which stay as they are. Raises RecordError."""
    problems: list[Problem] = []
    found: list[Pair] = []
    for line in read_file(path, customization=Customization.FINE_TUNING.value, name=path.name):
        problems += line.problems
        if isinstance(line.record, Conversation):
            return None
        if isinstance(line.record, PromptCompletion):
            found.append((line.number, line.record.prompt, line.record.completion))
    if problems:
        raise RecordError(problems)
    return found


def _values(path: Path, problems: list[Problem]) -> Iterator[tuple[int, Any]]:
    """The JSON values of a file's lines, blank ones left out; what is none is a problem."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not line.strip():
                continue
            try:
                yield number, json_lines.parse(line)
            except json_lines.JsonError as error:
                problems.append(_problem(path.name, number, error.field, error.what, error.mend))


def _renamed(path: Path, names: dict[str, str]) -> list[tuple[int, Any]]:
    """The values of a file with some keys named otherwise. Raises RecordError for lines that are no JSON."""
    problems: list[Problem] = []
    found = [
        (number, {names.get(key, key): each for key, each in value.items()} if isinstance(value, dict) else value)
        for number, value in _values(path, problems)
    ]
    if problems:
        raise RecordError(problems)
    return found


def _rows(path: Path) -> list[tuple[int, Any]]:
    """The texts of a table: its column `text`, or the first one."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            place = header.index("text") if "text" in header else 0
            return [(number, {"input": row[place]}) for number, row in enumerate(reader, start=2) if row]
        except (UnicodeDecodeError, csv.Error, IndexError) as error:
            raise Invalid(f"{path.name}: the table cannot be read: {error}. Save it as CSV in UTF-8.") from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"{path.name}: not UTF-8, at byte {error.start + 1}. Save it as UTF-8.") from error


def _first(path: Path) -> Any:
    with suppress(StopIteration, OSError):
        return next(_values(path, []))[1]
    return None


def _written(path: Path, values: list[tuple[int, Any]]) -> Path:
    """A file that has each value on the line of its number."""
    last = 0
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        for number, value in values:
            file.write("\n" * (number - last - 1) + json.dumps(value) + "\n")
            last = number
    return path


def _together(paths: list[Path], folder: Path) -> Path:
    """The one file, or a folder with all of them."""
    if len(paths) == 1:
        return paths[0]
    for path in paths:
        if path.parent != folder:
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def _problem(name: str, number: int, field: str, what: str, mend: str) -> Problem:
    return Problem(name=name, line=number, field=field, what=what, mend=mend)


def _is_hidden(path: Path, channel: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(channel).parts)
