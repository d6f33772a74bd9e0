"""Milliseconds that a sandbox takes, from the order to the end of a program that does nothing.

python -m bench.sandbox_start --times 20
"""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.measuring import interleaved, machine, seconds
from outcrop.isolation import leftovers
from outcrop.isolation.found import WAYS, trouble_with
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.sandbox import Sandbox
from outcrop.isolation.ways import Isolation

PROGRAM = ["/bin/true"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="starts of each kind; the median counts")
    given = parser.parse_args()
    working = [way for way in WAYS if trouble_with(way) is None]
    place = Path(tempfile.mkdtemp())
    try:
        runs: dict[str, Callable[[], float]] = {"bare subprocess": lambda: seconds(lambda: subprocess.run(PROGRAM))}
        for way in (Isolation.PLAIN, *working):
            runs[way.value] = starter(place / way.value, way)
        medians = interleaved(runs, times=given.times)
    finally:
        leftovers.remove(place)
    print(f"\n{machine()}, as {'root' if os.geteuid() == 0 else 'an ordinary user'}\n")
    for name, took in medians.items():
        print(f"{name:16} {1000 * took:7.1f} ms")


def starter(place: Path, way: Isolation) -> Callable[[], float]:
    """A run of the program in a sandbox, in seconds."""
    place.mkdir(parents=True)
    sandbox = Sandbox(root=place, opt_ml=place / "ml", limits=SandboxLimits(memory_bytes=1024**3, disk_bytes=1024**3))
    with open(place / "log", "wb") as log:
        kept = os.dup(log.fileno())
    return lambda: seconds(lambda: sandbox.start(PROGRAM, way=way, stdout=kept).wait())


if __name__ == "__main__":
    main()
