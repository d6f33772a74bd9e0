"""`python -m outcrop.probe.engine`: an engine for a network without a verdict, which is tried first.

Such is an entry that somebody wrote into the catalogue by hand, or one of an older home.
"""

import logging
import os
import sys
from pathlib import Path

from outcrop import logs, private
from outcrop.errors import OutcropError
from outcrop.inference import serve
from outcrop.machine.processes import die_with_parent
from outcrop.probe import launch

_log = logging.getLogger("outcrop.engine")


def main() -> int:
    """Takes the arguments of `outcrop.inference.serve`; ends with a sentence where the network cannot be served."""
    die_with_parent()
    private.only_ours()
    folder, name = (sys.argv[sys.argv.index(option) + 1] for option in ("--model", "--name"))
    try:
        way = launch.demand(Path(folder)).verdict.way
    except OutcropError as refusal:
        said = serve.told(refusal, folder=folder, name=name)
        logs.tell(_log, "engine cannot start", level=logging.ERROR, base=name, ends_with=said)
        return 1
    assert way is not None, "demanded"
    # A process of its own: the engine reads the environment when torch is imported, and expects nobody before it.
    return os.execv(sys.executable, [sys.executable, "-m", serve.__name__, *sys.argv[1:], "--way", way.value])


if __name__ == "__main__":
    logs.write_json_lines()
    sys.exit(main())
