"""Orders for the process inside a sandbox: what to mount, what to run, and how far it may go."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class MountOrder:
    """A file or folder of the machine that shows inside."""

    source: str
    target: str
    writable: bool = False
    device: bool = False


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Everything that the process inside needs to know before it can see nothing more of the machine."""

    isolated: bool
    "False for a plain process that is only limited and watched."
    root: str
    "Empty folder of the machine on which the new root is mounted."
    mounts: list[MountOrder]
    links: list[list[str]]
    "Pairs of a symbolic link's target and its path."
    shared_memory_bytes: int
    hostname: str
    own_network: bool
    joins: list[int]
    "Descriptors of namespaces that are entered first: those of a sandbox whose network this one is to have."
    address: str
    "Of the host, among those of the loopback."
    user: int | None
    "Number of the user to become; None where a user namespace has done it."
    command: list[str]
    environment: dict[str, str]
    folder: str
    resource_limits: dict[str, int]
    "By the name that the `resource` module gives them."
    endpoint_port: int | None
    log_bytes_per_s: int | None
    control: int
    "Descriptor of the socket between the two ends."
    outputs: list[int]
    "Descriptors of standard output and standard error; one of them for both."


def as_bytes(orders: Orders) -> bytes:
    """The bytes that the inside understands."""
    return json.dumps(asdict(orders)).encode()
