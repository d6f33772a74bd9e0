"""Names and shapes of a directory's weights, from the headers of its files. No tensor is read."""

import json
import math
import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.errors import Invalid, ModelDamaged
from outcrop.json_files import FileProblem, JsonItems, JsonNamed, JsonNumber, JsonText, Members, parse
from outcrop.machine.sealed_names import HEADER, sealed_header
from outcrop.network.adapters.method import OFT, Full, Method, is_target

_TRANSPOSED = ("gpt2", "openai-gpt")
"Kinds of networks (config.json: model_type) whose layers are transformers' Conv1D."


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every weight in the safetensors files of `folder`; nothing where there are none. Raises ModelDamaged."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= check_file(path)
    return found


def types(folder: Path) -> dict[str, str]:
    """The type of each weight in the safetensors files of `folder`: F32, BF16. Raises ModelDamaged."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.safetensors")):
        check_file(path)
        header, _ = _header(path)
        found |= {name: tensor["dtype"] for name, tensor in header.items() if name != "__metadata__"}
    return found


class OddWeight(NamedTuple):
    """A weight whose numbers are of a type that is not asked for."""

    name: str
    dtype: str


def other_types(folder: Path, wanted: Collection[str]) -> OddWeight | None:
    """The first weight of `folder` whose numbers are of none of these types. Raises ModelDamaged."""
    return next((OddWeight(name, kind) for name, kind in types(folder).items() if kind not in wanted), None)


def num_parameters(folder: Path) -> int:
    """All numbers of the network, as far as its files tell."""
    count = sum(math.prod(shape) for shape in shapes(folder).values())
    return count or sum(path.stat().st_size for path in folder.glob("*.bin")) // 2


def check_file(path: Path) -> dict[str, tuple[int, ...]]:
    """The weights of a file. Raises ModelDamaged."""
    try:
        return shapes_in(path)
    except FileProblem as problem:
        raise ModelDamaged(f"The files of the model are damaged: {problem}. Copy the file again.") from problem


def check_method(folder: Path, method: Method) -> None:
    """Raises Invalid for a method that the network in `folder` cannot be trained by."""
    if isinstance(method, Full):
        return
    config = json.loads((folder / "config.json").read_text("utf-8"))
    if isinstance(method, OFT) and config.get("model_type") in _TRANSPOSED:
        raise Invalid(
            "hyperParameters.outcrop.method: oft is not to be had for this base model, which keeps its weights "
            "transposed: PEFT could not load the adapter. Choose lora, dora or full."
        )
    layers = linear_layers(folder)
    unknown = [target for target in method.targets if not any(is_target(layer, (target,)) for layer in layers)]
    if layers and unknown:
        ends = ", ".join(sorted({layer.rsplit(".", 1)[-1] for layer in layers}))
        raise Invalid(
            f"hyperParameters.outcrop.targets: {unknown[0]} is no linear layer of this base model. Choose among {ends}."
        )


def linear_layers(folder: Path) -> dict[str, tuple[int, ...]]:
    """The layers that adapters go to, with the shape of their weights."""
    return {name.removesuffix(".weight"): shape for name, shape in shapes(folder).items() if _is_layer(name, shape)}


def adapted_layer(name: str) -> tuple[str, str]:
    """The layer that a weight of a PEFT adapter belongs to, and its part of the update: lora_A, oft_R."""
    layer, _, part = name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
    return layer, part


def _is_layer(name: str, shape: tuple[int, ...]) -> bool:
    """Embeddings and the head stand outside of the numbered layers."""
    return name.endswith(".weight") and len(shape) == 2 and any(part.isdigit() for part in name.split("."))


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The weights of one safetensors file, which is whole as far as its header tells. Raises FileProblem.

    The form: the header's length in 8 bytes, the header as JSON, then the tensors without a gap.
    https://github.com/huggingface/safetensors#format
    """
    header, room = _header(path)
    metadata = header.pop("__metadata__", None)
    wrong = _METADATA.problem(metadata or {}, "__metadata__") or _TENSORS.problem(header, "")
    if wrong is not None:
        raise FileProblem(f"{path.name}: {wrong}")
    end = 0
    for name, tensor in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = tensor["data_offsets"]
        size = math.prod(tensor["shape"]) * _BITS[tensor["dtype"]] // 8
        if first != end or last - first != size:
            raise FileProblem(
                f"{path.name}: {name}: its place is not the one that its shape and its neighbours leave it"
            )
        end = last
    if end != room:
        raise FileProblem(
            f"{path.name}: holds {room:,} bytes of weights, and its header tells of {end:,}: it is cut short"
        )
    return {name: tuple(tensor["shape"]) for name, tensor in header.items()}


_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64,
    "U64": 64,
}  # fmt: skip
_SIZE = JsonNumber(whole=True, least=0, most=2**62)
_METADATA = JsonNamed(name=JsonText(), of=JsonText())
_TENSORS = JsonNamed(
    name=JsonText(),
    of=Members(
        required={
            "dtype": JsonText(one_of=tuple(_BITS)),
            "shape": JsonItems(of=_SIZE, most=16),
            "data_offsets": JsonItems(of=_SIZE, least=2, most=2),
        }
    ),
)
_MOST_HEADER_BYTES = 100_000_000
"What the library itself takes."


def is_sealed(folder: Path) -> bool:
    """Whether weights in `folder` are sealed: read by `weight_files.py`, with the key, and by no library."""
    return next(folder.glob(f"*.safetensors{HEADER}"), None) is not None


def check_plain(folder: Path) -> None:
    """Raises Invalid for a folder whose weights are sealed, where nobody has brought their key."""
    if is_sealed(folder):
        raise Invalid(
            f"{folder.name}: the weights of this model are sealed, and their key was not opened: its KMS key may not "
            "be used now, or what was asked for reads no sealed models (docs/keys.md). Enable the key, or use another."
        )


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes of tensors follow it."""
    beside = sealed_header(path)
    if beside.exists():
        # Its sealed content can be neither cut short nor lengthened without being found out when it is read.
        header, _ = _header_in(beside)
        ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
        return header, max(ends, default=0)
    return _header_in(path)


def _header_in(path: Path) -> tuple[dict[str, Any], int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would let it wait for ever
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise FileProblem(f"{path.name}: is no ordinary file")
            length = int.from_bytes(file.read(8), "little")
            if state.st_size < 8 or length > min(_MOST_HEADER_BYTES, state.st_size - 8):
                raise FileProblem(f"{path.name}: is no safetensors file, or cut short")
            header = parse(file.read(length), name=path.name)
    except IsADirectoryError as error:
        raise FileProblem(f"{path.name}: is a folder, not a file") from error
    except OSError as error:
        raise FileProblem(f"{path.name}: cannot be read ({error.strerror})") from error
    if not isinstance(header, dict):
        raise FileProblem(f"{path.name}: its header is no JSON object")
    return header, state.st_size - 8 - length
