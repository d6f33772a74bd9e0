"""The preflight report for people: a few aligned lines for each file, then what is in the way.

train.jsonl
  records       2,000
  tokens       70,021   25,595 of them are learned, 117,482 bytes of text
  longest          53   line 1,406; half of the records have 35 or fewer, the model takes 2,048
  cut off           0
  repeated          1   lines 4 = 9 = 12
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from outcrop.datasets.problems import kind_of

if TYPE_CHECKING:
    from outcrop.datasets.preflight import FileReport, Report

_SHOWN = 10
_SHOWN_OF_A_KIND = 3


def of_report(report: Report) -> str:
    # Of a file that is no JSON Lines there is nothing to count.
    blocks = [_file(file, report) for file in report.files if file.num_records or file.num_refused or not file.problems]
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
    if report.num_problems <= _SHOWN:
        shown = [str(problem) for problem in report.problems]
    else:
        shown = [line for file in report.files for line in _by_kind(file)]
    return "\n".join(["Not ready. Mend these first:", *shown])


def _by_kind(file: FileReport) -> Iterator[str]:
    """The first problems of each kind, and how many more there are like them."""
    for kind in file.kinds[:_SHOWN]:
        named = kind_of(kind.first)
        alike = [problem for problem in file.problems if kind_of(problem) == named][:_SHOWN_OF_A_KIND]
        yield from map(str, alike or [kind.first])
        more = kind.num - max(1, len(alike))
        if more > 0:
            yield f"  … and {more:,} more like this."
    others = file.kinds[_SHOWN:]
    if others:
        yield f"{file.name}: … and {sum(kind.num for kind in others):,} problems of {len(others):,} other kinds."
