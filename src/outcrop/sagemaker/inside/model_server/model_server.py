"""The model server of an endpoint: `python model_server.py SOCKET_PATH [--serve COMMAND ...]`, inside the sandbox.

It runs with the interpreter of the endpoint's environment, on the standard library alone, and imports nothing of
Outcrop. The model lies in /opt/ml/model already. `command.py` tells what it listens to, `contract.py` what it promises
to the code of the model.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PACKAGE = "outcrop_model_server"
"A module of the user may be called `settings` or `worker`: those of the server stand behind this name."


def main(arguments: list[str]) -> int:
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != FOLDER]
    spec = importlib.util.spec_from_file_location(
        PACKAGE, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    code: int = importlib.import_module(PACKAGE + ".command").main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
