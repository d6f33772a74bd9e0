"""Facts about a network from its configuration, by whichever name its family has for each. Reads JSON; no tensors.

Families of `transformers` call the same number `hidden_size`, `d_model` or `n_embd`; nobody else in the house reads
such a name, and only `sizes` writes one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid

WIDTH_NAMES = ("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "emb_dim", "embedding_dim", "model_dim")
LAYER_NAMES = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_decoder_layers", "num_blocks"
)  # fmt: skip
HEAD_NAMES = (
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_heads",
    "decoder_attention_heads",
    "num_decoder_attention_heads",
)
HEAD_WIDTH_NAMES = ("head_dim", "v_head_dim", "kv_channels")
_CONTEXT = (
    "max_position_embeddings", "n_positions", "seq_length", "max_seq_len", "max_sequence_length", "n_ctx",
    "context_length", "max_seq_length", "max_context_length", "max_target_positions", "model_max_length",
)  # fmt: skip
_WINDOW = ("sliding_window", "attention_window_size", "window_size", "attention_chunk_size", "local_attention")

_INNER_PARTS = ("text_config", "llm_config", "language_config", "decoder", "decoder_config")
_BESIDE = ("transformers_version", "dtype", "torch_dtype", "_name_or_path", "use_cache")
"What saving a network anew may change."


@dataclass(frozen=True)
class Facts:
    """The numbers of one network's configuration.

    Raises Invalid, naming the file and the names that were looked for, where a number is missing.
    """

    named: Mapping[str, Any]
    source: str

    @property
    def kind(self) -> str:
        """The family, as `transformers` calls it."""
        return str(self.named.get("model_type") or "unknown")

    @property
    def width(self) -> int:
        return self._demand("width", WIDTH_NAMES)

    @property
    def layers(self) -> int:
        return self._demand("number of layers", LAYER_NAMES)

    @property
    def heads(self) -> int:
        """0 for a network without attention."""
        return self._find(HEAD_NAMES) or 0

    @property
    def head_width(self) -> int:
        """0 for a network without attention."""
        return self._find(HEAD_WIDTH_NAMES) or (self.width // self.heads if self.heads else 0)

    @property
    def context(self) -> int:
        """Most tokens the network attends to; with dynamic NTK scaling that is a multiple of what is named."""
        return int(self._demand("context length", _CONTEXT) * self._stretch)

    @property
    def _stretch(self) -> float:
        kind = str(self._rope.get("rope_type", self._rope.get("type")))
        return float(self._rope.get("factor", 1.0)) if "dynamic" in kind else 1.0

    @property
    def _rope(self) -> Mapping[str, Any]:
        rope = self.named.get("rope_parameters") or self.named.get("rope_scaling")
        return rope if isinstance(rope, dict) else {}

    @property
    def has_context(self) -> bool:
        """Recurrent networks have no end, and name none."""
        return self._find(_CONTEXT) is not None

    @property
    def windows(self) -> list[int]:
        """Lengths beyond which some layer sees otherwise, as far as they are named."""
        found = [self.named.get(name) for name in _WINDOW]
        found += [place.get("original_max_position_embeddings") for place in (self._rope, self.named)]
        return sorted({number for number in found if isinstance(number, int) and number > 0})

    def _demand(self, what: str, names: tuple[str, ...]) -> int:
        found = self._find(names)
        if found is None:
            raise Invalid(f"{self.source}: none of {', '.join(names)} tells the network's {what}. Add one.")
        return found

    def _find(self, names: tuple[str, ...]) -> int | None:
        for name in names:
            value = self.named.get(name)
            if isinstance(value, list) and value and all(isinstance(one, int) for one in value):
                value = max(value)  # one for each layer
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
        return None


def read(folder: Path) -> Facts:
    """The configuration of the model in `folder`. Raises Invalid for a file that is no configuration."""
    path = folder / "config.json"
    try:
        described = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(f"{path}: cannot be read as JSON ({error}). Copy it anew from where the model came.") from error
    if not isinstance(described, dict):
        raise Invalid(f"{path}: holds no JSON object. Copy it anew from where the model came.")
    return Facts(_text(described), str(path))


def of_config(config: Any) -> Facts:
    """The facts of a configuration that `transformers` has read, with its defaults filled in."""
    named = {**config.get_text_config().to_dict(), "model_type": config.model_type}
    return Facts(named, f"{config.model_type}: its configuration")


def are_alike(one: Path, other: Path) -> bool:
    """Whether two configurations are of the same network, which may hold other weights."""
    ours, theirs = ({k: v for k, v in read(folder).named.items() if k not in _BESIDE} for folder in (one, other))
    return ours == theirs


def digest(folder: Path) -> str:
    """The SHA-256 of the config.json that a verdict holds for."""
    return hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()


def parts(described: dict[str, Any]) -> list[dict[str, Any]]:
    """The levels of a configuration on which the numbers of its language model may stand, the outer one first."""
    inner = (described.get(name) for name in _INNER_PARTS)
    return [described, *(part for part in inner if isinstance(part, dict))][:2]


def _text(described: dict[str, Any]) -> dict[str, Any]:
    """A network for more than text keeps its language model's numbers one level deeper."""
    _, *inner = parts(described)
    if not inner:
        return described
    return {**described, **inner[0], "model_type": described.get("model_type", inner[0].get("model_type"))}
