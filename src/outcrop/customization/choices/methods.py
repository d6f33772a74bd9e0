"""The training method of a job.

It is what the job asks for, and for the rest what the custom model it trains further has.
"""

from collections.abc import Mapping
from dataclasses import replace

from outcrop.customization.choices import initialize
from outcrop.errors import Invalid
from outcrop.network.adapters.method import DEFAULT, OFT, Full, LoRA, Method

ALL_LINEAR = "all-linear"
_RECOMMENDED = "recommended"
_BLOCK_SIZE = 32

LEARNING_RATE_BESIDE_LORA = {"lora": 1.0, "dora": 1.0, "oft": 1.0, "full": 0.3}
"What suits each method, as a multiple of what suits LoRA on the same network; measured, docs/training.md."

_BELONGS_TO = {
    "outcrop.rank": ("lora", "dora"),
    "outcrop.alpha": ("lora", "dora"),
    "outcrop.dropout": ("lora", "dora"),
    "outcrop.rslora": ("lora", "dora"),
    "outcrop.blockSize": ("oft",),
    "outcrop.targets": ("lora", "dora", "oft"),
}


def method_of(values: Mapping[str, str], parent: Method | None) -> Method:
    """The method that `values` ask for. Raises Invalid for values that belong to another one."""
    name = values.get("outcrop.method", _RECOMMENDED)
    if values.get(initialize.NAME) == initialize.RANDOM:
        if name not in (_RECOMMENDED, "full"):
            raise Invalid(
                f"hyperParameters.outcrop.method: {name} learns beside weights that are kept, and random ones are not "
                f"worth keeping. Remove it, or choose full, or another {initialize.NAME}."
            )
        name = "full"
    if name == _RECOMMENDED:
        name = parent.name if parent is not None else DEFAULT.name
    problems = [
        f"hyperParameters.{value}: belongs to {' and '.join(methods)}, and this job trains by {name}. Remove it, or "
        "choose another outcrop.method."
        for value, methods in _BELONGS_TO.items()
        if _given(values, value) is not None and name not in methods
    ]
    if problems:
        raise Invalid(" ".join(problems))
    if name == "full":
        return Full()
    return _oft(values, parent) if name == "oft" else _lora(values, parent, decomposed=name == "dora")


def _lora(values: Mapping[str, str], parent: Method | None, *, decomposed: bool) -> LoRA:
    alike = isinstance(parent, LoRA) and parent.decomposed == decomposed
    like = parent if alike and isinstance(parent, LoRA) else replace(DEFAULT, decomposed=decomposed)
    rank, alpha = _given(values, "outcrop.rank"), _given(values, "outcrop.alpha")
    chosen = like.rank if rank is None else int(rank)
    usual = like.alpha if rank is None else 2.0 * chosen
    return replace(
        like,
        rank=chosen,
        alpha=usual if alpha is None else float(alpha),
        dropout=float(values.get("outcrop.dropout", like.dropout)),
        stabilized=values["outcrop.rslora"] == "true" if "outcrop.rslora" in values else like.stabilized,
        targets=_targets(values, like.targets),
    )


def _oft(values: Mapping[str, str], parent: Method | None) -> OFT:
    like = parent if isinstance(parent, OFT) else OFT(block_size=_BLOCK_SIZE)
    block_size = _given(values, "outcrop.blockSize")
    return replace(
        like,
        block_size=like.block_size if block_size is None else int(block_size),
        targets=_targets(values, like.targets),
    )


def _targets(values: Mapping[str, str], usual: tuple[str, ...]) -> tuple[str, ...]:
    given = values.get("outcrop.targets")
    if given is None:
        return usual
    return () if given == ALL_LINEAR else tuple(sorted(set(given.split(","))))


def _given(values: Mapping[str, str], name: str) -> str | None:
    text = values.get(name, _RECOMMENDED)
    return None if text == _RECOMMENDED else text
