"""The process of a vLLM engine: `python -m outcrop.engines.vllm_process --socket S --python P -- ARGUMENTS`.

It becomes vLLM's server in the other environment. Before that it sees to what vLLM does not: that the socket's name is
free after a kill, and that the engine ends with whoever started it.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from outcrop.machine.environment import inherited
from outcrop.machine.processes import die_with_parent

SERVE = """
import runpy
try:
    from vllm.entrypoints.launchers.api_server.entry import main
except ImportError:
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__")
else:
    main()
"""
"The program that is vLLM's server, where newer versions have it and where older ones had it."
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"Variables that would lead the other Python to this one's packages."


def main(arguments: Sequence[str] | None = None) -> None:
    """Never returns."""
    die_with_parent()
    parser = ArgumentParser(prog="outcrop.engines.vllm_process", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--python", required=True, help="the interpreter of vLLM's environment")
    parser.add_argument("arguments", nargs="*", help="those of vLLM's server")
    given = parser.parse_args(arguments)
    given.socket.unlink(missing_ok=True)
    try:
        os.execve(given.python, [given.python, "-c", SERVE, *given.arguments], variables())
    except OSError as error:
        print(
            f'{{"ends_with": "the Python of vLLM cannot be run ({error.strerror}): outcrop engines list tells it"}}',
            file=sys.stderr,
        )
        sys.exit(1)


def variables() -> dict[str, str]:
    """The environment variables of this process that another Python may have."""
    return {name: value for name, value in inherited().items() if name not in _OURS}


if __name__ == "__main__":
    main()
