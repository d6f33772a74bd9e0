"""Facts about an encoder from its folder: what it is for, and how sentence-transformers makes a vector with it.

modules.json names the steps behind the network: pooling, linear layers, normalization. Where no such file lies beside
a network, its vector is the mean of its hidden states, as sentence-transformers takes it then. What is not understood
is refused by name: a vector made otherwise would be a wrong one. Reads JSON; no tensors.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.tokens.model_files import read_json

MODULES_FILE = "modules.json"
_DESCRIPTION = "config_sentence_transformers.json"
_LENGTH_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_UNNAMED_ENCODERS = frozenset(
    ("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "ernie", "fnet", "mobilebert",
     "modernbert", "mpnet", "nomic_bert", "roberta", "xlm-roberta", "xlm-roberta-xl")
)  # fmt: skip
"Families that only encode, for a configuration that names no architecture."
_BEHIND_PADDING = frozenset(
    ("camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta",
     "xlm-roberta-xl", "xmod")
)  # fmt: skip
"Families whose positions are counted from behind the padding token's id: so many fewer tokens fit."
_NO_LIMIT = 10**9
"A model_max_length from here on says that there is none."
ACTIVATIONS = frozenset(("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid"))
"Names in torch.nn."


class Pooling(StrEnum):
    """The way from the hidden states of a text to one vector, by its name in sentence-transformers."""

    CLS = "cls"
    MEAN = "mean"
    MAX = "max"
    MEAN_SQRT_LENGTH = "mean_sqrt_len_tokens"
    WEIGHTED_MEAN = "weightedmean"
    LAST_TOKEN = "lasttoken"


_OLDER_NAMES = {
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_max_tokens": Pooling.MAX,
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_mean_sqrt_len_tokens": Pooling.MEAN_SQRT_LENGTH,
    "pooling_mode_weightedmean_tokens": Pooling.WEIGHTED_MEAN,
    "pooling_mode_lasttoken": Pooling.LAST_TOKEN,
}
"Members of a pooling configuration before `pooling_mode`, in the order in which several are put side by side."


@dataclass(frozen=True, kw_only=True)
class DenseLayer:
    """A linear layer behind the pooling."""

    folder: Path
    width: int
    "Numbers that come out."
    activation: str
    "A name in torch.nn."


@dataclass(frozen=True, kw_only=True)
class EncoderFacts:
    """The task of an encoder, what it reads, and how its vector is made."""

    task: ModelTask
    max_length: int
    "Most token ids of a text, or of a query and a document, special tokens included."
    width: int
    "Numbers of a vector; 1 for a reranker."
    pooling: tuple[Pooling, ...] = ()
    "Several are put side by side."
    pools_prompt: bool = True
    "Whether the tokens of the prompt take part in the pooling."
    dense: tuple[DenseLayer, ...] = ()
    normalizes: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    lower: bool = False
    is_described: bool = False
    "Whether modules.json says how the vector is made."


def task_of(folder: Path) -> ModelTask:
    """The task of the network in `folder`. Raises Invalid for one that is made for another task than these."""
    described = _object(folder / "config.json")
    kind = _kind_of_description(folder)
    architecture = _architecture(described)
    if kind == "CrossEncoder" or architecture.endswith("ForSequenceClassification"):
        _check_one_label(folder, described)
        return ModelTask.RERANKING
    if (folder / MODULES_FILE).is_file():
        if kind not in (None, "SentenceTransformer"):
            raise Invalid(f"{folder}/{_DESCRIPTION}: a {kind} makes no one vector of a text. Register another model.")
        return ModelTask.EMBEDDING
    encodes = architecture.endswith(("Model", "ForMaskedLM", "ForPreTraining")) and "LMHead" not in architecture
    if encodes and "DoubleHeads" not in architecture:
        return ModelTask.EMBEDDING
    unnamed = not architecture and described.get("model_type") in _UNNAMED_ENCODERS
    return ModelTask.EMBEDDING if unnamed else ModelTask.TEXT


def read(folder: Path) -> EncoderFacts:
    """The facts of the encoder in `folder`. Raises Invalid, naming the file and what is not understood in it."""
    task = task_of(folder)
    assert task is not ModelTask.TEXT, "a text model is no encoder"
    length_file = next((name for name in _LENGTH_FILES if (folder / name).is_file()), _LENGTH_FILES[0])
    limits = _object(folder / length_file)
    length = _max_length(folder, limits.get("max_seq_length"))
    if task is ModelTask.RERANKING:
        return EncoderFacts(task=task, max_length=length, width=1)
    saved = _object(folder / _DESCRIPTION)
    prompts = saved.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise Invalid(f"{folder}/{_DESCRIPTION}: prompts: expected names and texts. Mend it, or remove it.")
    return EncoderFacts(
        task=task,
        max_length=length,
        prompts={name: text for name, text in prompts.items() if text},
        default_prompt=saved.get("default_prompt_name"),
        lower=limits.get("do_lower_case") is True,
        **_steps(folder),
    )


def _steps(folder: Path) -> dict[str, Any]:
    """The members of the facts that modules.json tells."""
    width = facts.read(folder).width
    if not (folder / MODULES_FILE).is_file():
        return {"pooling": (Pooling.MEAN,), "width": width}
    pooling: tuple[Pooling, ...] = ()
    dense: list[DenseLayer] = []
    normalizes, pools_prompt = False, True
    for kind, place in _modules(folder):
        if kind in ("Pooling", "Dense") and not (place / "config.json").is_file():
            raise Invalid(f"{place}/config.json: missing; modules.json names this step. Copy the model anew.")
        if kind == "Pooling":
            described = _object(place / "config.json")
            pooling, pools_prompt = _pooling(place / "config.json", described), described.get("include_prompt", True)
        elif kind == "Dense":
            dense.append(_dense(place))
        elif kind == "Normalize":
            normalizes = True
        elif kind not in ("Transformer", "Dropout"):
            raise Invalid(f"{folder}/{MODULES_FILE}: {kind} is a step that is not built in Outcrop.")
        if normalizes and kind == "Dense":
            raise Invalid(f"{folder}/{MODULES_FILE}: Dense behind Normalize is not built in Outcrop.")
    if not pooling:
        raise Invalid(f"{folder}/{MODULES_FILE}: no Pooling, so there is not one vector for a text.")
    return {
        "pooling": pooling,
        "pools_prompt": pools_prompt is not False,
        "dense": tuple(dense),
        "normalizes": normalizes,
        "width": dense[-1].width if dense else width * len(pooling),
        "is_described": True,
    }


def _modules(folder: Path) -> Sequence[tuple[str, Path]]:
    """The kinds of the steps, with their folders, in their order."""
    listed = _json(folder / MODULES_FILE)
    try:
        found = [(str(one["type"]).rpartition(".")[2], folder / str(one.get("path", ""))) for one in listed]
    except (TypeError, KeyError, AttributeError) as error:
        raise Invalid(f"{folder}/{MODULES_FILE}: expected a list of steps, each with type and path.") from error
    if not all(place.resolve().is_relative_to(folder.resolve()) for _, place in found):
        raise Invalid(f"{folder}/{MODULES_FILE}: a step lies outside of the folder. Copy the model anew.")
    if found[:1] and found[0] != ("Transformer", folder):
        raise Invalid(
            f"{folder}/{MODULES_FILE}: the first step is not a Transformer in the folder itself. Save the model with "
            "a newer sentence-transformers, then register it."
        )
    return found


def _pooling(path: Path, described: Mapping[str, Any]) -> tuple[Pooling, ...]:
    named = described.get("pooling_mode")
    if named is None:
        return tuple(way for name, way in _OLDER_NAMES.items() if described.get(name)) or (Pooling.MEAN,)
    try:
        return tuple(Pooling(one) for one in ([named] if isinstance(named, str) else named))
    except (TypeError, ValueError) as error:
        raise Invalid(f"{path}: pooling_mode: {named!r} is not built in Outcrop.") from error


def _dense(place: Path) -> DenseLayer:
    described = _object(place / "config.json")
    activation = str(described.get("activation_function", "torch.nn.modules.activation.Tanh")).rpartition(".")[2]
    width = described.get("out_features")
    if not isinstance(width, int) or activation not in ACTIVATIONS or described.get("use_residual"):
        raise Invalid(
            f"{place}/config.json: expected out_features and an activation_function of torch.nn among "
            f"{', '.join(sorted(ACTIVATIONS))}, and no residual; others are not built in Outcrop."
        )
    if not (place / "model.safetensors").is_file():
        raise Invalid(f"{place}: no model.safetensors (its weights). Save the model anew, as safetensors.")
    return DenseLayer(folder=place, width=width, activation=activation)


def _max_length(folder: Path, named: Any) -> int:
    """Most ids of a text: as the model was set up, and never more than its network has positions for."""
    described = facts.read(folder)
    told = _object(folder / "tokenizer_config.json").get("model_max_length")
    positions = described.context if described.has_context else None
    if positions is not None and described.kind in _BEHIND_PADDING:
        positions -= 1 + int(described.named.get("pad_token_id", 1) or 0)
    limits = [n for n in (named, told, positions) if isinstance(n, int) and 0 < n < _NO_LIMIT]
    if isinstance(named, int) and 0 < named < _NO_LIMIT:
        limits = [n for n in (named, positions) if n is not None]
    if not limits:
        raise Invalid(f"{folder}: nothing says how many tokens it reads. Write max_seq_length into {_LENGTH_FILES[0]}.")
    return min(limits)


def _check_one_label(folder: Path, described: Mapping[str, Any]) -> None:
    labels = described.get("id2label")
    count = described.get("num_labels") or (len(labels) if isinstance(labels, dict) else 2)
    if count != 1:
        raise Invalid(
            f"{folder}/config.json: a classifier with {count} labels. One with a single label tells relevance, and "
            "ranks documents; others are not served."
        )


def _kind_of_description(folder: Path) -> str | None:
    """The class of sentence-transformers that saved the model, where it says so."""
    kind = _object(folder / _DESCRIPTION).get("model_type")
    return kind if isinstance(kind, str) else None


def _architecture(described: Mapping[str, Any]) -> str:
    named = described.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else ""


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; nothing for a file that is not there."""
    return read_json(path) or {}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(f"{path}: not JSON ({error}). Copy the file again.") from error
