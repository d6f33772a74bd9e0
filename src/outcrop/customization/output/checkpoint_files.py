"""The files of a model checkpoint, each with its shape. What comes in from a bucket is looked at before it is kept.

A model that was let in can be served, as far as its files can tell. What is wrong is told by file and member.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from outcrop.catalog.base_model import BaseModel
from outcrop.errors import Invalid, ModelFailed
from outcrop.json_files import FileProblem, JsonNamed, JsonText, Members, content, optional, parse, read_bytes
from outcrop.network import headers, parity_file
from outcrop.network.adapters.method import CONFIG_FILE, OWN_BASE, WEIGHTS_FILE, LoRA, read_adapter
from outcrop.tokens.prompt_format import PromptFormat, chat_problem, format_problem
from outcrop.tokens.tokenizer import Tokenizer

MANIFEST = "checkpoint.json"
MOST_FILES = 1_000
_MOST_NAME, _MOST_PART = 512, 200
_MOST_MANIFEST_BYTES, _MOST_JSON_BYTES = 4_000_000, 256_000_000
_LONGEST_FORMAT = 100_000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME_PART = re.compile(r"[^\x00-\x1f\x7f/\\]+")


def read_manifest(content: bytes) -> dict[str, Any]:
    """`checkpoint.json`, checked. Raises FileProblem."""
    manifest: dict[str, Any] = read_bytes(content, _MANIFEST, most_bytes=_MOST_MANIFEST_BYTES, name=MANIFEST)
    names = manifest["files"].keys()
    both = next((name for name in names if any(other.startswith(f"{name}/") for other in names)), None)
    if both is not None:
        raise FileProblem(f"{MANIFEST}: files: {both!r} is a file and a folder")
    if CONFIG_FILE in names:
        needed = [CONFIG_FILE, WEIGHTS_FILE, parity_file.FILE]
    else:
        needed = ["config.json", "tokenizer.json", parity_file.FILE]
    missing = [name for name in needed if name not in names]
    if missing:
        raise FileProblem(f"{MANIFEST}: files: {', '.join(missing)} missing")
    return manifest


def check(folder: Path, names: Mapping[str, str], base: BaseModel, prompt_format: str) -> None:
    """The files of a checkpoint, as they were copied into `folder`. Raises Invalid."""
    try:
        for name in names:
            _check_file(folder / name, name)
        expected = parity_file.read(folder)
        _check_model(folder, base)
        _check_expected(expected, base)
        _check_prompts(folder, base, prompt_format)
    except FileProblem as problem:
        raise Invalid(f"{problem}. Choose another checkpoint, or write this one again.") from problem
    except ModelFailed as damage:
        raise Invalid(damage.message) from damage


def _check_file(path: Path, name: str) -> None:
    if path.suffix == ".json":
        data = content(path, most_bytes=_MOST_JSON_BYTES, name=name)
        value = parse(data, name=name, strict=name in (CONFIG_FILE, parity_file.FILE))
        if not isinstance(value, dict) and name != parity_file.FILE:
            raise FileProblem(f"{name}: is no JSON object")
    elif path.suffix == ".safetensors":
        headers.shapes_in(path)


def _check_model(folder: Path, base: BaseModel) -> None:
    below = _network_below(folder, base)
    if not (folder / CONFIG_FILE).is_file():
        _open_tokenizer(folder)
        if not headers.shapes(folder):
            raise FileProblem("config.json: there are no weights beside it, no file whose name ends in .safetensors")
        return
    method = read_adapter(folder)
    weights = headers.shapes_in(folder / WEIGHTS_FILE)
    if not weights:
        raise FileProblem(f"{WEIGHTS_FILE}: holds no weight")
    layers = headers.linear_layers(below)
    for name, shape in weights.items():
        wrong = _misfit(name, shape, method, layers) if isinstance(method, LoRA) else None
        if wrong is not None:
            raise FileProblem(f"{WEIGHTS_FILE}: {name}: {wrong}")


def _misfit(name: str, shape: tuple[int, ...], method: LoRA, layers: Mapping[str, tuple[int, ...]]) -> str | None:
    """The mismatch of a weight with its layer, where the base's files know the layer by this name."""
    layer, part = re.sub(r"\.lora_(A|B)\.weight$", r"|\1", name.removeprefix("base_model.model.")).partition("|")[::2]
    if not part or layer not in layers:
        return None
    widths = layers[layer]
    if len(shape) != 2 or shape[0 if part == "A" else 1] != method.rank:
        return f"its shape {list(shape)} does not go with the rank {method.rank} of {CONFIG_FILE}"
    if shape[1 if part == "A" else 0] not in widths:
        return f"its shape {list(shape)} does not fit the layer of the base model, {list(widths)}"
    return None


