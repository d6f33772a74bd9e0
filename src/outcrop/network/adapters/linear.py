"""Linear layers that hold many adapters at once.

A base network is loaded once; `hold_adapters` replaces its linear layers by `AdapterLinear`, which does to each token
what the adapter it belongs to asks for. Training has one adapter for the whole row, an engine several side by side.
What an adapter does at a layer is an `Update`: `lora.py`, `dora.py`, `oft.py`.

Shapes: T tokens, I input width, O output width.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

Linear: TypeAlias = nn.Linear | Conv1D
_CLOSE = 1e-2
"Between two ways to one product in 16 bits."


class Update(Protocol):
    """The update that one adapter makes at one layer: to its inputs, then to its outputs."""

    def before(self, x_BTI: Tensor) -> Tensor:
        """The input of the frozen layer in place of x; x itself where nothing changes."""
        ...

    def after(self, x_BTI: Tensor, y_BTO: Tensor, base: Linear) -> Tensor:
        """The output, from the frozen layer's own: y is base(before(x))."""
        ...

    def both(self, x_BTI: Tensor, base: Linear) -> Tensor:
        """The layer's output, base and update together, where one update is for all tokens."""
        return self.after(x_BTI, base(self.before(x_BTI)), base)

    def parameters(self) -> dict[str, nn.Parameter]:
        """The weights, by the names PEFT gives them after the layer's."""
        ...

    def served(self, base: Linear) -> "Update":
        """The update for serving, in the base's precision.

        All is done once that a frozen update need not do at every token.
        """
        ...

    def merged(self, base: Linear) -> Tensor:
        """The one weight that answers as base and update do together, OI in fp32."""
        ...


class AdapterSpan(NamedTuple):
    """The tokens start..end of a row, and the adapter they use; None is the bare base model."""

    start: int
    end: int
    adapter: str | None


@dataclass(kw_only=True)
class Routing:
    """The adapter that each token of the current row uses. One object shared by all layers, set before each forward.

    No spans are the bare base; else they fill the row, so that one span is one adapter for all of it.
    """

    spans: list[AdapterSpan] = field(default_factory=list)


class MixedUpdates:
    """The answer where the tokens of a row use different updates."""


MIXED = MixedUpdates()


class AdapterLinear(nn.Module):
    """A frozen linear layer with the updates of adapters around it: x_BTI -> y_BTO with B = 1."""

    def __init__(self, base: Linear, routing: Routing) -> None:
        super().__init__()
        self.base = base
        self.routing = routing
        self.updates: dict[str, Update] = {}

    @property
    def widths(self) -> tuple[int, int]:
        """(I, O)"""
        if isinstance(self.base, nn.Linear):
            return self.base.in_features, self.base.out_features
        num_outputs, num_inputs = weight_of(self.base).shape
        return num_inputs, num_outputs

    def only_update(self, num_tokens: int) -> "Update | MixedUpdates | None":
        """The update that all tokens of the row use alike, or None; `MIXED` where it differs."""
        found = self._found()
        if not found:
            return None
        return found[0][2] if _covers(found, num_tokens) else MIXED

    def _found(self) -> list[tuple[int, int, Update]]:
        return [
            (start, end, self.updates[adapter])
            for start, end, adapter in self.routing.spans
            if adapter is not None and adapter in self.updates
        ]

    @property
    def weight(self) -> Tensor:
        """The frozen layer's: some families multiply by it themselves, and there no adapter acts."""
        return self.base.weight

    @property
    def bias(self) -> Tensor | None:
        """The frozen layer's."""
        return self.base.bias

    def forward(self, x_BTI: Tensor) -> Tensor:
        found = self._found()
        if x_BTI.ndim != 3 or x_BTI.shape[0] != 1:
            return self._in_a_list(x_BTI, found)
        if _covers(found, x_BTI.shape[1]):
            return found[0][2].both(x_BTI, self.base)
        if len(self.routing.spans) > 1 and x_BTI.shape[1] != self.routing.spans[-1].end:
            raise RuntimeError(
                f"a layer was given {x_BTI.shape[1]} of {self.routing.spans[-1].end} tokens, nobody knows whose"
            )
        changed_BTI = x_BTI
        for start, end, update in found:
            part = x_BTI[:, start:end]
            if (turned := update.before(part)) is not part:
                changed_BTI = x_BTI.clone() if changed_BTI is x_BTI else changed_BTI
                changed_BTI[:, start:end] = turned
        y_BTO: Tensor = self.base(changed_BTI)
        for start, end, update in found:
            y_BTO[:, start:end] = update.after(x_BTI[:, start:end], y_BTO[:, start:end], self.base)
        return y_BTO

    def _in_a_list(self, x_I: Tensor, found: list[tuple[int, int, Update]]) -> Tensor:
        """The layer's output for tokens that do not lie as a row.

        Blocks of experts give some of them, in an order of their own.
        """
        if not found:
            return self.base(x_I)  # type: ignore[no-any-return]
        if len(self.routing.spans) == 1:
            return found[0][2].both(x_I, self.base)
        flat_1TI = x_I.reshape(1, -1, x_I.shape[-1])
        y_1TO = self.forward(flat_1TI)
        return y_1TO.reshape(*x_I.shape[:-1], y_1TO.shape[-1])


