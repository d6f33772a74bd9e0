"""Files of a model that comes from somebody else: which of them are taken, and which are refused by name.

Weights are taken as safetensors alone. A pickle runs whatever its writer put into it when it is opened, so none is ever
fetched; nor is a line of code that a configuration names.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from outcrop.errors import Invalid
from outcrop.json_files import FileProblem, content, parse
from outcrop.network.adapters.method import CONFIG_FILE, WEIGHTS_FILE

_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".msgpack", ".h5", ".joblib", ".npy", ".npz")
_LEFT_BEHIND = re.compile(r"(training_args\.bin|(optimizer|scheduler|scaler|rng_state\w*)\.(pt|pth|bin))")
"Names under which trainers leave what is no part of the model. They are not fetched, and in nobody's way."
_WANTED = re.compile(
    r"[^/]+\.(safetensors|json|jinja|model)|merges\.txt|vocab\.txt|[0-9]+_[A-Za-z]+/(config\.json|model\.safetensors)"
)
"With the steps of sentence-transformers behind an encoder, each in a folder of its own."
_CODE = "auto_map"
_CONFIGURATIONS = ("config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json")
_MOST_FILES = 1_000
_MOST_JSON_BYTES = 256 << 20
_MOST_BYTES = 2 << 40


def wanted_files(sizes: Mapping[str, int], *, place: str) -> dict[str, int]:
    """The files of a model among those at a place, with their sizes; names are relative to it.

    Raises Invalid for pickles, by their names, and for what is no model.
    """
    pickles = [
        name for name in sizes if name.endswith(_PICKLES) and not _LEFT_BEHIND.fullmatch(name.rpartition("/")[2])
    ]
    if pickles:
        more = f" and {len(pickles) - 1} more" if len(pickles) > 1 else ""
        raise Invalid(
            f"{place}: {pickles[0]}{more}: weights are taken as safetensors only, never as a pickle, which may run "
            "code. Save the model with save_pretrained(..., safe_serialization=True), and leave the other files away."
        )
    found = {name: size for name, size in sizes.items() if _WANTED.fullmatch(name)}
    _check_sizes(found, place)
    if not any(name.endswith(".safetensors") and "/" not in name for name in found):
        gguf = next((name for name in sizes if name.endswith(".gguf")), None)
        told = f" {gguf} is registered by itself: download it, then `outcrop register FILE`." if gguf else ""
        raise Invalid(f"{place}: no *.safetensors there (the weights).{told or ' Name the folder that holds them.'}")
    needed = [CONFIG_FILE] if WEIGHTS_FILE in found else ["config.json", "tokenizer.json"]
    missing = [name for name in needed if name not in found]
    if missing:
        raise Invalid(f"{place}: no {missing[0]}. Name a Hugging Face directory that holds {' and '.join(needed)}.")
    return found


def files_of(folder: Path) -> dict[str, Path]:
    """The files of a model in its folder, by their names. What else lies there, folders too, is left out."""
    return {path.name: path for path in sorted(folder.iterdir()) if _WANTED.fullmatch(path.name) and path.is_file()}


def is_adapter(names: Mapping[str, int]) -> bool:
    """Whether the files are an adapter of PEFT's, not a network."""
    return CONFIG_FILE in names and WEIGHTS_FILE in names and "config.json" not in names


def check_no_code(folder: Path) -> None:
    """Raises Invalid for a configuration that names code of its own, which using the model would run."""
    for name in _CONFIGURATIONS:
        path = folder / name
        if not path.exists():
            continue
        try:
            value = parse(content(path, most_bytes=_MOST_JSON_BYTES), name=name, strict=False)
        except FileProblem as problem:
            raise Invalid(f"{problem}. Save the model with save_pretrained, and upload that directory.") from problem
        if isinstance(value, dict) and value.get(_CODE):
            raise Invalid(
                f"{name}: auto_map: the model brings code of its own, and no code of others is run here. Choose a "
                "model of a family that transformers knows (docs/families.md), saved without auto_map."
            )


def _check_sizes(found: Mapping[str, int], place: str) -> None:
    if len(found) > _MOST_FILES:
        raise Invalid(f"{place}: {len(found):,} files, and a model has at most {_MOST_FILES:,}. Name its own folder.")
    for name, size in found.items():
        if size > (_MOST_BYTES if name.endswith(".safetensors") else _MOST_JSON_BYTES):
            raise Invalid(f"{place}: {name}: {size:,} bytes are more than such a file has. Put the right file there.")
