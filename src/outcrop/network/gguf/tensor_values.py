"""Numbers of tensors, read and written a piece at a time: safetensors on one side, GGUF's blocks on the other.

No file is ever in memory as a whole: `PIECE_BYTES` are, and what a piece becomes.
"""

import json
import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outcrop.json_files import FileProblem
from outcrop.network.gguf.families import GgufFamily
from outcrop.network.gguf.header import GgufTensor, package

Array = npt.NDArray[Any]
PIECE_BYTES = 32 << 20
_KEPT_AS = {"F32": "F32", "F16": "F16", "BF16": "BF16", "F64": "F32"}
"Forms that safetensors has as they are; numbers of any other form become 32 bits, which hold each of them exactly."
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8}


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of a file, mapped. Where an error still holds a piece of them, the map goes with the error."""
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        yield data
    finally:
        with suppress(BufferError):
            data.close()


def check_form(tensor: GgufTensor) -> None:
    """Raises FileProblem for a tensor whose numbers cannot be told from their form."""
    gguf = package()
    _, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[tensor.form]]
    try:
        _values(np.zeros((1, block_bytes), np.uint8), tensor.form, "F32")
    except NotImplementedError as error:
        raise FileProblem(f"{tensor.name}: numbers of the form {tensor.form} are not converted here") from error


def dtype_of(tensor: GgufTensor, family: GgufFamily) -> str:
    """The type in which safetensors hold a tensor of a GGUF file."""
    return "F32" if family.is_shifted(tensor.name) else _KEPT_AS.get(tensor.form, "F32")


def pieces_of(data: mmap.mmap, tensor: GgufTensor, family: GgufFamily, *, heads: int) -> Iterator[bytes]:
    """A tensor's numbers as safetensors keep them, in pieces. `heads`: whose rows are written in pairs, if any are."""
    dtype = dtype_of(tensor, family)
    rows = tensor.num_values // tensor.shape[-1] if len(tensor.shape) > 1 else 1
    row_bytes = tensor.num_bytes // rows
    if family.is_rotated(tensor.name):
        raw = np.frombuffer(data, np.uint8, tensor.num_bytes, tensor.offset)
        raw = raw.reshape(tensor.shape[0], -1)  # of a bias, a number a row
        yield _values(_halved(raw, heads), tensor.form, dtype).tobytes()
        return
    at_once = max(1, PIECE_BYTES // row_bytes)
    for first in range(0, rows, at_once):
        count = min(at_once, rows - first)
        raw = np.frombuffer(data, np.uint8, count * row_bytes, tensor.offset + first * row_bytes)
        values = _values(raw.reshape(count, row_bytes), tensor.form, dtype)
        yield (_unshifted(values) if family.is_shifted(tensor.name) else values).tobytes()


def numbers_of(data: mmap.mmap, tensor: GgufTensor) -> list[float]:
    """A small tensor's numbers."""
    raw = np.frombuffer(data, np.uint8, tensor.num_bytes, tensor.offset).reshape(1, -1)
    values = np.ascontiguousarray(_values(raw, tensor.form, "F32")).view(np.float32)
    return [float(number) for number in values.ravel()]


def _values(raw: Array, form: str, wanted: str) -> Array:
    """Rows of bytes as the numbers they stand for; half-precision ones stay the bytes they are."""
    if form == wanted and form in ITEM_BYTES:
        return raw
    if form == "F64":
        return np.ascontiguousarray(raw).view(np.float64).astype(np.float32)
    gguf = package()
    found: Array = gguf.dequantize(np.ascontiguousarray(raw), gguf.GGMLQuantizationType[form])
    return found


def _unshifted(values: Array) -> Array:
    return np.ascontiguousarray(values).view(np.float32) - np.float32(1)


def _halved(rows: Array, heads: int) -> Array:
    """Rows whose pairs are neighbours, put into halves, as transformers rotates them."""
    per_head = rows.shape[0] // heads
    return rows.reshape(heads, per_head // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def paired(rows: Array, heads: int) -> Array:
    """Rows in halves, put into neighbouring pairs, as llama.cpp rotates them."""
    per_head = rows.shape[0] // heads
    return rows.reshape(heads, 2, per_head // 2, -1).swapaxes(1, 2).reshape(rows.shape)


@dataclass(frozen=True, kw_only=True)
class StoredWeight:
    """A weight in a safetensors file."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    num_bytes: int

    def rows(self, *, piece_bytes: int = PIECE_BYTES) -> Iterator[Array]:
        """The weight as fp32 rows, in pieces of whole rows."""
        count = self.shape[0] if len(self.shape) > 1 else 1
        row_bytes = self.num_bytes // count
        at_once = max(1, piece_bytes // row_bytes)
        with self.path.open("rb") as file:
            for first in range(0, count, at_once):
                num = min(at_once, count - first)
                file.seek(self.offset + first * row_bytes)
                raw = np.frombuffer(file.read(num * row_bytes), np.uint8)
                yield as_fp32(raw, self.dtype).reshape(num, -1)

    def whole(self) -> Array:
        """The whole weight as fp32 rows."""
        return np.concatenate(list(self.rows()))


def as_fp32(raw: Array, dtype: str) -> Array:
    """Bytes of a safetensors type as fp32. Raises KeyError for a type that holds no ordinary numbers."""
    if dtype == "BF16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return raw.view({"F32": np.float32, "F16": np.float16, "F64": np.float64}[dtype]).astype(np.float32)


def stored_weights(folder: Path) -> dict[str, StoredWeight]:
    """Every weight of a directory's safetensors files, whose headers were checked before."""
    found: dict[str, StoredWeight] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        for name, told in header.items():
            if name != "__metadata__":
                first, last = told["data_offsets"]
                found[name] = StoredWeight(
                    path=path,
                    dtype=told["dtype"],
                    shape=tuple(told["shape"]),
                    offset=8 + length + first,
                    num_bytes=last - first,
                )
    return found


def safetensors_header(tensors: Mapping[str, tuple[str, tuple[int, ...], int]]) -> bytes:
    """The beginning of a safetensors file: of each tensor, by name, its type, its shape and its bytes, in order."""
    told: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape, num_bytes) in tensors.items():
        told[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + num_bytes]}
        at += num_bytes
    header = json.dumps(told, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header
