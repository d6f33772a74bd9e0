"""The C kernels beside this file, compiled for the processor at hand (see `machine/compiling.py`).

Without a compiler there are no kernels, and torch's own operations do the same, slower.
"""

import ctypes
import logging
from pathlib import Path

from outcrop.machine import compiling
from outcrop.machine.compiling import typed
from outcrop.network.fast import switch

_HERE = Path(__file__).parent
SOURCE = compiling.Source(
    name="kernels",
    files=(_HERE / "attention.c", _HERE / "rows.c"),
    headers=(_HERE / "vector.h",),
    without="training goes without the C kernels, slower",
    log=logging.getLogger("outcrop.network.fast.kernels"),
)
_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float


class Strided(ctypes.Structure):
    """`tensor` of attention.c: an address, and the strides of heads and tokens in floats."""

    _fields_ = (("at", _POINTER), ("head", _LONG), ("token", _LONG))


class Library:
    """The kernels of one compiled file, by their names in the source without `outcrop_`. No call holds the
    interpreter's lock, so threads compute side by side."""

    def __init__(self, path: Path) -> None:
        """Raises OSError for what is no such file."""
        found = ctypes.CDLL(str(path))
        records = (_LONG, _POINTER, _LONG, _LONG, _LONG, _FLOAT, _LONG)
        self.attend = typed(found.outcrop_attend, *records, *[Strided] * 5, result=_INT)
        self.attend_back = typed(found.outcrop_attend_back, *records, *[Strided] * 9, result=_INT)
        self.norm = typed(found.outcrop_norm, _LONG, _LONG, _POINTER, _POINTER, _FLOAT, _FLOAT, *[_POINTER] * 2)
        self.norm_back = typed(found.outcrop_norm_back, _LONG, _LONG, _POINTER, _POINTER, _FLOAT, *[_POINTER] * 4)
        angles = (_POINTER, _POINTER, _FLOAT, _POINTER, _FLOAT, _LONG)
        strided = (_POINTER, _LONG, _LONG)
        self.rotate = typed(found.outcrop_rotate, _LONG, _LONG, _LONG, *strided, *angles, *strided)
        self.gate = typed(found.outcrop_gate, _INT, _LONG, *[_POINTER] * 3)
        self.gate_back = typed(found.outcrop_gate_back, _INT, _LONG, *[_POINTER] * 6)
        self.cross_entropy = typed(found.outcrop_cross_entropy, _LONG, _LONG, *[_POINTER] * 3, _INT)


def library() -> Library | None:
    """The kernels, or None where they are switched off or not to be had; why is logged. `use.trusted` asks once."""
    if not switch.is_on():
        return None
    return compiling.loaded(SOURCE, Library)