def _covers(found: Sequence[tuple[int, int, Update]], num_tokens: int) -> bool:
    """Whether there is one update for all tokens, or for what a trimmed last layer left of them."""
    return len(found) == 1 and found[0][0] == 0 and found[0][1] >= num_tokens


def weight_of(base: Linear) -> Tensor:
    """W_OI; GPT-2's Conv1D keeps it transposed."""
    return base.weight.T if isinstance(base, Conv1D) else base.weight


def like_of(base: Linear) -> Tensor:
    """A tensor of the kind of a layer's weight: of its dtype, and where it is."""
    packed: Tensor | None = getattr(base, "like", None)  # whose weight is put together when it is asked for
    return base.weight if packed is None else packed


def hold_adapters(network: nn.Module) -> Routing:
    """Replace every linear layer but the LM head by an AdapterLinear; the returned routing steers them all.

    A router that is a linear layer with more to its answer stays as it is. All weights of the base are frozen.
    """
    routing = Routing()
    head = network.get_output_embeddings()  # type: ignore[operator]
    found = [(n, m) for n, m in network.named_modules() if _is_plain(m) and m is not head]
    network.requires_grad_(False)
    for name, layer in found:
        _put(network, name, AdapterLinear(layer, routing))
    return routing


def _is_plain(module: nn.Module) -> TypeGuard[Linear]:
    """Whether it answers with W x + bias. A family's own class of linear layer is tried out, since routers are such."""
    if not isinstance(module, Linear):
        return False
    return type(module).forward in (nn.Linear.forward, Conv1D.forward) or _answers_alike(module)


@torch.no_grad()
def _answers_alike(module: Linear) -> bool:
    weight_OI = weight_of(module)
    x_1I = torch.linspace(-1, 1, weight_OI.shape[1]).to(weight_OI).unsqueeze(0)
    try:
        theirs: object = module(x_1I)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False  # whatever such a layer expects, it is not this
    mine_1O = functional.linear(x_1I, weight_OI, module.bias)
    if not isinstance(theirs, Tensor) or theirs.shape != mine_1O.shape:
        return False
    return bool(torch.isclose(theirs, mine_1O, rtol=_CLOSE, atol=_CLOSE).all())


def layers(network: nn.Module) -> Iterator[tuple[str, AdapterLinear]]:
    """The layers that hold adapters, with their names in the base network."""
    return ((name, layer) for name, layer in network.named_modules() if isinstance(layer, AdapterLinear))


def unload(network: nn.Module, adapter: str) -> None:
    """Forget an adapter; nothing happens when no layer holds it."""
    for _, layer in layers(network):
        layer.updates.pop(adapter, None)


def is_transposed(network: nn.Module) -> bool:
    """Whether the layers keep their weights as GPT-2 does (PEFT's `fan_in_fan_out`)."""
    return any(isinstance(layer.base, Conv1D) for _, layer in layers(network))


@torch.no_grad()
def merge(network: nn.Module, adapter: str) -> None:
    """Make an adapter part of the base's own weights, and forget it as an adapter.

    A base in 16 bits rounds what it takes in; the sum itself is made in fp32.
    """
    for _, layer in layers(network):
        if (update := layer.updates.pop(adapter, None)) is not None:
            weight_of(layer.base).copy_(update.merged(layer.base))


@contextmanager
def bare(network: nn.Module) -> Iterator[None]:
    """Within, the network has its own linear layers again, under their own names."""
    held = list(layers(network))
    for name, layer in held:
        _put(network, name, layer.base)
    try:
        yield
    finally:
        for name, layer in held:
            _put(network, name, layer)


def _put(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, layer)
