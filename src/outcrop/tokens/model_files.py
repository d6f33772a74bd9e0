"""The description of a tokenizer in a Hugging Face directory, read from its several files into one form."""

import json
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid

SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


def read_spec(model_dir: Path) -> dict[str, Any]:
    """`tokenizer.json`. Raises Invalid where it is missing or no JSON object."""
    spec = read_json(model_dir / "tokenizer.json")
    if spec is None:
        raise Invalid(
            f"{model_dir / 'tokenizer.json'}: missing. Save the model with a fast tokenizer "
            "(AutoTokenizer.from_pretrained(...).save_pretrained(...)) into its directory."
        )
    return spec


def read_config(model_dir: Path) -> dict[str, Any]:
    """The configuration of the tokenizer in the directory's other files, and how many ids the network has."""
    config = read_json(model_dir / "special_tokens_map.json") or {}
    config |= read_json(model_dir / "tokenizer_config.json") or {}
    for name in SPECIAL_TOKENS:
        if isinstance(config.get(name), dict):
            config[name] = config[name]["content"]
    network = read_json(model_dir / "config.json") or {}
    generation = read_json(model_dir / "generation_config.json") or {}
    config.setdefault("bos_token_id", network.get("bos_token_id"))
    config["eos_token_ids"] = _as_list(generation.get("eos_token_id")) + _as_list(network.get("eos_token_id"))
    config["chat_template"] = _chat_template(model_dir, config.get("chat_template"))
    config["num_embeddings"] = (network.get("text_config") or network).get("vocab_size")
    return config


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, None where there is no file. Raises Invalid for anything else."""
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise Invalid(f"{path}: not JSON: {problem}. Copy the file again.") from problem
    if not isinstance(content, dict):
        raise Invalid(f"{path}: expected a JSON object. Copy the file again.")
    return content


def _chat_template(model_dir: Path, configured: Any) -> str | None:
    """The default template. A file of its own goes before the configuration, as newer models have it."""
    file = model_dir / "chat_template.jinja"
    if file.exists():
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError as problem:
            raise Invalid(f"{file}: not UTF-8: {problem}. Copy the file again.") from problem
    where = f"{model_dir / 'tokenizer_config.json'}: chat_template"
    if isinstance(configured, list):
        if not all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in configured):
            raise Invalid(f'{where}: expected {{"name": …, "template": …}} in its list. Mend it, or remove it.')
        configured = {entry["name"]: entry.get("template") for entry in configured}
    if isinstance(configured, dict):  # several named templates, of which conversations take the default one
        configured = configured.get("default")
    if configured is not None and not isinstance(configured, str):
        raise Invalid(
            f"{where}: expected a text of Jinja, or a list of named ones, found {type(configured).__name__}. "
            "Mend it, or remove it."
        )
    return configured or None


def _as_list(value: Any) -> list[int]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
