"""The states of an engine on record, and which may follow which."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class EngineKind(StrEnum):
    """The kind of an engine."""

    EMBEDDED = "embedded"
    "A process of this machine and this program, behind a Unix socket."
    VLLM = "vllm"
    "vLLM in a Python environment of its own, behind a Unix socket."
    PROGRAM = "program"
    "Somebody's own code in a sandbox, behind a Unix socket. It answers whoever knows what it speaks."
    REMOTE = "remote"
    "A server of somebody else, at a URL: nothing is started here, and what it is sent leaves this machine."


class EngineState(StrEnum):
    ORDERED = "Ordered"
    "Somebody needs it; it waits for memory, or to be started."
    STARTING = "Starting"
    "Its process runs, and does not answer yet, or not again."
    READY = "Ready"
    LEAVING = "Leaving"
    "It takes no more requests, and ends with the last of those it has."
    EVICTED = "Evicted"
    "Not in memory, for others needed it; who asks for it orders it again."
    BROKEN = "Broken"
    "It does not start; its record tells why."


LIFECYCLE = Lifecycle(
    {
        EngineState.ORDERED: {EngineState.STARTING, EngineState.EVICTED, EngineState.BROKEN},
        EngineState.STARTING: {EngineState.READY, EngineState.BROKEN},
        EngineState.READY: {EngineState.STARTING, EngineState.LEAVING, EngineState.BROKEN},
        EngineState.LEAVING: {EngineState.EVICTED, EngineState.BROKEN},
        EngineState.EVICTED: {EngineState.ORDERED},
        EngineState.BROKEN: {EngineState.ORDERED},
    }
)

RUNNING = frozenset({EngineState.STARTING, EngineState.READY, EngineState.LEAVING})
"A process is there, and holds memory."
