"""The memory that an engine is estimated to hold, before it runs: from the headers of its files. No tensor is read."""

from pathlib import Path

from outcrop.engines.states import EngineKind
from outcrop.errors import ModelDamaged
from outcrop.network import headers

PROCESS_BYTES = 420_000_000
"""Interpreter, torch, transformers, and the first answers of a small network: 390 MB on Linux with a CPU's torch."""
VLLM_BYTES = 3 * 2**30
"""vLLM's server and its engine, two processes with torch in each, and a GiB of its cache."""
_BYTES_A_NUMBER = 4
"fp32, as engines compute on a CPU. On a GPU it is what passes through the machine's memory at most."


def estimated_bytes(folder: Path, kind: EngineKind = EngineKind.EMBEDDED) -> int:
    """Bytes of the machine's memory for an engine of the network in `folder`."""
    try:
        return bytes_for(headers.num_parameters(folder), kind)
    except ModelDamaged:
        return bytes_for(0, kind)  # the engine finds it damaged too, and says so


def bytes_for(num_parameters: int, kind: EngineKind = EngineKind.EMBEDDED) -> int:
    """Bytes for an engine of a network of so many numbers."""
    return (VLLM_BYTES if kind is EngineKind.VLLM else PROCESS_BYTES) + num_parameters * _BYTES_A_NUMBER
