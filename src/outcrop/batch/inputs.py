"""The input files of a batch job: found in S3, copied under the job's role, and their records counted.

Copied, because objects may be changed or deleted while a job runs for days: what it began with is what it works on.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from outcrop import json_files
from outcrop.batch.lines import lines_of
from outcrop.buckets.names import parse_s3_uri
from outcrop.data.data import RoleData
from outcrop.errors import Invalid
from outcrop.json_files import JsonItems, JsonNumber, JsonText, Members

ENDING = ".jsonl"
_PLAN = "plan.json"
_SHAPE = Members(
    required={
        "files": JsonItems(of=Members(required={"name": JsonText(), "records": JsonNumber(least=0, whole=True)})),
        "unread": JsonItems(of=JsonText()),
    }
)
_ASK_EVERY = 10_000
"Lines between two questions whether to stop."


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file of records, copied to this machine."""

    name: str
    "Below the input's prefix; that of the output is the same, with an end."
    records: int


@dataclass(frozen=True, kw_only=True)
class InputPlan:
    """The files that a job works on."""

    files: tuple[InputFile, ...]
    unread: tuple[str, ...] = ()
    "Why further files could not be read."

    @property
    def records(self) -> int:
        return sum(file.records for file in self.files)


class RunFolder:
    """The folder of one job's files on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def input(self, number: int) -> Path:
        return self.folder / "input" / f"{number:06}{ENDING}"

    def output(self, number: int) -> Path:
        return self.folder / "output" / f"{number:06}.out"

    def plan(self) -> InputPlan | None:
        """The plan, once all of its files are here."""
        file = self.folder / _PLAN
        if not file.exists():
            return None
        told = json_files.read(file, _SHAPE, most_bytes=1 << 30)
        files = tuple(InputFile(name=each["name"], records=int(each["records"])) for each in told["files"])
        return InputPlan(files=files, unread=tuple(told["unread"]))

    def keep(self, plan: InputPlan) -> None:
        """Write down what there is to do: whole, or not at all."""
        files = [{"name": file.name, "records": file.records} for file in plan.files]
        part = self.folder / f".{_PLAN}.part"
        part.write_text(json.dumps({"files": files, "unread": plan.unread}))
        os.replace(part, self.folder / _PLAN)


def keys_of(data: RoleData, uri: str) -> dict[str, str]:
    """The names of the input's files below its prefix, by their keys. Raises Invalid where there is none."""
    bucket, key = parse_s3_uri(uri)
    if key.endswith(ENDING):
        data.find(uri)
        return {key: key.rsplit("/", 1)[-1]}
    prefix = f"{key.rstrip('/')}/" if key else ""
    found = [record.key for record in data.list_objects(f"s3://{bucket}/{prefix}") if record.key.endswith(ENDING)]
    if not found:
        raise Invalid(f"{uri}: no object with a key that ends in {ENDING} is there. Put records there, one a line.")
    return {each: each.removeprefix(prefix) for each in found}


def fetch(data: RoleData, uri: str, run: RunFolder, *, check: Callable[[], None]) -> InputPlan:
    """Copy every file and count its records. Raises Invalid where none can be read, and what `check` raises."""
    bucket, _ = parse_s3_uri(uri)
    files: list[InputFile] = []
    unread: list[str] = []
    for key, name in keys_of(data, uri).items():
        check()
        place = run.input(len(files))
        try:
            data.fetch(f"s3://{bucket}/{key}", place)
        except Invalid as refused:
            unread.append(refused.message)
            continue
        files.append(InputFile(name=name, records=_count(place, check)))
    if not files:
        raise Invalid(unread[0])
    plan = InputPlan(files=tuple(files), unread=tuple(unread))
    run.keep(plan)
    return plan


def _count(file: Path, check: Callable[[], None]) -> int:
    number = 0
    with file.open("rb") as lines:
        for number, _ in enumerate(lines_of(lines), start=1):
            if number % _ASK_EVERY == 0:
                check()
    return number
