"""A GGUF file converted to a Hugging Face directory: weights, configuration, tokenizer, chat template.

Everything is checked before anything is written. The weights are converted a piece at a time, so that a file larger
than memory is no trouble. What its rounding has lost before is not found again; `gguf.json` beside the weights tells.
"""

import json
import mmap
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid, MachineTrouble
from outcrop.json_files import FileProblem
from outcrop.network.gguf import tokenizer_files
from outcrop.network.gguf.configuration import GgufNumbers, config_of
from outcrop.network.gguf.families import ROPE_TENSORS, GgufFamily, family_of_file
from outcrop.network.gguf.header import GgufHeader, GgufTensor, read_header
from outcrop.network.gguf.tensor_values import (
    ITEM_BYTES,
    check_form,
    dtype_of,
    mapped,
    numbers_of,
    pieces_of,
    safetensors_header,
)

NOTES_FILE = "gguf.json"
_EXACT = ("F32", "F16", "BF16", "F64")
_SPARE_BYTES = 64 << 20
"For the tokenizer, and so that the disk is not filled to its end."
_SPLIT = "split.count"


@dataclass(frozen=True, kw_only=True)
class ConvertedModel:
    """A converted model: its name, where it came from, and what its rounding had lost before."""

    name: str
    "As the file calls the model."
    licence: str
    source: str
    forms: Mapping[str, int]
    "Numbers of each form."
    bits_per_weight: float

    @property
    def loss(self) -> str:
        """A sentence about what is lost; the same for as long as the model is kept."""
        rounded = {form: count for form, count in self.forms.items() if form not in _EXACT}
        if not rounded:
            return f"Converted from {self.source}: nothing was lost, its weights are {' and '.join(self.forms)}."
        share = sum(rounded.values()) / sum(self.forms.values())
        told = ", ".join(rounded)
        return (
            f"Converted from {self.source}: {share:.0%} of its weights had been rounded to {self.bits_per_weight:.1f} "
            f"bits before ({told}); what that took away is lost, and what it left is kept exactly."
        )


def convert(path: Path, folder: Path) -> ConvertedModel:
    """Write the Hugging Face directory of a GGUF file into a new `folder`, which appears whole or not at all.

    Raises Invalid for a file that is damaged or not of a family that converts exactly, MachineTrouble for want of room.
    """
    try:
        header = read_header(path)
        _check_whole(header)
        family = family_of_file(header.architecture)
        numbers = GgufNumbers(header, family)
        placed = _placed(numbers)
        making = folder.with_name(f".{folder.name}.converting")
        _check_room(folder, placed, family)
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        try:
            conversion = _write(making, header, numbers, placed)
            making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except FileProblem as problem:
        told = str(problem).removeprefix(f"{path.name}: ").rstrip(".")
        raise Invalid(f"{path}: {told}. Choose another GGUF file, or the model's Hugging Face directory.") from problem
    except OSError as error:
        raise MachineTrouble(
            f"{folder}: cannot be written ({error.strerror}). Make room, and register it again."
        ) from error
    return conversion


def _check_whole(header: GgufHeader) -> None:
    if header.metadata.get(_SPLIT, 1) not in (0, 1):
        raise FileProblem("is one of several parts. Join them with llama-gguf-split --merge")
    if not header.tensors:
        raise FileProblem("holds no weights, but a vocabulary at most")
    if header.metadata.get("general.type", "model") != "model":
        raise FileProblem(f"general.type: {header.metadata['general.type']} is no model, and only models are converted")


def _placed(numbers: GgufNumbers) -> dict[str, GgufTensor]:
    """The file's tensors by the names of transformers. Raises FileProblem."""
    found = {}
    for tensor in numbers.header.tensors.values():
        if tensor.name in ROPE_TENSORS:
            continue
        _check_bias(numbers, tensor)
        check_form(tensor)
        found[numbers.family.our_name(tensor.name)] = tensor
    return found


