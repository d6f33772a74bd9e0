"""The probe in a process of its own, with limits on memory and time.

Whatever a network does to that process becomes a sentence here.

Touches no tensor, so that the server and the command line can ask.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from outcrop.errors import Invalid, MachineTrouble
from outcrop.machine.environment import inherited
from outcrop.network import facts, headers
from outcrop.network.run_mode import ProbeVerdict, RunMode

_PROCESS_BYTES = 1_500_000_000
"Interpreter, torch, transformers, and what a small network computes with."
_COPIES = 2.5
"Of the weights in fp32, at the most, while one network is loaded and another goes."
_SECONDS = 900.0
_SECONDS_PER_GB = 180.0
"Of weights, for reading them three times and running them a hundred times on a machine that is busy otherwise."
_ROUND_S = 0.05


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """The verdict and the context length of a network that was tried."""

    verdict: ProbeVerdict
    context: int | None
    "Most tokens it attends to; None where its family names no end."


def probe(folder: Path) -> ProbeReport:
    """Try the network in `folder`.

    Raises MachineTrouble where this machine has no memory for it, or a version of `transformers` that is not known
    here; else whatever happens is a verdict.
    """
    limit = needed_bytes(folder)
    free = _available()
    if limit > free:
        raise MachineTrouble(
            f"{folder}: trying the network needs up to {_gib(limit)} of memory, and {_gib(free)} are free. Free some "
            "memory; until it was tried, it is neither trained nor served."
        )
    seconds = _seconds(folder)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        failure = _watched(["outcrop.probe.judge", str(folder)], out, err, limit=limit, seconds=seconds)
        if failure is not None:
            return ProbeReport(verdict=ProbeVerdict(way=None, why=failure, config=facts.digest(folder)), context=None)
        out.seek(0)
        said = json.loads(out.read().splitlines()[-1])
    if "changed" in said:
        raise MachineTrouble(said["changed"])
    way = RunMode(said["way"]) if said["way"] else None
    return ProbeReport(verdict=ProbeVerdict(way=way, why=said["why"], config=said["config"]), context=said["context"])


def write_reference(
    base: Path, out: Path, *, adapter: Path | None, way: RunMode, context: int, prompt_format: str
) -> None:
    """Write to `out` what the network in `base` gives, with `adapter` on it, for its engine to be held against.

    Raises Invalid for a network that does not run, MachineTrouble where this machine has no memory for it.
    """
    arguments = ["outcrop.probe.reference", str(base), str(out), "--way", way.value, "--context", str(context)]
    arguments += ["--format", prompt_format, *(["--adapter", str(adapter)] if adapter is not None else [])]
    answer_of(arguments, base, what="computing what it should answer")


def answer_of(module: Sequence[str], folder: Path, *, what: str, networks: int = 1) -> str:
    """The last line that a module prints, run with its arguments within the limits of the network in `folder`.

    `networks` are in memory at once. Raises Invalid with the module's own sentence, MachineTrouble for want of memory.
    """
    limit, free = networks * needed_bytes(folder), _available()
    if limit > free:
        raise MachineTrouble(
            f"{folder}: {what} needs up to {_gib(limit)} of memory, and {_gib(free)} are free. Free some memory, and "
            "ask again."
        )
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        failure = _watched(module, out, err, limit=limit, seconds=networks * _seconds(folder))
        if failure is not None:
            raise Invalid(f"{folder}: {failure}")
        out.seek(0)
        return out.read().splitlines()[-1].decode()


def needed_bytes(folder: Path) -> int:
    """Memory that trying the network in `folder` takes at the most."""
    return _PROCESS_BYTES + int(_COPIES * headers.num_parameters(folder) * 4)


def demand(folder: Path) -> ProbeReport:
    """Probe a network. Raises Invalid for a network that can be run in neither way."""
    described = facts.read(folder)
    probed = probe(folder)
    if probed.verdict.way is None:
        raise Invalid(f"{folder}: this {described.kind} network is not trained or served: {probed.verdict.why}")
    return probed


def _seconds(folder: Path) -> float:
    return _SECONDS + _SECONDS_PER_GB * headers.num_parameters(folder) * 4 / 1e9


def _watched(module: Sequence[str], out: IO[bytes], err: IO[bytes], *, limit: int, seconds: float) -> str | None:
    """Why there is no answer, or None when the child, a module with its arguments, has printed one."""
    command = [sys.executable, "-m", *module]
    environment = inherited(TRANSFORMERS_VERBOSITY="error", HF_HUB_OFFLINE="1")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment) as child:
        try:
            return _end_of(child, err, limit=limit, until=time.monotonic() + seconds, seconds=seconds)
        finally:
            child.kill()  # nothing happens when it has ended


def _end_of(child: subprocess.Popen[bytes], err: IO[bytes], *, limit: int, until: float, seconds: float) -> str | None:
    while (code := child.poll()) is None:
        if time.monotonic() > until:
            return f"the process that tried it had not ended after {seconds:.0f} s"
        if (held := _resident(child.pid)) > limit:
            return f"the process that tried it took {_gib(held)} of memory, where {_gib(limit)} should do"
        time.sleep(_ROUND_S)
    if code < 0:
        return f"the process that tried it was ended by signal {-code}"
    if code > 0:
        err.seek(0)
        lines = [line for line in err.read().decode(errors="replace").splitlines() if line.strip()]
        return f"the process that tried it ended with {code}: {lines[-1].strip()[:300] if lines else 'no word'}"
    return None


def _resident(pid: int) -> int:
    """Bytes in memory; 0 where the system does not tell, or the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.1f} GiB"
