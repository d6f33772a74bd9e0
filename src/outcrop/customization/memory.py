"""How much memory a training run needs at its peak, and whether this machine has it: asked before a job is accepted.

Arithmetic over the model's own files and configuration; no tensor is touched. It means to be an upper estimate, not yet
held against measured peaks: activations of one row of tokens without recomputation, all weights in fp32.
"""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid
from outcrop.network import headers
from outcrop.network.method import OFT, Full, LoRA, Method

ROW_TOKENS = 2048
"Tokens of a row when no single record is longer; the training plan packs records up to this."
_COPIES = 9
"Of what is trained: itself, its gradient, two moments, the best so far and its successor, and a checkpoint's three."
_PROCESS_BYTES = 700_000_000
"Interpreter, torch and transformers: an allowance."
_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Need:
    """Peak memory of one run, in bytes."""

    weights: int
    activations: int
    trained: int
    "What comes with the weights that learn: gradient, optimizer, and copies of them."

    @property
    def total(self) -> int:
        return _PROCESS_BYTES + self.weights + self.activations + self.trained


def need(folder: Path, *, longest_tokens: int, method: Method, token_budget: int = ROW_TOKENS) -> Need:
    """Memory to train the model in `folder` by `method`, in rows of `token_budget` tokens or one longer record."""
    config = _text_config(json.loads((folder / "config.json").read_text()))
    hidden = _number(config, "hidden_size", "n_embd")
    layers = _number(config, "num_hidden_layers", "n_layer")
    inner = config.get("intermediate_size") or config.get("n_inner") or 4 * hidden
    num_parameters = _num_parameters(folder)
    # Kept for the backward pass per token and layer: what the norms, attention and the gated product remember, and what
    # the method does; for the head, logits, their softmax and its gradient.
    match method:
        case LoRA():
            trained = layers * method.rank * (10 * hidden + 3 * (hidden + inner))
            beside = 8 * method.rank + (2 * (5 * hidden + 2 * inner) if method.decomposed else 0)
        case OFT():
            trained = layers * (6 * hidden + inner) * method.block_size // 2
            beside = 6 * hidden + inner
        case Full():
            trained, beside = num_parameters, 6 * hidden + inner
    per_token = layers * (18 * hidden + 7 * inner + beside) + 3 * config["vocab_size"]
    tokens = max(token_budget, longest_tokens)
    return Need(weights=num_parameters * 4, activations=tokens * per_token * 4, trained=trained * 4 * _COPIES)


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
    mends = {
        wanted.activations: "shorten the longest record, or lower outcrop.tokensPerRow",
        wanted.trained: "choose another outcrop.method or a smaller base model",
        wanted.weights: "choose a smaller base model",
    }
    mend = mends[max(mends)]
    raise Invalid(
        f"{model_id}: training needs about {wanted.total / _GIB:.1f} GiB ({wanted.weights / _GIB:.1f} for the weights, "
        f"{wanted.activations / _GIB:.1f} for the longest row, {wanted.trained / _GIB:.1f} for what is trained), and "
        f"this machine has {free / _GIB:.1f} GiB free. Free some memory, or {mend}."
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
    count = sum(math.prod(shape) for shape in headers.shapes(folder).values())
    return count or sum(path.stat().st_size for path in folder.glob("*.bin")) // 2


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    """A multimodal model keeps its language model's numbers one level deeper."""
    inner: dict[str, Any] | None = config.get("text_config")
    return inner if inner else config


def _number(config: dict[str, Any], *names: str) -> int:
    return next(int(config[name]) for name in names if name in config)
