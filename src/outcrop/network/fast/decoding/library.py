"""The C of a decoding step, compiled for the processor at hand (see `machine/compiling.py`), and its structures."""

import ctypes
import logging
from functools import cache
from pathlib import Path

from outcrop.machine import compiling
from outcrop.machine.compiling import typed
from outcrop.network.fast import switch

_HERE = Path(__file__).parent
SOURCE = compiling.Source(
    name="decoding",
    files=(_HERE / "step.c",),
    headers=(_HERE / "products.h", _HERE / "threads.h", _HERE.parent / "kernels" / "vector.h"),
    without="engines decode without it, slower",
    log=logging.getLogger("outcrop.network.fast.decoding"),
)
MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"In the order of the C source, by the names that families of Llama's kind have for them."
WORKS = len(MATRICES) + 1
"What a layer's threads share out, as step.c counts it: the products, and attention."
_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float


class Matrix(ctypes.Structure):
    """`matrix` of products.h."""

    _fields_ = (
        ("plain", _POINTER), ("tiny", _POINTER), ("scale", _POINTER), ("bias", _POINTER),
        ("inputs", _LONG), ("outputs", _LONG),
    )  # fmt: skip


class LowRankUpdate(ctypes.Structure):
    """`update` of products.h."""

    _fields_ = (("a", _POINTER), ("b", _POINTER), ("rank", _LONG), ("padded", _LONG), ("scale", _FLOAT))


class Layer(ctypes.Structure):
    """`layer` of step.c."""

    _fields_ = (
        ("of", Matrix * len(MATRICES)),
        ("before_attention", _POINTER), ("after_attention", _POINTER), ("before_mlp", _POINTER),
        ("after_mlp", _POINTER), ("query_norm", _POINTER), ("key_norm", _POINTER),
        ("window", _LONG), ("angles", _LONG),
    )  # fmt: skip


class Network(ctypes.Structure):
    """`network` of step.c."""

    _fields_ = (
        ("num_layers", _LONG), ("width", _LONG), ("heads", _LONG), ("kv_heads", _LONG), ("head_width", _LONG),
        ("rotary_width", _LONG), ("mlp_width", _LONG),
        ("eps", _FLOAT), ("scale", _FLOAT), ("softcap", _FLOAT), ("residual", _FLOAT),
        ("act", _LONG), ("layers", _POINTER), ("norm", _POINTER),
    )  # fmt: skip


class Step(ctypes.Structure):
    """`step` of step.c."""

    _fields_ = (
        ("net", _POINTER), ("num_rows", _LONG), ("embedded", _POINTER), ("positions", _POINTER),
        ("cos", _POINTER), ("sin", _POINTER), ("remembered", _POINTER), ("key_strides", _POINTER),
        ("updates", _POINTER), ("few", _POINTER), ("scored", _POINTER), ("last", _POINTER), ("taken", _POINTER),
        ("shared", _POINTER), ("own", _POINTER), ("own_size", _LONG), ("most_rank", _LONG),
    )  # fmt: skip


class DecodingLibrary:
    """The compiled functions. No call holds the interpreter's lock."""

    def __init__(self, path: Path) -> None:
        """Raises OSError for what is no such file."""
        found = ctypes.CDLL(str(path))
        self.decode = typed(found.outcrop_decode, ctypes.POINTER(Step), _POINTER)
        self.product = typed(found.outcrop_product, _POINTER, _LONG, _POINTER, _LONG, _POINTER, _POINTER)
        self.threads_begin = typed(found.outcrop_threads_begin, _INT, result=_POINTER)
        self.threads_end = typed(found.outcrop_threads_end, _POINTER)
        self.own_size = typed(found.outcrop_own_size, ctypes.POINTER(Network), _LONG, _LONG, result=_LONG)
        self.shared_size = typed(found.outcrop_shared_size, ctypes.POINTER(Network), _LONG, _LONG, result=_LONG)
        self.block: int = typed(found.outcrop_block, result=_LONG)()
        "Outputs of a block of a weight."
        self.vector: int = typed(found.outcrop_vector, result=_LONG)()
        "Floats of a vector of the processor."


@cache
def library() -> DecodingLibrary | None:
    """The functions, or None where they are switched off or not to be had; the reason is logged."""
    if not switch.is_on():
        return None
    return compiling.loaded(SOURCE, DecodingLibrary)
