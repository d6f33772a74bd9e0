"""A Hugging Face directory looked through before it is registered: is every file there, and what it should be?

No tensor is read, and no network made: whether this kind of network can be trained and served is found out elsewhere.
"""

import json
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid
from outcrop.network import encoder_facts
from outcrop.network.model_task import ModelTask
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer
from outcrop.tokens.tokenizer import Tokenizer

_LARGEST_JSON = 16 << 20
_LARGEST_HEADER = 100_000_000
"What safetensors itself allows."
_LENGTH_NAMES = ("max_position_embeddings", "n_positions", "seq_length")
_DTYPES = ("bfloat16", "float16", "float32", "float64", "half", "float", "double", "float8_e4m3fn", "float8_e5m2")
_WANTED = (
    ("config.json", "the architecture", "Register a Hugging Face directory that has it."),
    (
        "tokenizer.json",
        "the tokenizer",
        "Where there is another form of it, transformers writes this one: "
        "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER).",
    ),
)
_BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "added_tokens.json")
_INDEX = "model.safetensors.index.json"
_MEND_WEIGHTS = "Copy or download it again."


def check_folder(given: Path) -> Path:
    """The directory, whole. Raises Invalid, naming the file and what is wrong with it."""
    folder = _found(given)
    config = _read_object(folder / "config.json")
    _check_config(folder / "config.json", config)
    for path in _weights(folder):
        _check_weights(path)
    _check_tokenizer(folder)
    return folder


def _found(given: Path) -> Path:
    try:
        folder = given.expanduser().absolute()
    except RuntimeError as error:
        raise Invalid(f"{given}: nobody knows whose home ~ is. Give the whole path.") from error
    if not _is_utf8(folder):
        raise Invalid(f"{folder}: its path is not UTF-8, and the catalogue is. Rename the folder.")
    if not folder.exists():
        raise Invalid(f"{folder}: no such folder. Name the Hugging Face directory that holds config.json.")
    if not folder.is_dir():
        raise Invalid(f"{folder}: a file, not a folder. Name the Hugging Face directory that holds config.json.")
    for wanted, why, mend in _WANTED:
        if not (folder / wanted).exists():
            raise Invalid(f"{folder}: no {wanted} ({why}). {mend}")
    return folder


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    if not path.is_file():
        raise Invalid(f"{path}: not a file.")
    size = path.stat().st_size
    if size > _LARGEST_JSON:
        raise Invalid(
            f"{path}: {size:,} bytes, and none of its kind is larger than {_LARGEST_JSON:,}. Put the right file there."
        )
    mend = "Save the model with save_pretrained, and register that directory."
    try:
        value = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Invalid(f"{path}: not UTF-8, at byte {error.start + 1}. {mend}") from error
    except (ValueError, RecursionError) as error:
        what = "empty" if not size else f"not JSON ({error})"
        raise Invalid(f"{path}: {what}. {mend}") from error
    if not isinstance(value, dict):
        raise Invalid(f"{path}: expected a JSON object, found {_kind(value)}. {mend}")
    return value


def _check_config(path: Path, config: dict[str, Any]) -> None:
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        found = "is missing" if kind is None else f"is {_kind(kind)}"
        raise Invalid(
            f"{path}: model_type {found}; it names the kind of network, such as llama. Save the model with "
            "save_pretrained, and register that directory."
        )
    described = config.get("text_config")
    if described is not None and not isinstance(described, dict):
        raise Invalid(f"{path}: text_config: expected an object, found {_kind(described)}.")
    _check_length(path, described or config)
    for name in ("dtype", "torch_dtype"):
        dtype = config.get(name)
        if dtype is not None and (not isinstance(dtype, str) or dtype.removeprefix("torch.") not in _DTYPES):
            raise Invalid(
                f"{path}: {name}: {json.dumps(dtype)[:60]} is no type of weights. Write bfloat16, float16 or float32."
            )


def _check_length(path: Path, described: dict[str, Any]) -> None:
    """A network may name no context length; one that is no number is a mistake."""
    for name in _LENGTH_NAMES:
        length = described.get(name, 2)
        if length is not None and (not isinstance(length, int) or isinstance(length, bool) or not 1 < length < 1 << 31):
            raise Invalid(
                f"{path}: {name}: {json.dumps(length)[:60]} is no context length. Give the number of tokens, 2 or more."
            )


def _weights(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise Invalid(
            f"{folder}: no *.safetensors (the weights). Save the model with save_pretrained, then register it."
        )
    index = folder / _INDEX
    if index.exists():
        named = _read_object(index).get("weight_map")
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
            raise Invalid(f"{index}: weight_map: expected an object that names a file for each weight.")
        missing = sorted({name for name in named.values() if not (folder / name).is_file()})
        if missing:
            more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise Invalid(f"{folder}: {missing[0]} is missing{more}; {_INDEX} names it. {_MEND_WEIGHTS}")
    return found


def _check_weights(path: Path) -> None:
    """A length of 8 bytes, as long a header in JSON, and as many bytes of tensors as it tells."""
    if not path.is_file():
        raise Invalid(f"{path}: not a file.")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LARGEST_HEADER):
            raise Invalid(f"{path}: not a whole safetensors file. {_MEND_WEIGHTS}")
        told = file.read(length)
    try:
        ends = [_end(tensor) for name, tensor in json.loads(told).items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise Invalid(f"{path}: not a safetensors file, its header cannot be read. {_MEND_WEIGHTS}") from error
    if max(ends, default=0) != size - 8 - length:
        raise Invalid(
            f"{path}: {size:,} bytes, where its header tells {8 + length + max(ends, default=0):,}. {_MEND_WEIGHTS}"
        )


def _end(tensor: dict[str, Any]) -> int:
    return int(tensor["data_offsets"][1])


def _check_tokenizer(folder: Path) -> None:
    for name in _BESIDE:
        if (folder / name).exists():
            _read_object(folder / name)
    try:
        if encoder_facts.task_of(folder) is ModelTask.TEXT:
            Tokenizer.open(folder)
        else:
            EncoderTokenizer.open(folder)
    except Invalid:
        raise
    except Exception as error:  # the library raises nothing narrower for a file that is no tokenizer
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise Invalid(
            f"{folder}: no tokenizer can be made of its tokenizer.json ({why}). Save one with "
            "AutoTokenizer.from_pretrained(...).save_pretrained(...) into the directory."
        ) from error


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "a truth value", str: "a string", list: "a list", dict: "an object"}.get(type(value), "a number")
