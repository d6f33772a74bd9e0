"""The process of a scoring function of the user's own: records in, one a line, and values out.

It imports the standard library only, then what the user's file imports. What the function prints goes to standard
error; the answers have the standard output that this process was started with.
"""

import importlib
import importlib.util
import json
import math
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> None:
    """Read the function's place and the most bytes from the arguments, then answer each line."""
    place, most_bytes = sys.argv[1], int(sys.argv[2])
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if most_bytes:
        # Data, not addresses: libraries such as torch map far more addresses than they ever fill.
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    try:
        function = load(place)
    except BaseException as error:
        _tell(answers, {"problem": described(error)})
        return
    _tell(answers, {"ready": True})
    for line in sys.stdin:
        _tell(answers, called(function, json.loads(line)))


def load(place: str) -> Callable[..., Any]:
    """The function at `module:function` or `file.py:function`."""
    where, _, name = place.rpartition(":")
    if where.endswith(".py"):
        path = Path(where).resolve()
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(where)
    function = getattr(module, name, None)
    if not callable(function):
        raise TypeError(f"there is no function {name} in {where}")
    return function  # type: ignore[no-any-return]


def called(function: Callable[..., Any], record: dict[str, Any]) -> dict[str, Any]:
    """The answer of the function about a record: a value, or a problem."""
    try:
        value = function(**record)
    except BaseException as error:
        return {"problem": described(error)}
    if value is None:
        return {"problem": "the function returned None"}
    try:
        number = float(value)
    except (TypeError, ValueError):
        return {"problem": f"the function returned a {type(value).__name__}, not a number"}
    return {"value": number} if math.isfinite(number) else {"problem": f"the function returned {number}"}


def described(error: BaseException) -> str:
    """An exception in one line, with the last line of the user's code that it passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    own = [frame for frame in frames if not frame.filename.startswith(("<", os.path.dirname(os.__file__)))]
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}: " if own else ""
    said = " ".join(str(error).split())
    return f"{where}{type(error).__name__}" + (f": {said[:300]}" if said else "")


def _end_with(parent: int) -> None:
    """End this process soon after its parent: a killed evaluation leaves no function behind that runs for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _tell(answers: Any, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
