"""A process that reads a module's code before it is known what it shall do.

`begin` starts one, from a command line that has read nothing itself yet; `take` tells it its arguments, and it runs the
module's `main` with them. One that nobody takes ends with `drop`, or with the process that began it.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

_begun: dict[str, "subprocess.Popen[bytes]"] = {}
"By module. Of this process, which is the only one that they can have for a parent."


def begin(module: str) -> None:
    """Start a process that reads `module`."""
    _begun[module] = subprocess.Popen(
        [sys.executable, "-m", __name__, module],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A session of its own: Ctrl-C reaches the command line alone, which then ends its children in order.
        start_new_session=True,
    )


def take(module: str, arguments: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes] | None":
    """The process that has read `module`, which now runs with these arguments and this log. None: nobody began one."""
    process = _begun.pop(module, None)
    if process is None:
        return None
    assert process.stdin is not None
    order = json.dumps({"arguments": list(arguments), "log": os.path.realpath(log.name)}).encode()
    try:
        with process.stdin:
            process.stdin.write(order)
    except BrokenPipeError:  # it could not read the module; started anew, it can say why
        process.wait()
        return None
    return process


def drop() -> None:
    """End whatever was begun and not taken."""
    while _begun:
        _, process = _begun.popitem()
        process.kill()
        process.communicate()


def main() -> int:
    # Here, and not above: whoever begins a process waits for nothing.
    from outcrop.machine.processes import die_with_parent

    die_with_parent()
    (name,) = sys.argv[1:]
    module = importlib.import_module(name)
    order = json.loads(sys.stdin.buffer.read() or "null")
    if order is None:
        return 0
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, log, log)):
        os.dup2(file, number)
    sys.argv = [name, *order["arguments"]]
    if sys.platform == "linux":
        import setproctitle

        setproctitle.setproctitle(" ".join([sys.executable, "-m", *sys.argv]))
    code = module.main(order["arguments"])
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