def _check_bias(numbers: GgufNumbers, tensor: GgufTensor) -> None:
    """A bias goes with the rows of its weight, and a layer is one of those there are."""
    stem, _, part = tensor.name.rpartition(".")
    weight = numbers.header.tensors.get(f"{stem}.weight")
    if part == "bias" and (weight is None or tensor.shape != weight.shape[:1]):
        raise FileProblem(f"{tensor.name}: its shape {list(tensor.shape)} is not that of the rows of its weight")
    if stem.startswith("blk.") and int(stem.split(".")[1]) >= numbers.layers:
        raise FileProblem(f"{tensor.name}: of a layer beyond the {numbers.layers} that the metadata tell")


def _check_room(folder: Path, placed: Mapping[str, GgufTensor], family: GgufFamily) -> None:
    needed = sum(_num_bytes(tensor, family) for tensor in placed.values()) + _SPARE_BYTES
    above = next(place for place in folder.parents if place.exists())
    free = shutil.disk_usage(above).free
    if needed > free:
        raise MachineTrouble(
            f"{folder}: the converted weights take {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free. Make "
            "room, and register it again."
        )


def _write(making: Path, header: GgufHeader, numbers: GgufNumbers, placed: Mapping[str, GgufTensor]) -> ConvertedModel:
    with mapped(header.path) as data:
        factors = {name: numbers_of(data, header.tensors[name]) for name in ROPE_TENSORS if name in header.tensors}
        config = config_of(numbers, factors, dtype=_dtype(placed, numbers.family))
        tokenizer_files.write_tokenizer(
            header,
            making,
            context_length=config["max_position_embeddings"],
            num_embeddings=numbers.vocabulary,
        )
        _write_weights(making / "model.safetensors", data, numbers, placed)
    ends = tokenizer_files.end_ids(header.metadata, numbers.vocabulary)
    _write_json(making / "config.json", config)
    _write_json(making / "generation_config.json", {"eos_token_id": ends, "bos_token_id": config["bos_token_id"]})
    conversion = _conversion(header, placed)
    _write_json(
        making / NOTES_FILE,
        {
            "source": conversion.source,
            "name": conversion.name,
            "licence": conversion.licence,
            "forms": dict(conversion.forms),
            "bits_per_weight": round(conversion.bits_per_weight, 3),
            "loss": conversion.loss,
        },
    )
    return conversion


def _conversion(header: GgufHeader, placed: Mapping[str, GgufTensor]) -> ConvertedModel:
    forms: Counter[str] = Counter()
    for tensor in placed.values():
        forms[tensor.form] += tensor.num_values
    rounded = [tensor for tensor in placed.values() if tensor.form not in _EXACT]
    bits = 8 * sum(tensor.num_bytes for tensor in rounded) / max(1, sum(tensor.num_values for tensor in rounded))
    return ConvertedModel(
        name=str(header.metadata.get("general.name") or header.path.stem),
        licence=str(header.metadata.get("general.license") or ""),
        source=header.path.name,
        forms=dict(forms.most_common()),
        bits_per_weight=bits,
    )


def _write_weights(path: Path, data: mmap.mmap, numbers: GgufNumbers, placed: Mapping[str, GgufTensor]) -> None:
    told = {
        name: (dtype_of(tensor, numbers.family), tensor.shape, _num_bytes(tensor, numbers.family))
        for name, tensor in placed.items()
    }
    with path.open("wb") as file:
        file.write(safetensors_header(told))
        for tensor in placed.values():
            heads = numbers.heads if ".attn_q." in tensor.name else numbers.kv_heads
            for piece in pieces_of(data, tensor, numbers.family, heads=heads):
                file.write(piece)


def _num_bytes(tensor: GgufTensor, family: GgufFamily) -> int:
    return tensor.num_values * ITEM_BYTES[dtype_of(tensor, family)]


def _dtype(placed: Mapping[str, GgufTensor], family: GgufFamily) -> str:
    """The type of most weights, as config.json names it."""
    count: Counter[str] = Counter()
    for tensor in placed.values():
        count[dtype_of(tensor, family)] += tensor.num_values
    return {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[count.most_common(1)[0][0]]


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
