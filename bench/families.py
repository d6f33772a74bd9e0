"""`make families`: the table of docs/families.md, by trying a small random network of every causal family.

Each is tried in a process of its own, which may crash or hang without the others. Some seconds a family on one core.
"""

import argparse
import json
import logging
import os
import re
import select
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import transformers

from bench import small_networks
from bench.small_networks import NotSmall
from outcrop.network.run_mode import RunMode
from outcrop.probe.judge import NOT_RUN, judge

PAGE = Path(__file__).parent.parent / "docs" / "families.md"
_SECONDS = 900
REFUSED, NOT_SMALL = "refused", "not tried"
_BEGIN, _END = "<!-- table -->", "<!-- end of the table -->"


class Row(NamedTuple):
    """The probe's finding on one family of networks."""

    family: str
    verdict: str
    "A way, `refused` or `not tried`."
    why: str


def tried(family: str, folder: Path) -> Row:
    """Probe a small network of the family in this process."""
    try:
        found = judge(small_networks.write(folder / "network", family)).verdict
    except NotSmall as reason:
        return Row(family, NOT_SMALL, f"no small one could be made: {reason}")
    if found.way is None and found.why.startswith(NOT_RUN):  # the cutting went wrong, as far as anybody can tell
        return Row(
            family, NOT_SMALL, f"the small one does not run{found.why.removeprefix(NOT_RUN).split('. Choose')[0]}"
        )
    return Row(family, found.way.value if found.way else REFUSED, found.why)


def tried_apart(family: str) -> Row:
    """Probe a family in a process of its own, that is a copy of this one: what it does to itself is a finding."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        with tempfile.TemporaryDirectory() as folder, os.fdopen(write_end, "w") as told:
            json.dump(tried(family, Path(folder)), told)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as told:
        ready, _, _ = select.select([told], [], [], _SECONDS)
        if not ready:
            os.kill(child, signal.SIGKILL)
        said = told.read()
    _, status = os.waitpid(child, 0)
    if said:
        return Row(*json.loads(said))
    code = os.waitstatus_to_exitcode(status)
    if not ready:
        return Row(family, NOT_SMALL, f"it had not ended after {_SECONDS} s")
    return Row(family, REFUSED, f"the process that tried it ended with {code}")


def table(rows: Sequence[Row]) -> str:
    """The findings as a table in Markdown."""
    lines = [f"| `{row.family}` | {row.verdict} | {plain(row.why)} |" for row in rows]
    return "\n".join(["| family | run | why |", "|---|---|---|", *lines])


def read_table() -> dict[str, Row]:
    """The table as `docs/families.md` has it, by family."""
    found = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (.*) \|$", PAGE.read_text(), flags=re.MULTILINE)
    return {family: Row(family, verdict, why) for family, verdict, why in found}


def plain(why: str) -> str:
    """A reason as it stands in a cell: without numbers, which differ between machines, and on one line."""
    without = re.sub(r", by [0-9.e+-]+ \(rounding allows [0-9.e+-]+\)", "", why)
    return without.replace("|", "/").replace("\n", " ").strip()


def write(rows: Sequence[Row]) -> None:
    """Put the table into the page."""
    text = PAGE.read_text()
    head, rest = text.split(_BEGIN)[0], text.split(_END)[1]
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in (*RunMode, REFUSED, NOT_SMALL)}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    summary = f"transformers {transformers.__version__}, {len(rows)} families: {told}."
    PAGE.write_text(f"{head}{_BEGIN}\n{summary}\n\n{table(rows)}\n{_END}{rest}")


def main() -> int:
    """Print each row as it is found; the page is written when all were tried."""
    parser = argparse.ArgumentParser(prog="python -m bench.families", description=__doc__)
    parser.add_argument("families", nargs="*", help="some only, and the page stays as it is")
    asked = parser.parse_args().families
    torch.set_num_threads(1)
    logging.disable(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    rows = list[Row]()
    for family in asked or small_networks.FAMILIES:
        began = time.monotonic()
        rows.append(tried_apart(family))
        print(f"{time.monotonic() - began:5.1f} s  {family}: {rows[-1].verdict}  {rows[-1].why}", flush=True)
    if not asked:
        write(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
