"""Weights come to this machine: a directory registered, or a hub repository downloaded."""

import json
import re
from pathlib import Path
from typing import Any

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.errors import Invalid, MachineTrouble, NotFound
from outcrop.network import vocabulary
from outcrop.settings import Settings
from outcrop.tokens.chat_template import TemplateBroken
from outcrop.tokens.prompt_format import chat_problem
from outcrop.tokens.tokenizer import Tokenizer

_WANTED_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model"]
_LENGTH_NAMES = ("max_position_embeddings", "n_positions", "seq_length")


def register_folder(settings: Settings, folder: Path, *, model_id: str | None, name: str | None) -> BaseModel:
    """Check that the folder holds a model we can read, and add it. Raises Invalid, saying which file is missing."""
    folder = folder.expanduser().absolute()
    _check_folder(folder)
    _check_tokenizer(folder)
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
    _check_tokenizer(target)
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
    return int(found)


def _check_tokenizer(folder: Path) -> None:
    """Its ids have embeddings, and its chat template can be rendered. Raises Invalid."""
    tokenizer = Tokenizer.open(folder)
    vocabulary.check(folder, tokenizer)
    problem = chat_problem(tokenizer)
    if isinstance(problem, TemplateBroken):
        raise Invalid(f"{folder}: {problem.message}") from problem


def _id_from(name: str) -> str:
    """`Qwen2.5-0.5B` -> `local.qwen2-5-0-5b`."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not slug:
        raise Invalid(f"{name!r}: no model id can be made of this folder's name. Give one with --id provider.name-v1.")
    return f"local.{slug[:60]}"
