"""Words between the two ends of a sandbox's wall, and the orders as they arrive inside.

The modules in this folder are read at every start of a sandbox, by a bare interpreter: they leave out of the standard
library what takes long to read, `dataclasses`, `typing` and `pathlib` among it. That is half of a start.
"""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outcrop.isolation.orders import Orders

ENDPOINT_SOCKET = "/run/outcrop/endpoint"
"Where the way out to this installation is found inside."
INSIDE_USER = 1000
"What a user of a namespace of its own is called inside."
MOST_BYTES = 64 * 1024
"Of one message between the two ends."

READY, TROUBLE, ENDED = "ready", "trouble", "ended"
"What the inside says: it is built, it could not be, the program ended so."
GO, SIGNAL, KILL = "go", "signal", "kill"
"What it is told: start the program, which may hold memory that no process shows or not; send it this signal; end all."


def orders_from(descriptor: int) -> Orders:
    """Orders from a file that lies behind a descriptor, which is closed."""
    with os.fdopen(descriptor, "rb") as file:
        members = json.load(file)
    mounts = [SimpleNamespace(**mount) for mount in members["mounts"]]
    return SimpleNamespace(**members | {"mounts": mounts})  # type: ignore[return-value]
