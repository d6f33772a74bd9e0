"""The command line of the model server in its three forms: server, relay, and worker of a server."""

from __future__ import annotations

from pathlib import Path

from .relay import relay
from .server import serve
from .settings import ServerSettings, WrongSetting, log
from .worker import work

USAGE = "usage: model_server.py SOCKET_PATH [--serve COMMAND ...]"


def main(arguments: list[str]) -> int:
    """The exit status of the server, or 2 where the arguments or the variables are wrong."""
    try:
        if arguments[:1] == ["--worker"]:
            descriptor, slot = arguments[1:]
            return work(int(descriptor), int(slot), ServerSettings.from_environment())
        if len(arguments) > 2 and arguments[1] == "--serve":
            return relay(Path(arguments[0]), arguments[2:])
        if len(arguments) == 1:
            return serve(Path(arguments[0]), ServerSettings.from_environment())
    except WrongSetting as wrong:
        log(str(wrong))
        return 2
    log(USAGE)
    return 2