def _check_expected(expected: parity_file.ParityRecord, base: BaseModel) -> None:
    if not any(sample.logprobs for sample in expected.samples):
        raise FileProblem(f"{parity_file.FILE}: holds no token to compare")
    scored = [len(sample.ids) for sample in expected.samples]
    longest = max(scored + [len(each.prompt) + len(each.ids) for each in expected.generations])
    if longest > base.context_length:
        raise FileProblem(
            f"{parity_file.FILE}: holds a record of {longest} tokens, and the base model's context is "
            f"{base.context_length}"
        )


def _check_prompts(folder: Path, base: BaseModel, prompt_format: str) -> None:
    own = (folder / "config.json").is_file()
    tokenizer = _open_tokenizer(folder if own else _network_below(folder, base))
    problem = chat_problem(tokenizer) if prompt_format == PromptFormat.CHAT.value else None
    if problem is not None:
        raise FileProblem(f"{MANIFEST}: prompt_format: is chat, but {problem.message.rstrip('.')}")


def _network_below(folder: Path, base: BaseModel) -> Path:
    """The network below an adapter: one that came with it, which may have its own tokenizer, or the base model's."""
    below = next(folder.glob(f"{OWN_BASE}*"), base.folder)
    assert below is not None
    return below


def _open_tokenizer(folder: Path) -> Tokenizer:
    try:
        return Tokenizer.open(folder)
    except Invalid as problem:
        raise FileProblem(problem.message.replace(f"{folder}/", "").rstrip(".")) from problem
    except BaseException as problem:  # the library's own panics are no Exceptions
        if isinstance(problem, KeyboardInterrupt | SystemExit):
            raise
        raise FileProblem("tokenizer.json: is no tokenizer") from problem


def _name_problem(name: str) -> str | None:
    parts = name.split("/")
    if len(name.encode()) > _MOST_NAME or any(len(part.encode()) > _MOST_PART for part in parts):
        return f"is longer than {_MOST_NAME} bytes, or a part of it longer than {_MOST_PART}"
    if any(part in (".", "..", "") for part in parts):
        return "leads out of the folder, or has an empty part"
    if not all(_NAME_PART.fullmatch(part) for part in parts):
        return "holds control characters or backslashes"
    return None


def _moment_problem(text: str) -> str | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return "is no date and time in ISO form"
    return None if moment.tzinfo is not None else "has no time zone"


def _digest_problem(text: str) -> str | None:
    return None if _DIGEST.fullmatch(text) else "is no SHA-256 in 64 hexadecimal digits"


_MANIFEST = Members(
    required={
        "base_id": JsonText(least=1, most=256),
        "prompt_format": JsonText(most=_LONGEST_FORMAT, rule=format_problem),
        "files": JsonNamed(
            name=JsonText(least=1, rule=_name_problem), of=JsonText(rule=_digest_problem), least=1, most=MOST_FILES
        ),
    },
    optional={
        "prompt_day": optional(JsonText(most=64, rule=_moment_problem)),
        "parent": optional(JsonText(most=2048)),
        "job": optional(JsonText(most=2048)),
    },
)
