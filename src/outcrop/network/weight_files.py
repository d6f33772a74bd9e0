"""Weights read from safetensors files that no library can map: sealed ones, tensor by tensor through an opened file.

Only what is being read is in clear, in memory. Plain files are not read here: `safetensors` maps them.
Layout of the format: https://huggingface.co/docs/safetensors/index#format
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

from outcrop.errors import ModelDamaged

OpenFile = Callable[[Path], BinaryIO]
"Opens a file for reading in clear, however it lies on the disk."
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
_BLOCK_BYTES = 8 << 20


class StoredTensors(NamedTuple):
    """The tensors of a file by name, and what its header says beside them."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]


def read_folder(folder: Path, open_file: OpenFile) -> dict[str, Tensor]:
    """Every weight in the safetensors files of `folder`. Raises ModelDamaged, and what opening raises."""
    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= read_file(path, open_file)
    return found


def read_file(path: Path, open_file: OpenFile) -> dict[str, Tensor]:
    """The weights of one file. Raises as `read_folder`."""
    with open_file(path) as file:
        return read_tensors(file, name=path.name).tensors


def read_tensors(file: BinaryIO, *, name: str) -> StoredTensors:
    """The tensors of an opened safetensors file, each in memory of its own. Raises ModelDamaged."""
    length = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for key, told in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if told["dtype"] not in DTYPES:
            raise ModelDamaged(f"{name}: {key}: numbers of the type {told['dtype']} are not read from sealed files.")
        first, last = told["data_offsets"]
        file.seek(8 + length + first)
        tensors[key] = _read(file, last - first, name).view(DTYPES[told["dtype"]]).reshape(told["shape"])
    return StoredTensors(metadata, tensors)


def _read(file: BinaryIO, num_bytes: int, name: str) -> Tensor:
    content = torch.empty(num_bytes, dtype=torch.uint8)
    room = memoryview(content.numpy())  # type: ignore[arg-type]
    done = 0
    while done < num_bytes:
        got = file.readinto(room[done : done + _BLOCK_BYTES])  # type: ignore[attr-defined]
        if not got:
            raise ModelDamaged(f"{name}: holds fewer bytes than its header tells of. Restore it from a backup.")
        done += got
    return content
