"""DoRA at one layer: LoRA gives each row of the weight its direction, a learned magnitude its length.

Source: Liu et al. 2024, arXiv:2402.09353, section 4; as its section 4.3 proposes, and PEFT does, the length that LoRA
alone would give counts as a constant in the backward pass.
Shapes: T tokens, I input width, O output width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from outcrop.network.adapters.linear import Linear, Update, weight_of
from outcrop.network.adapters.lora import LoRAUpdate

MAGNITUDE = "lora_magnitude_vector"


@dataclass(frozen=True, kw_only=True, eq=False)
class DoRAUpdate(Update):
    """A DoRA update at one layer.

    y = gain · (W x + scale · B A x) + bias, where gain = magnitude / |W + scale · B A|, row by row.
    """

    direction: LoRAUpdate
    magnitude_O: Tensor

    def before(self, x_BTI: Tensor) -> Tensor:
        return x_BTI

    def after(self, x_BTI: Tensor, y_BTO: Tensor, base: Linear) -> Tensor:
        gain_O = self.magnitude_O / lengths_of(base, self.direction)
        seen_BTI = self.direction.seen(x_BTI)
        # Where inputs are dropped, what the update scales is the frozen weight's answer to those that are left.
        plain_BTO = without_bias(y_BTO, base) if seen_BTI is x_BTI else linear(seen_BTI, weight_of(base))
        update_BTO = (gain_O - 1) * plain_BTO + gain_O * self.direction.product(seen_BTI)
        return y_BTO + update_BTO.to(y_BTO.dtype)

    def parameters(self) -> dict[str, nn.Parameter]:
        assert isinstance(self.magnitude_O, nn.Parameter), "what is served has no parameters"
        return {**self.direction.parameters(), MAGNITUDE: self.magnitude_O}

    def served(self, base: Linear) -> "ServedDoRA":
        gain_O = (self.magnitude_O / lengths_of(base, self.direction)).detach()
        direction = self.direction
        wide = LoRAUpdate(a_RI=direction.a_RI, b_OR=direction.b_OR * gain_O.unsqueeze(1), scale=direction.scale)
        return ServedDoRA(added=wide.served(base), surplus_O=(gain_O - 1).to(base.weight))

    def merged(self, base: Linear) -> Tensor:
        whole_OI = self.direction.merged(base)
        return whole_OI * (self.magnitude_O / lengths_of(base, self.direction)).unsqueeze(1)


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedDoRA(Update):
    """A DoRA update that is served: its gains are known, and the low-rank part has taken them in."""

    added: LoRAUpdate
    surplus_O: Tensor
    "gain - 1"

    def before(self, x_BTI: Tensor) -> Tensor:
        return x_BTI

    def after(self, x_BTI: Tensor, y_BTO: Tensor, base: Linear) -> Tensor:
        return y_BTO + self.surplus_O * without_bias(y_BTO, base) + self.added.product(x_BTI)

    def parameters(self) -> dict[str, nn.Parameter]:
        return self.added.parameters()

    def served(self, base: Linear) -> "ServedDoRA":
        del base
        return self

    def merged(self, base: Linear) -> Tensor:
        return weight_of(base).float() * (1 + self.surplus_O.unsqueeze(1)) + self.added.weight()


def fresh(base: Linear, direction: LoRAUpdate) -> DoRAUpdate:
    """The magnitudes are the lengths there are, so a fresh adapter changes nothing."""
    return DoRAUpdate(direction=direction, magnitude_O=nn.Parameter(lengths_of(base, direction)))


@torch.no_grad()
def lengths_of(base: Linear, direction: LoRAUpdate) -> Tensor:
    """|W + scale · B A| of each row, in fp32."""
    lengths_O: Tensor = torch.linalg.vector_norm(direction.merged(base), dim=1)
    return lengths_O


def without_bias(y_BTO: Tensor, base: Linear) -> Tensor:
    return y_BTO if base.bias is None else y_BTO - base.bias
