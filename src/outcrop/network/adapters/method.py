"""How a network is trained: one value for each method, and `adapter_config.json`, where PEFT keeps them. No tensors.

Who only asks what a custom model is made of needs no torch for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from outcrop.errors import Invalid, ModelDamaged
from outcrop.json_files import (
    Either,
    FileProblem,
    JsonFlag,
    JsonItems,
    JsonNumber,
    JsonShape,
    JsonText,
    Members,
    Nothing,
    optional,
    read,
)

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
OWN_BASE = "base-"
"A custom model's folder may hold the network below its adapter, under this and the id of the model that first had it."

# What in a file of PEFT's would change the answers, and is not understood here.
_LORA_ODD = (
    "alora_invocation_tokens", "alpha_pattern", "arrow_config", "kasa_config", "layer_replication", "lora_bias",
    "megatron_config", "modules_to_save", "monteclora_config", "rank_pattern", "target_parameters",
    "trainable_token_indices", "use_bdlora", "use_qalora", "velora_config",
)  # fmt: skip
_OFT_ODD = ("block_share", "coft", "modules_to_save", "r")
# These begin by changing the base's weights, so that the adapter fits no base one could name.
_CHANGE_THE_BASE = ("corda", "loftq", "lora_ga", "olora", "pissa")


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """Low-rank updates beside the linear layers: W + scale · B A; DoRA when it is `decomposed`.

    Sources: Hu et al. 2021, arXiv:2106.09685, section 4.1; Liu et al. 2024, arXiv:2402.09353, section 4;
    Kalajdzievski 2023, arXiv:2312.03732, for `stabilized`.
    """

    rank: int
    alpha: float
    dropout: float = 0.0
    "Share of a layer's inputs that the update does not see while it is trained."
    targets: tuple[str, ...] = ()
    "Names, or ends of names, of the layers that get one; empty means every linear layer but the LM head."
    stabilized: bool = False
    "Scale by alpha / √rank instead of alpha / rank, so that a larger rank learns no slower (rsLoRA)."
    decomposed: bool = False
    "Learn the length of each row of the weight apart from its direction (DoRA)."

    @property
    def name(self) -> Literal["lora", "dora"]:
        return "dora" if self.decomposed else "lora"

    @property
    def scale(self) -> float:
        return self.alpha / (math.sqrt(self.rank) if self.stabilized else self.rank)

    def __str__(self) -> str:
        kind = f"rank-stabilized {self.name}" if self.stabilized else self.name
        return f"{kind} of rank {self.rank} and alpha {self.alpha:g}{_on(self.targets)}"


@dataclass(frozen=True, kw_only=True)
class OFT:
    """Orthogonal fine-tuning: the inputs of a layer are rotated, block by block, before its frozen weight.

    Sources: Qiu et al. 2023, arXiv:2306.07280; rotating inputs rather than weights, Qiu et al. 2025, arXiv:2506.19847.
    """

    block_size: int
    "Width of a block; a layer whose inputs it does not divide gets the nearest width that does."
    targets: tuple[str, ...] = ()
    "As in LoRA."
    terms: int | None = None
    "Terms of the series that stands for the inverse in Cayley's transform; None computes the inverse."

    @property
    def name(self) -> Literal["oft"]:
        return "oft"

    def __str__(self) -> str:
        return f"oft of block size {self.block_size}{_on(self.targets)}"


@dataclass(frozen=True, kw_only=True)
class Full:
    """Every weight of the network is trained; there is no adapter, the result is a network of its own."""

    @property
    def name(self) -> Literal["full"]:
        return "full"

    def __str__(self) -> str:
        return "full (every weight)"


DEFAULT = LoRA(rank=16, alpha=32.0)

Adapter = LoRA | OFT
Method = Adapter | Full


def continues(parent: Adapter, method: Method) -> bool:
    """Whether training by `method` goes on with the adapter `parent`. Its layers are the parent's if it names none."""
    if isinstance(method, Full):
        return False
    like = replace(parent, targets=()), replace(method, targets=())
    if isinstance(like[0], LoRA) and isinstance(like[1], LoRA):
        like = replace(like[0], dropout=0.0), replace(like[1], dropout=0.0)
    return like[0] == like[1] and (not method.targets or set(method.targets) == set(parent.targets))


def has_adapter(folder: Path) -> bool:
    """Whether a custom model's folder holds an adapter; otherwise it holds a network of its own."""
    return (folder / CONFIG_FILE).is_file()


def method_of(folder: Path) -> Method:
    """How the custom model in `folder` was trained. Raises Invalid."""
    return read_adapter(folder) if has_adapter(folder) or not (folder / "config.json").is_file() else Full()


