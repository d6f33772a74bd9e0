"""Weights come to this machine: a directory registered, or a hub repository downloaded."""

import json
import re
from pathlib import Path
from typing import Any

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.errors import Invalid, MachineTrouble, NotFound
from outcrop.settings import Settings

_WANTED_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model"]
_LENGTH_NAMES = ("max_position_embeddings", "n_positions", "seq_length")


def register_folder(settings: Settings, folder: Path, *, model_id: str | None, name: str | None) -> BaseModel:
    """Check that the folder holds a model we can read, and add it. Raises Invalid, saying which file is missing."""
    folder = folder.expanduser().absolute()
    _check_folder(folder)
    config = json.loads((folder / "config.json").read_text())
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Catalog(settings.home).register(
        folder,
        model_id=model_id or _id_from(folder.name),
        name=name or folder.name,
        context_length=_context_length(folder, config),
        licence="see its folder",
    )


def pull_weights(settings: Settings, model_id: str) -> BaseModel:
    """Download into the home. Raises MachineTrouble when the hub cannot be reached or refuses."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    catalog = Catalog(settings.home)
    entry = catalog.find(model_id)
    if entry is None:
        raise NotFound(f"{model_id}: not in the catalogue. `outcrop models --all` lists it.")
    target = catalog.pulled_folder(entry)
    try:
        snapshot_download(entry.weights.hub, local_dir=target, allow_patterns=_WANTED_FILES)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise MachineTrouble(
            f"{entry.weights.hub}: the download failed: {str(error).splitlines()[0]} Check the network; a gated model "
            "also needs its licence accepted on the hub and HF_TOKEN set. What was downloaded is kept."
        ) from error
    return Catalog(settings.home).usable(model_id)


def _check_folder(folder: Path) -> None:
    for wanted, why in (("config.json", "the architecture"), ("tokenizer.json", "the tokenizer")):
        if not (folder / wanted).is_file():
            raise Invalid(f"{folder}: no {wanted} ({why}). Register a Hugging Face directory that has it.")
    if not any(folder.glob("*.safetensors")):
        raise Invalid(
            f"{folder}: no *.safetensors (the weights). Save the model with save_pretrained, then register it."
        )


def _context_length(folder: Path, config: dict[str, Any]) -> int:
    described = config.get("text_config") or config
    found = next((described[name] for name in _LENGTH_NAMES if name in described), None)
    if found is None:
        raise Invalid(f"{folder}/config.json: none of {', '.join(_LENGTH_NAMES)} tells the context length. Add one.")
    rope = described.get("rope_parameters") or described.get("rope_scaling") or {}
    # With dynamic NTK scaling that many times the named length is what the model attends to (`rotary_lengths.py`).
    stretches = "dynamic" in str(rope.get("rope_type", rope.get("type")))
    return int(found * rope.get("factor", 1.0)) if stretches else int(found)


def _id_from(name: str) -> str:
    """`Qwen2.5-0.5B` -> `local.qwen2-5-0-5b`."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not slug:
        raise Invalid(f"{name!r}: no model id can be made of this folder's name. Give one with --id provider.name-v1.")
    return f"local.{slug[:60]}"
