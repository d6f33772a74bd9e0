"""How long a test waits for what must come: a limit against waiting for ever, not a measure of speed."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 600.0
"On a machine whose processor other guests take, a server that starts in two seconds has needed more than a minute."


def eventually(holds: Callable[[], Any], *, within_s: float = PATIENCE_S) -> Any:
    """The first true value of `holds`, asked again and again."""
    deadline = time.monotonic() + within_s
    while not (value := holds()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value
