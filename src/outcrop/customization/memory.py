"""How much memory a training run needs at its peak, and whether this machine has it: asked before a job is accepted.

Arithmetic over the model's own files and configuration; no tensor is touched. It means to be an upper estimate, not yet
held against measured peaks: activations of one row of tokens without recomputation, all weights in fp32.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid

ROW_TOKENS = 2048
"Tokens of a row when no single record is longer; the training plan packs records up to this."
_PROCESS_BYTES = 700_000_000
"Interpreter, torch and transformers: an allowance."
_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Need:
    """Peak memory of one run, in bytes."""

    weights: int
    activations: int
    adapter: int

    @property
    def total(self) -> int:
        return _PROCESS_BYTES + self.weights + self.activations + self.adapter


def need(folder: Path, *, longest_tokens: int, rank: int) -> Need:
    """Memory to train LoRA of `rank` on the model in `folder`, whose longest record has `longest_tokens`."""
    config = _text_config(json.loads((folder / "config.json").read_text()))
    hidden = _number(config, "hidden_size", "n_embd")
    layers = _number(config, "num_hidden_layers", "n_layer")
    inner = config.get("intermediate_size") or config.get("n_inner") or 4 * hidden
    tokens = max(ROW_TOKENS, longest_tokens)
    # Kept for the backward pass per token and layer: inputs of every linear layer and its low-rank product, what the
    # norms, attention and the gated product remember; for the head, logits, their softmax and its gradient.
    per_token = layers * (18 * hidden + 7 * inner + 8 * rank) + 3 * config["vocab_size"]
    adapter = layers * rank * (10 * hidden + 3 * (hidden + inner))
    return Need(weights=_num_parameters(folder) * 4, activations=tokens * per_token * 4, adapter=adapter * 4 * 5)


def available() -> int:
    """Bytes that new processes may use: what the kernel calls available, or all memory where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(free, _cgroup_limit())


def check(model_id: str, wanted: Need, free: int) -> None:
    """Raises Invalid, saying what to change, when a run cannot fit."""
    if wanted.total <= free:
        return
    mend = "shorten the longest record" if wanted.activations > wanted.weights else "choose a smaller base model"
    raise Invalid(
        f"{model_id}: training needs about {wanted.total / _GIB:.1f} GiB ({wanted.weights / _GIB:.1f} for the weights, "
        f"{wanted.activations / _GIB:.1f} for the longest row), and this machine has {free / _GIB:.1f} GiB free. "
        f"Free some memory, or {mend}."
    )


def recommended_rate(folder: Path) -> float:
    """A learning rate that suits LoRA on this network: 2e-4 at a width of 2,048, more for narrower ones."""
    hidden = _number(_text_config(json.loads((folder / "config.json").read_text())), "hidden_size", "n_embd")
    return float(min(3e-3, max(5e-5, 2e-4 * 2048 / hidden)))


def _cgroup_limit() -> int:
    """A container's own limit, where there is one."""
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return 2**63
    return int(text) if text.isdigit() else 2**63


def _num_parameters(folder: Path) -> int:
    count = sum(_parameters_in(path) for path in folder.glob("*.safetensors"))
    return count or sum(path.stat().st_size for path in folder.glob("*.bin")) // 2


def _parameters_in(path: Path) -> int:
    """From the header of a safetensors file: a length of 8 bytes, then JSON."""
    with path.open("rb") as file:
        header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    count = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            elements = 1
            for size in tensor["shape"]:
                elements *= size
            count += elements
    return count


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    """A multimodal model keeps its language model's numbers one level deeper."""
    inner: dict[str, Any] | None = config.get("text_config")
    return inner if inner else config


def _number(config: dict[str, Any], *names: str) -> int:
    return next(int(config[name]) for name in names if name in config)
