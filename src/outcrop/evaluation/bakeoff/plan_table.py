"""A table of a TOML file whose values are taken out by key and type. Problems are collected, and nothing raises."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outcrop.datasets.flaws import nearest
from outcrop.errors import Invalid

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class PlanTable:
    """A table, the keys that lead to it, and the problems found so far in the whole file."""

    values: Mapping[str, Any]
    folder: Path
    "Where relative paths begin."
    at: str = ""
    problems: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def key(self, key: str) -> str:
        """The key with those that lead to it."""
        return f"{self.at}.{key}" if self.at else key

    def problem(self, key: str, what: str) -> None:
        """Note a problem; `what` is sentences that say what is wrong and how to mend it."""
        self.problems.append(f"{self.key(key)}: {what}")

    def text(self, key: str) -> str | None:
        """A string that is not blank."""
        value = self._of(key, str, "a string")
        if value is not None and not value.strip():
            self.problem(key, "is empty. Write something, or leave it out.")
            return None
        return None if value is None else str(value)

    def name(self, key: str, default: str) -> str:
        """A name of small letters, digits and dashes."""
        value = self.text(key) or default
        if not is_name(value):
            self.problem(key, f"{value!r} is no name. Write at most 40 small letters, digits and dashes.")
        return value

    def number(self, key: str, *, least: int, most: int) -> int | None:
        """A whole number within bounds."""
        value = self._of(key, int, "a whole number")
        if value is not None and not least <= value <= most:
            self.problem(key, f"{value} is not within {least} to {most}. Choose a number between.")
            return None
        return None if value is None else int(value)

    def choice(self, key: str, choices: Sequence[str]) -> str | None:
        """A word out of some."""
        value = self.text(key)
        if value is not None and value not in choices:
            self.problem(key, f"{value!r} is none of {', '.join(choices)}.{_meant(value, choices)}")
            return None
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, each different."""
        value = self._of(key, list, "a list of strings")
        if value is None:
            return ()
        if not value or not all(isinstance(each, str) and each.strip() for each in value):
            self.problem(key, "takes a list of strings, none of them empty.")
            return ()
        twice = sorted({each for each in value if value.count(each) > 1})
        if twice:
            self.problem(key, f"{twice[0]!r} is there twice. Take one out.")
        return tuple(dict.fromkeys(value))

    def file(self, key: str) -> Path | None:
        """A file that is there; relative paths begin at the plan's folder."""
        value = self.text(key)
        return None if value is None else self._found(key, value, may_be_folder=False)

    def files(self, key: str) -> tuple[Path, ...]:
        """Files and folders that are there."""
        found = (self._found(key, each, may_be_folder=True) for each in self.texts(key))
        return tuple(each for each in found if each is not None)

    def table(self, key: str) -> "PlanTable | None":
        """A table within this one."""
        value = self._of(key, dict, "a table")
        return None if value is None else self._below(key, value)

    def tables(self, key: str) -> "dict[str, PlanTable]":
        """Tables by their names."""
        outer = self.table(key)
        if outer is None:
            return {}
        found = {}
        for name in outer.values:
            if not is_name(name):
                outer.problem(name, "is no name. Write at most 40 small letters, digits and dashes.")
            inner = outer.table(name)
            if inner is not None:
                found[name] = inner
        return found

    def rows(self, key: str) -> "list[PlanTable]":
        """A list of tables."""
        value = self._of(key, list, "a list of tables")
        if value is None:
            return []
        if not all(isinstance(each, dict) for each in value):
            self.problem(key, "takes a list of tables: [{ prompt = …, customization = … }].")
            return []
        return [self._below(f"{key}[{number}]", each) for number, each in enumerate(value)]

    def finish(self) -> None:
        """Note each key that nobody has asked for."""
        for key in self.values:
            if key not in self.taken:
                self.problem(key, f"no such key.{_meant(key, sorted(self.taken))}")

    def _below(self, key: str, values: Mapping[str, Any]) -> "PlanTable":
        return PlanTable(values=values, folder=self.folder, at=self.key(key), problems=self.problems)

    def _of(self, key: str, kind: type, told: str) -> Any:
        self.taken.add(key)
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.problem(key, f"takes {told}, and {value!r} is none.")
            return None
        return value

    def _found(self, key: str, value: str, *, may_be_folder: bool) -> Path | None:
        path = self.folder / Path(value).expanduser()
        if not (path.is_file() or (may_be_folder and path.is_dir())):
            what = "no such file or folder" if may_be_folder else "no such file"
            self.problem(key, f"{value}: {what}. Paths begin at the plan's folder, {self.folder}.")
            return None
        return path


def is_name(text: str) -> bool:
    """Whether a text may name an approach: small letters, digits and dashes."""
    return _NAME.fullmatch(text) is not None


def open_table(path: Path) -> PlanTable:
    """The table of a whole file. Raises Invalid for a file that is no TOML."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (ValueError, UnicodeDecodeError) as problem:
        raise Invalid(f"{path}: no TOML ({problem}). Mend the file; docs/bakeoff.md has an example.") from problem
    return PlanTable(values=values, folder=path.parent)


def _meant(word: str, words: Sequence[str]) -> str:
    found = nearest(word, list(words))
    return f" Did you mean {found}?" if found else ""
