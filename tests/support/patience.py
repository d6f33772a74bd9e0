"""How long a test waits for what must come: a limit against waiting for ever, not a measure of speed."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 600.0
"On a machine whose processor other guests take, a server that starts in two seconds has needed more than a minute."


def eventually(holds: Callable[[], Any], *, within_s: float = PATIENCE_S) -> Any:
    """The first true value of `holds`, asked again and again: the rarer the longer it takes, since asking is work too."""
    began = time.monotonic()
    while not (value := holds()):
        waited = time.monotonic() - began
        assert waited < within_s, "waited in vain"
        time.sleep(min(max(0.02, waited / 20), 0.25))
    return value
