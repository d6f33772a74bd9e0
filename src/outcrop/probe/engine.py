"""`python -m outcrop.probe.engine`: an engine for a network without a verdict, which is tried first.

Such is an entry that somebody wrote into the catalogue by hand, or one of an older home.
"""

import os
import sys
from pathlib import Path

from outcrop import private
from outcrop.errors import OutcropError
from outcrop.inference import serve
from outcrop.probe import launch
from outcrop.processes import die_with_parent


def main() -> int:
    """Takes the arguments of `outcrop.inference.serve`; ends with a sentence where the network cannot be served."""
    die_with_parent()
    private.only_ours()
    folder = Path(sys.argv[sys.argv.index("--model") + 1])
    try:
        way = launch.demand(folder).verdict.way
    except OutcropError as refusal:
        print(f"outcrop: {refusal.message}", file=sys.stderr)
        return 1
    assert way is not None, "demanded"
    # A process of its own: the engine reads the environment when torch is imported, and expects nobody before it.
    return os.execv(sys.executable, [sys.executable, "-m", serve.__name__, *sys.argv[1:], "--way", way.value])


if __name__ == "__main__":
    sys.exit(main())