def read_adapter(folder: Path) -> Adapter:
    """The method of an adapter on disk. Raises Invalid for what cannot be computed exactly as it was meant, and
    ModelDamaged for a file that is missing or no such file."""
    path = folder / CONFIG_FILE
    try:
        config = read(path, _KIND)
        kind = config["peft_type"]
        if kind not in _ADAPTERS:
            raise Invalid(f"{CONFIG_FILE}: peft_type {kind} is not supported. Save the adapter as LoRA, DoRA or OFT.")
        config = read(path, _ADAPTERS[kind])
    except FileProblem as problem:
        raise ModelDamaged(
            f"{problem}. An adapter is a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, as PEFT writes them."
        ) from problem
    _refuse_odd(path, config, _LORA_ODD if kind == "LORA" else _OFT_ODD)
    targets = config.get("target_modules")
    named = tuple(sorted(targets)) if isinstance(targets, list) else ()
    if kind == "OFT":
        return OFT(block_size=int(config["oft_block_size"]), targets=named, terms=_terms(path, config))
    return LoRA(
        rank=int(config["r"]),
        alpha=float(config["lora_alpha"]),
        dropout=float(config.get("lora_dropout") or 0.0),
        targets=named,
        stabilized=bool(config.get("use_rslora")),
        decomposed=bool(config.get("use_dora")),
    )


def config_of(method: Adapter, *, base: str, targets: Sequence[str], transposed: bool) -> dict[str, Any]:
    """`adapter_config.json` of an adapter on the layers `targets` of the base model named `base`.

    `transposed` is true where the layers keep their weights as GPT-2 does.
    """
    common = {
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "target_modules": sorted(targets),
        "bias": "none",
        "fan_in_fan_out": transposed,
        "inference_mode": True,
        # The series of OFT was another one before this version, and PEFT warns of files that name none.
        "peft_version": "0.18.0",
    }
    if isinstance(method, OFT):
        return common | {
            "peft_type": "OFT",
            "r": 0,
            "oft_block_size": method.block_size,
            "module_dropout": 0.0,
            "coft": False,
            "block_share": False,
            "use_cayley_neumann": method.terms is not None,
            "num_cayley_neumann_terms": method.terms or 5,
        }
    return common | {
        "peft_type": "LORA",
        "r": method.rank,
        "lora_alpha": method.alpha,
        "lora_dropout": method.dropout,
        "use_rslora": method.stabilized,
        "use_dora": method.decomposed,
    }


def is_target(layer: str, targets: Sequence[str]) -> bool:
    """Whether `targets` name a layer: by its whole name, or by the end of it after a dot."""
    return not targets or any(layer == target or layer.endswith(f".{target}") for target in targets)


_KIND = Members(required={"peft_type": JsonText(most=100)})
_WIDTH = JsonNumber(whole=True, least=1, most=2**20)
# A text there is an expression over names of layers; which layers have weights is seen in the weights.
_COMMON: dict[str, JsonShape] = {
    "target_modules": Either(of=(Nothing(), JsonText(), JsonItems(of=JsonText(), most=100_000))),
    "bias": optional(JsonText()),
}
_ADAPTERS = {
    "LORA": Members(
        required={"r": _WIDTH, "lora_alpha": JsonNumber(least=-1e9, most=1e9)},
        optional={
            **_COMMON,
            "lora_dropout": optional(JsonNumber(least=0, most=1)),
            "use_rslora": optional(JsonFlag()),
            "use_dora": optional(JsonFlag()),
        },
    ),
    "OFT": Members(
        required={"oft_block_size": _WIDTH},
        optional={
            **_COMMON,
            "use_cayley_neumann": optional(JsonFlag()),
            "num_cayley_neumann_terms": optional(JsonNumber(whole=True, least=0, most=1_000)),
        },
    ),
}


def _terms(path: Path, config: dict[str, Any]) -> int | None:
    if not config.get("use_cayley_neumann", True):
        return None
    given = config.get("num_cayley_neumann_terms")
    terms = 5 if given is None else int(given)
    if terms < 4:  # PEFT sums other series for these
        raise Invalid(f"{path.name}: num_cayley_neumann_terms {terms} is not supported. Use 4 or more.")
    return terms


def _refuse_odd(path: Path, config: dict[str, Any], odd: Sequence[str]) -> None:
    found = [name for name in odd if config.get(name)]
    if config.get("bias", "none") != "none":
        found.append(f"bias {config['bias']!r}")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(_CHANGE_THE_BASE):
        found.append(f"init_lora_weights {start!r}")
    if found:
        raise Invalid(f"{path.name}: {', '.join(found)} is not supported. Save the adapter as plain LoRA, DoRA or OFT.")


def _on(targets: Sequence[str]) -> str:
    return f" on {', '.join(targets)}" if targets else ""
