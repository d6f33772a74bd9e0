"""Linear layers that hold many adapters at once.

A base network is loaded once; `hold_adapters` replaces its linear layers by `AdapterLinear`, which does to each token
what the adapter it belongs to asks for. Training has one adapter for the whole row, an engine several side by side.
What an adapter does at a layer is an `Update`: `lora.py`, `dora.py`, `oft.py`.

Shapes: T tokens, I input width, O output width.
"""

from collections.abc import Callable, Iterator, Sequence
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

    def together(self, x_BTI: Tensor, placed: "Sequence[PlacedUpdate]", base: Linear) -> Tensor | None:
        """The layer's output where several updates learn side by side, itself the first; None: not known how."""
        del x_BTI, placed, base
        return None

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


class PlacedUpdate(NamedTuple):
    """The tokens start..end that a layer was given, and the update that they use."""

    start: int
    end: int
    update: Update


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
    kept_spans: list[AdapterSpan] = field(default_factory=list)
    "The same for the positions that a trimmed last layer leaves of a row of several adapters."

    def among(self, num_tokens: int) -> list[AdapterSpan]:
        """The spans of the tokens that a layer is given. Raises RuntimeError where nobody knows whose they are."""
        if len(self.spans) <= 1:  # one adapter is for all there is, however much of the row that may be
            return [AdapterSpan(0, num_tokens, span.adapter) for span in self.spans]
        for known in (self.spans, self.kept_spans):
            if known and known[-1].end == num_tokens:
                return known
        raise RuntimeError(f"a layer was given {num_tokens} of {self.spans[-1].end} tokens, nobody knows whose")


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

    def updates_at(self, num_tokens: int) -> list[PlacedUpdate]:
        """The updates for so many tokens of the current row, each with its place among them."""
        return [
            PlacedUpdate(start, end, self.updates[adapter])
            for start, end, adapter in self.routing.among(num_tokens)
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
        if x_BTI.ndim != 3 or x_BTI.shape[0] != 1:
            return self._in_a_list(x_BTI)
        placed = self.updates_at(x_BTI.shape[1])
        if _covers(placed, x_BTI.shape[1]):
            return placed[0].update.both(x_BTI, self.base)
        if placed and torch.is_grad_enabled():
            return self._learning(x_BTI, placed)
        changed_BTI = x_BTI
        for start, end, update in placed:
            part = x_BTI[:, start:end]
            if (turned := update.before(part)) is not part:
                changed_BTI = x_BTI.clone() if changed_BTI is x_BTI else changed_BTI
                changed_BTI[:, start:end] = turned
        y_BTO: Tensor = self.base(changed_BTI)
        for start, end, update in placed:
            y_BTO[:, start:end] = update.after(x_BTI[:, start:end], y_BTO[:, start:end], self.base)
        return y_BTO

    def _learning(self, x_BTI: Tensor, placed: Sequence[PlacedUpdate]) -> Tensor:
        """The layer's output with several updates that learn; nothing that autograd remembers is written to."""
        if (found_BTO := placed[0].update.together(x_BTI, placed, self.base)) is not None:
            return found_BTO
        base = self.base
        y_BTO: Tensor = base(_changed(x_BTI, [(start, end, update.before) for start, end, update in placed]))

        def after(start: int, end: int, update: Update) -> Callable[[Tensor], Tensor]:
            return lambda y_BCO: update.after(x_BTI[:, start:end], y_BCO, base)

        return _changed(y_BTO, [(start, end, after(start, end, update)) for start, end, update in placed])

    def _in_a_list(self, x_I: Tensor) -> Tensor:
        """The layer's output for tokens that do not lie as a row.

        Blocks of experts give some of them, in an order of their own.
        """
        spans = self.routing.spans
        if not any(span.adapter in self.updates for span in spans):
            return self.base(x_I)  # type: ignore[no-any-return]
        if len(spans) == 1:
            assert spans[0].adapter is not None, "an adapter was found"
            return self.updates[spans[0].adapter].both(x_I, self.base)
        flat_1TI = x_I.reshape(1, -1, x_I.shape[-1])
        y_1TO = self.forward(flat_1TI)
        return y_1TO.reshape(*x_I.shape[:-1], y_1TO.shape[-1])


def _covers(placed: Sequence[PlacedUpdate], num_tokens: int) -> bool:
    """Whether there is one update for all tokens."""
    return len(placed) == 1 and (placed[0].start, placed[0].end) == (0, num_tokens)


def _changed(x_BTI: Tensor, changes: Sequence[tuple[int, int, Callable[[Tensor], Tensor]]]) -> Tensor:
    """A tensor with some stretches of its tokens changed, in their order; itself where none is."""
    pieces, done, differs = list[Tensor](), 0, False
    for start, end, change in changes:
        part = x_BTI[:, start:end]
        pieces += [x_BTI[:, done:start], change(part)]
        differs |= pieces[-1] is not part
        done = end
    return torch.cat([*pieces, x_BTI[:, done:]], dim=1) if differs else x_BTI


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
