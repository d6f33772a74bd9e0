"""The preflight report for people: a few aligned lines for each file, then what is in the way.

train.jsonl
  records       2,000
  tokens       70,021   25,595 of them are learned, 117,482 bytes of text
  longest          53   line 1,406; half of the records have 35 or fewer, the model takes 2,048
  cut off           0
  repeated          1   lines 4 = 9 = 12
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outcrop.datasets.preflight import FileReport, Report

_SHOWN = 10


def of_report(report: Report) -> str:
    blocks = [_file(file, report) for file in report.files]
    return "\n\n".join([*blocks, _verdict(report)]) + "\n"


def _file(file: FileReport, report: Report) -> str:
    rows = [("records", file.num_records, "")]
    if file.num_refused:
        rows.append(("refused", file.num_refused, "told below"))
    if file.longest is not None:
        used = "learned" if file is report.files[0] else "scored"
        size = f"{file.num_supervised_bytes:,} byte{'' if file.num_supervised_bytes == 1 else 's'} of text"
        text = f"{file.num_supervised:,} of them are {used}, {size}"
        rows.append(("tokens", file.num_tokens, text))
        rows.append(("longest", file.longest.tokens, _longest(file, report)))
    rows.append(("cut off", file.num_truncated, ""))
    if file.split:
        pieces = [f"line {split.line:,} in {split.sequences:,}" for split in file.split]
        rows.append(("split", len(file.split), f"longer than the context, learned in pieces: {_some(pieces)}"))
    if file.by_answer:
        lines = [f"line {split.line:,} in {split.sequences:,}" for split in file.by_answer]
        why = "the chat template writes earlier answers otherwise, so each is learned behind its own prompt"
        rows.append(("by answer", len(file.by_answer), f"{why}: {_some(lines)}"))
    for left in file.left_out:
        lines = [f"{line:,}" for line in left.lines]
        why = f"{left.what}: the chat template does not write them, here or in serving: lines {_some(lines)}"
        rows.append(("left out", len(left.lines), why))
    if file.duplicates:
        groups = [" = ".join(f"{line:,}" for line in lines) for lines in file.duplicates]
        rows.append(("repeated", len(file.duplicates), f"lines {_some(groups)}"))
    if file.overlap:
        pairs = [f"{overlap.line:,} = {overlap.train_line:,}" for overlap in file.overlap]
        where = f"also in {report.files[0].name}, so they test memory: lines {_some(pairs)}"
        rows.append(("overlap", len(file.overlap), where))
    table = [f"  {label:<9} {number:>9,}   {note}".rstrip() for label, number, note in rows]
    return "\n".join([file.name, *table])


def _longest(file: FileReport, report: Report) -> str:
    assert file.longest is not None
    half = f"half of the records have {file.median_tokens:,} or fewer, " if file.num_records > 1 else ""
    return f"line {file.longest.line:,}; {half}the model takes {report.context_length:,}"


def _some(things: Sequence[str]) -> str:
    more = len(things) - _SHOWN
    return ", ".join(things[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _verdict(report: Report) -> str:
    if not report.problems:
        whole = not any(file.left_out for file in report.files)
        return f"Ready to train: every record is used, {'whole' if whole else 'but for what is left out'}."
    shown = [str(problem) for problem in report.problems[:_SHOWN]]
    more = len(report.problems) - _SHOWN
    if more > 0:
        shown.append(f"… and {more:,} more.")
    return "\n".join(["Not ready. Mend these first:", *shown])
