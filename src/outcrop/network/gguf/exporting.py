"""A Hugging Face directory written as one GGUF file, which llama.cpp and what is built on it load.

Weights are written as F32, F16 or Q8_0, one at a time; norms and biases are always F32. The tokenizer and the chat
template go into the file. What llama.cpp would compute otherwise is refused before anything is written.
"""

import json
import math
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from outcrop.errors import Invalid, MachineTrouble
from outcrop.json_files import FileProblem
from outcrop.network import headers
from outcrop.network.gguf.families import GgufFamily, family_of_network
from outcrop.network.gguf.header import package
from outcrop.network.gguf.metadata import NetworkConfig, Numbers, numbers_of
from outcrop.network.gguf.tensor_values import Array, StoredWeight, paired, stored_weights
from outcrop.network.gguf.vocabulary_metadata import VocabularyMetadata, vocabulary_of

_Q8_BLOCK = 32
_BESIDE = ("rotary_emb.inv_freq",)
"Ends of names of what older directories hold beside their weights."


class GgufForm(StrEnum):
    """The form in which the weights of a GGUF file are written."""

    F32 = "F32"
    F16 = "F16"
    Q8_0 = "Q8_0"


def write_gguf(folder: Path, path: Path, form: GgufForm, *, name: str) -> dict[str, int]:
    """Write the network in `folder` to the file `path`; returns how many numbers have which form.

    Raises Invalid for a network that llama.cpp does not have, MachineTrouble where the disk does not take it.
    """
    gguf = package()
    try:
        network = _network(folder)
        numbers, factors = numbers_of(network)
        vocabulary = vocabulary_of(folder, num_embeddings=network.whole("vocab_size"))
        weights = _named(network, headers.shapes(folder), stored_weights(folder))
        writer = gguf.GGUFWriter(path, network.family.architecture)
        try:
            _add_metadata(writer, gguf, numbers, vocabulary, form=form, name=name)
            return _write_tensors(writer, gguf, network, weights, factors, form)
        finally:
            writer.close()
    except FileProblem as problem:
        raise Invalid(f"{folder}: {str(problem).rstrip('.')}. Export it --as merged, or --as adapter.") from problem
    except OSError as error:
        raise MachineTrouble(
            f"{path}: cannot be written ({error.strerror}). Make room, and export it again."
        ) from error


def _network(folder: Path) -> NetworkConfig:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    return NetworkConfig(config, family_of_network(str(config.get("model_type"))))


def _named(
    network: NetworkConfig, shapes: Mapping[str, tuple[int, ...]], stored: Mapping[str, StoredWeight]
) -> dict[str, StoredWeight]:
    """The weights by llama.cpp's names, in their order. A head that is the embedding is not written again."""
    found = {}
    for name in shapes:
        if name.endswith(_BESIDE) or (network.is_tied and name == "lm_head.weight"):
            continue
        found[network.family.gguf_name(name)] = stored[name]
    if len(found["token_embd.weight"].shape) != 2 or found["token_embd.weight"].shape[0] != network.whole("vocab_size"):
        raise FileProblem("config.json: vocab_size: is not the number of rows of the embedding")
    return found


def _add_metadata(
    writer: Any, gguf: Any, numbers: Numbers, vocabulary: VocabularyMetadata, *, form: GgufForm, name: str
) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type({GgufForm.F32: 0, GgufForm.F16: 1, GgufForm.Q8_0: 7}[form])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for key, number in numbers.items():
        _add(writer, f"{writer.arch}.{key}", number)
    for key, value in vocabulary.values.items():
        _add(writer, f"tokenizer.{key}", value)
    writer.add_array("tokenizer.ggml.tokens", vocabulary.tokens)
    writer.add_array("tokenizer.ggml.token_type", vocabulary.types)
    if vocabulary.scores is not None:
        writer.add_array("tokenizer.ggml.scores", vocabulary.scores)
    if vocabulary.merges is not None:
        writer.add_array("tokenizer.ggml.merges", vocabulary.merges)


def _add(writer: Any, key: str, value: int | float | str | bool) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_string(key, value)


def _write_tensors(
    writer: Any,
    gguf: Any,
    network: NetworkConfig,
    weights: Mapping[str, StoredWeight],
    factors: Mapping[str, list[float]],
    form: GgufForm,
) -> dict[str, int]:
    counted: dict[str, int] = {}
    forms = {name: _form_of(weight, form) for name, weight in weights.items()}
    for name, values in factors.items():
        writer.add_tensor_info(name, (len(values),), np.dtype(np.float32), 4 * len(values))
    for name, weight in weights.items():
        counted[forms[name]] = counted.get(forms[name], 0) + math.prod(weight.shape)
        _announce(writer, gguf, name, weight.shape, gguf.GGMLQuantizationType[forms[name]])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for values in factors.values():
        writer.write_tensor_data(np.array(values, np.float32))
    for name, weight in weights.items():
        writer.write_tensor_data(_written(gguf, network, name, weight, gguf.GGMLQuantizationType[forms[name]]))
    return counted


def _announce(writer: Any, gguf: Any, name: str, shape: tuple[int, ...], kind: Any) -> None:
    """Tell the writer of a tensor that will follow."""
    per_block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    num_bytes = math.prod(shape) // per_block * block_bytes
    if per_block > 1:  # a row is told by its bytes
        shape = (*shape[:-1], shape[-1] // per_block * block_bytes)
    plain = {"F32": np.float32, "F16": np.float16}.get(kind.name, np.uint8)
    writer.add_tensor_info(name, shape, np.dtype(plain), num_bytes, raw_dtype=kind)


def _form_of(weight: StoredWeight, form: GgufForm) -> str:
    """The form of one weight: a row that is no whole number of blocks cannot be rounded to 8 bits."""
    if len(weight.shape) < 2:
        return GgufForm.F32
    return GgufForm.F16 if form is GgufForm.Q8_0 and weight.shape[-1] % _Q8_BLOCK else form


def _written(gguf: Any, network: NetworkConfig, name: str, weight: StoredWeight, kind: Any) -> Array:
    """A weight as the file holds it."""
    family: GgufFamily = network.family
    if family.is_rotated(name):
        heads = network.heads if ".attn_q." in name else network.kv_heads
        rows = weight.whole().reshape(weight.shape[0], -1)
        return np.ascontiguousarray(gguf.quantize(np.ascontiguousarray(paired(rows, heads)), kind))
    shift = np.float32(1) if family.is_shifted(name) else np.float32(0)
    return np.concatenate([gguf.quantize(rows + shift if shift else rows, kind) for rows in weight.rows()])
