"""Rotary positions whose angles depend on how long the sequence is: LongRoPE and dynamic NTK scaling.

`transformers` takes the length from the greatest position it is given, and so one length for a whole row. Here many
sequences share a row, and a step reads only a part of each. So such a module is given a class that asks the `Layout`
where each sequence lies and how long it is, and calls the family's own `forward` once for each length that makes a
difference, as for a sequence alone. Sources: Ding et al. 2024, arXiv:2402.13753; Peng et al. 2023, arXiv:2309.00071,
appendix B.1. Where nothing depends on the length, nothing is changed.

Shapes: B = 1 row, T tokens of the row, D head width.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from outcrop.errors import Invalid
from outcrop.network import swaps
from outcrop.network.attention import SequenceSpan

LONGROPE, DYNAMIC = "longrope", "dynamic"
_FEW = 3
"Positions on which a module is tried out."
_FAR = 4
"A sequence of this many times the longest context is surely long."


@dataclass(frozen=True, kw_only=True)
class RotaryRule:
    """The sequence length from which on rotary positions have other angles."""

    border: int
    "The longest sequence with the usual angles."
    grows: bool
    "Whether the angles change with each further token; else there is one other set of them."

    def alike(self, length: int) -> int:
        """A length that stands for all with the same angles as `length`."""
        if length <= self.border:
            return self.border
        return length if self.grows else self.border + 1


@dataclass(frozen=True, kw_only=True)
class RotaryRules:
    """The sequence lengths on which the rotary angles of a whole network depend."""

    rules: tuple[RotaryRule, ...] = ()

    def alike(self, length: int) -> tuple[int, ...]:
        """Equal for two lengths of a sequence exactly if its remembered keys are good for both."""
        return tuple(rule.alike(length) for rule in self.rules)

    def usual(self, length: int) -> bool:
        """Whether a sequence of this length has the angles of a short one."""
        return all(length <= rule.border for rule in self.rules)


def rotary_rules_of(network: nn.Module) -> RotaryRules:
    """The angles of a network that `make_per_sequence` has seen."""
    found = (rule for module in network.modules() if isinstance(module, _PerSequence) for rule in module.rules.values())
    return RotaryRules(rules=tuple(dict.fromkeys(found)))


def make_per_sequence(network: Any) -> None:
    """Have rotary positions that depend on a length take that of each sequence of the row.

    Raises Invalid for such positions in a form that is not known here.
    """
    tried = False
    for owner in list(network.modules()):
        rotaries = [child for child in owner.children() if _is_rotary(child)]
        tried |= bool(rotaries)
        changed = [rotary for rotary in rotaries if _change(rotary, network)]
        if changed:
            owner.register_forward_pre_hook(_tell, with_kwargs=True)
            owner.register_forward_hook(_forget, always_call=True)
    if not tried and (named := sorted(kind for kind in _rope_types(network.config) if _depends(kind))):
        raise Invalid(
            f"{network.config.model_type}: its rope_type {', '.join(named)} depends on the length of the sequence, and "
            "the module that computes it was not found. Use a network of the Phi-3, Llama or Qwen families."
        )


def depends(network: Any) -> bool:
    """Whether its configuration names rotary positions that depend on the length of the sequence."""
    return any(_depends(kind) for kind in _rope_types(network.config))


def make_forgetful(network: Any) -> None:
    """Have length-dependent rotary positions take the length of the row they are given, whatever rows came before.

    Rows that other replicas compute do not matter either. For networks that take one record a row. The modules change
    their buffers, which replicas share, and those of dynamic scaling keep the angles of the longest row they have seen.

    For networks that take one record a row. The modules change their buffers, which lanes share, and those of dynamic
    scaling keep the angles of the longest row they have seen.
    """
    for module in list(network.modules()):
        if "Rotary" in type(module).__name__ and any(map(_depends, _kinds(module).values())):
            swaps.put_before(module, _Forgetful, own=type(module))


class _Swapped:
    """A rotary module whose class was put behind one of ours."""

    own: type
    "The class it was."


class _Forgetful(_Swapped):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return _twin(self).forward(*args, **kwargs)


class _PerSequence(_Swapped):
    """A rotary module that asks the layout how long each sequence of the row is."""

    rules: dict[str | None, RotaryRule]
    "By kind of layer, for families that have several; None is the only one."
    sequences: Sequence[SequenceSpan] | None = None
    "Of the row that is being computed."

    def forward(self, x: Tensor, position_ids: Tensor, layer_type: str | None = None) -> Any:
        rule = self.rules.get(layer_type)
        if rule is None:
            return _alone(self, x, position_ids, None, layer_type)
        assert self.sequences is not None, "the module that owns the rotary positions was not called with layout="
        places: dict[int, list[Tensor]] = {}
        for start, end, length in self.sequences:
            places.setdefault(rule.alike(length), []).append(torch.arange(start, end, device=position_ids.device))
        if len(places) <= 1:  # a layout that tells of no sequence has short ones alone
            return _alone(self, x, position_ids, next(iter(places), rule.border), layer_type)
        ats = {length: torch.cat(found) for length, found in places.items()}
        assert sum(map(len, ats.values())) == position_ids.shape[-1], "the sequences must fill the row"
        parts = [_alone(self, x, position_ids[..., at], length, layer_type) for length, at in ats.items()]
        order = torch.cat(list(ats.values())).argsort()
        if isinstance(parts[0], Tensor):
            return torch.cat(parts, dim=-2).index_select(-2, order)
        return tuple(torch.cat(each, dim=-2).index_select(-2, order) for each in zip(*parts, strict=True))


def _alone(rotary: Any, x: Tensor, positions_BT: Tensor, length: int | None, layer_type: str | None) -> Any:
    """The rotary values of the family's own module for these positions in a sequence of `length` tokens.

    The module computes as it was loaded.
    """
    twin, kind = _twin(rotary), {} if layer_type is None else {"layer_type": layer_type}
    if length is None:
        return twin.forward(x, positions_BT, **kind)
    last = positions_BT.new_full((*positions_BT.shape[:-1], 1), length - 1)
    found = twin.forward(x, torch.cat([positions_BT, last], dim=-1), **kind)
    return found[..., :-1, :] if isinstance(found, Tensor) else tuple(part[..., :-1, :] for part in found)


def _twin(rotary: Any) -> Any:
    """A copy that may change itself, as these modules do: another thread, or the next row, shall not see it."""
    own: Any = rotary.own if isinstance(rotary, _Swapped) else type(rotary)
    twin = own.__new__(own)
    twin.__dict__ = rotary.__dict__ | {"_buffers": {name: b.clone() for name, b in rotary.named_buffers(recurse=False)}}
    return twin


def _is_rotary(module: nn.Module) -> bool:
    """Whether a module computes rotary positions, by the signature that all families have.

    It is forward(x, position_ids), perhaps with a layer_type.
    """
    if "Rotary" not in type(module).__name__:
        return False
    names = list(inspect.signature(module.forward).parameters)
    return names[1:] in (["position_ids"], ["position_ids", "layer_type"])


def _change(rotary: nn.Module, network: Any) -> bool:
    """Whether it depends on the length; its class is then another."""
    rules = dict(_rules(rotary, network))
    if not rules:
        return False
    swaps.put_before(rotary, _PerSequence, own=type(rotary), rules=rules)
    return True


def _rules(rotary: Any, network: Any) -> Iterator[tuple[str | None, RotaryRule]]:
    for layer_type, kind in _kinds(rotary).items():
        rule = _rule(rotary, kind, layer_type)
        far = _FAR * max(int(rotary.config.max_position_embeddings), rule.border if rule else 0)
        if _equal(_try(rotary, layer_type, None), _try(rotary, layer_type, far)):
            continue
        if rule is None or not _keeps(rotary, layer_type, rule, far):
            raise Invalid(
                f"{network.config.model_type}: its rotary positions ({type(rotary).__name__}, rope_type {kind}) depend "
                "on the length of the sequence in a way that is not known here, so records side by side would change "
                f"each other. Known are {LONGROPE} and {DYNAMIC}."
            )
        yield layer_type, rule


def _kinds(rotary: Any) -> dict[str | None, str]:
    """The `rope_type` of each kind of layer; None is the only one."""
    kind = getattr(rotary, "rope_type", "default")
    return kind if isinstance(kind, dict) else {None: str(kind)}


def _rule(rotary: Any, kind: str, layer_type: str | None) -> RotaryRule | None:
    parameters = rotary.config.rope_parameters
    if layer_type is not None:
        parameters = parameters[layer_type]
    if kind == LONGROPE:
        return RotaryRule(border=int(parameters["original_max_position_embeddings"]), grows=False)
    return RotaryRule(border=int(rotary.config.max_position_embeddings), grows=True) if DYNAMIC in kind else None


def _keeps(rotary: nn.Module, layer_type: str | None, rule: RotaryRule, far: int) -> bool:
    """Whether the module changes its angles where the rule says it does, and nowhere else."""
    if not far > rule.border >= _FEW:
        return False
    usual, first, last, changed, farthest = (
        _try(rotary, layer_type, length) for length in (None, _FEW, rule.border, rule.border + 1, far)
    )
    return (
        _equal(usual, first)
        and _equal(usual, last)
        and not _equal(usual, changed)
        and _equal(changed, farthest) is not rule.grows
    )


def _try(rotary: nn.Module, layer_type: str | None, length: int | None) -> Any:
    buffer = next(rotary.buffers(), torch.empty(0))
    x_B1D = torch.empty(1, _FEW, 1, device=buffer.device)
    with torch.no_grad():
        return _alone(rotary, x_B1D, torch.arange(_FEW, device=buffer.device).unsqueeze(0), length, layer_type)


def _equal(one: Any, other: Any) -> bool:
    pairs = [(one, other)] if isinstance(one, Tensor) else zip(one, other, strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def _tell(owner: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
    """Before its forward: where the sequences of its row lie."""
    del args
    layout = kwargs.get("layout")
    assert layout is not None, "call the network with layout="
    for child in owner.children():
        if isinstance(child, _PerSequence):
            child.sequences = layout.sequences()


def _forget(owner: nn.Module, args: Any, output: Any) -> None:
    """After it: the next row is another."""
    del args, output
    for child in owner.children():
        if isinstance(child, _PerSequence):
            child.sequences = None


def _rope_types(config: Any) -> set[str]:
    parameters = getattr(config.get_text_config(), "rope_parameters", None) or {}
    several = [value for value in parameters.values() if isinstance(value, dict)] or [parameters]
    return {str(each.get("rope_type", "default")) for each in several}


def _depends(rope_type: str) -> bool:
    return rope_type == LONGROPE or DYNAMIC in rope_type
