"""OFT at one layer: its inputs are rotated, block by block, and then meet the frozen weight.

A rotation is Cayley's transform of a skew-symmetric matrix, of which the numbers above the diagonal are learned. Two
forms of it are PEFT's, told apart by its configuration, and they turn in opposite senses:
(I - Q)(I + Q)⁻¹, computed; and (I + Q)(I - Q)⁻¹ as the first terms of the series I + 2Q + 2Q² + … + Q^(terms-1), whose
last term counts once.

Sources: Qiu et al. 2023, arXiv:2306.07280; Qiu et al. 2025, arXiv:2506.19847; the two forms, PEFT 0.21.
Shapes: T tokens, I input width, O output width, N blocks of width K, E = K (K - 1) / 2 learned numbers each.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from outcrop.network.adapters.linear import Linear, Update, weight_of
from outcrop.network.adapters.method import OFT

SKEW = "oft_R.weight"


@dataclass(frozen=True, kw_only=True, eq=False)
class OFTUpdate(Update):
    """An OFT update at one layer, y = W R x + bias. Kept in fp32 while it is trained, also beside a base in bf16."""

    skew_NE: Tensor
    terms: int | None
    "None: the inverse is computed."

    def before(self, x_BTI: Tensor) -> Tensor:
        return turn(x_BTI, self.rotation())

    def after(self, x_BTI: Tensor, y_BTO: Tensor, base: Linear) -> Tensor:
        del x_BTI, base
        return y_BTO

    def rotation(self) -> Tensor:
        """R_NKK"""
        return cayley(skew_symmetric(self.skew_NE), self.terms)

    def parameters(self) -> dict[str, nn.Parameter]:
        assert isinstance(self.skew_NE, nn.Parameter), "what is served has no parameters"
        return {SKEW: self.skew_NE}

    def served(self, base: Linear) -> "ServedOFT":
        return ServedOFT(rotation_NKK=self.rotation().detach().to(base.weight))

    def merged(self, base: Linear) -> Tensor:
        return turn_weight(weight_of(base).float(), self.rotation())


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedOFT(Update):
    """An OFT update that is not trained any more."""

    rotation_NKK: Tensor

    def before(self, x_BTI: Tensor) -> Tensor:
        return turn(x_BTI, self.rotation_NKK)

    def after(self, x_BTI: Tensor, y_BTO: Tensor, base: Linear) -> Tensor:
        del x_BTI, base
        return y_BTO

    def parameters(self) -> dict[str, nn.Parameter]:
        return {}

    def served(self, base: Linear) -> "ServedOFT":
        del base
        return self

    def merged(self, base: Linear) -> Tensor:
        return turn_weight(weight_of(base).float(), self.rotation_NKK.float())


def fresh(base: Linear, method: OFT) -> OFTUpdate:
    """All zero: the rotation that changes nothing."""
    width = weight_of(base).shape[1]
    block = block_size(width, method.block_size)
    skew_NE = torch.zeros(width // block, block * (block - 1) // 2, device=base.weight.device)
    return OFTUpdate(skew_NE=nn.Parameter(skew_NE), terms=method.terms)


def block_size(width: int, wanted: int) -> int:
    """The divisor of `width` nearest to `wanted`, the lower one of two, as PEFT chooses it."""
    divisors = [size for size in range(1, width + 1) if width % size == 0]
    return min(divisors, key=lambda size: (abs(size - wanted), size))


def skew_symmetric(skew_NE: Tensor) -> Tensor:
    """Q_NKK, whose numbers above the diagonal, row by row, are those of `skew_NE`."""
    num_blocks, num_learned = skew_NE.shape
    width = (1 + math.isqrt(1 + 8 * num_learned)) // 2
    rows, columns = torch.triu_indices(width, width, 1, device=skew_NE.device)
    upper_NKK = skew_NE.new_zeros(num_blocks, width, width)
    upper_NKK[:, rows, columns] = skew_NE
    return upper_NKK - upper_NKK.mT


def cayley(q_NKK: Tensor, terms: int | None) -> Tensor:
    """R_NKK: orthogonal with `terms` None, nearly so with terms of the series while Q is small."""
    eye_KK = torch.eye(q_NKK.shape[1], device=q_NKK.device, dtype=q_NKK.dtype)
    if terms is None:
        inverted: Tensor = torch.linalg.solve(eye_KK + q_NKK, eye_KK - q_NKK, left=False)
        return inverted
    sum_NKK = q_NKK
    for _ in range(terms - 2):
        sum_NKK = q_NKK @ sum_NKK + 2 * q_NKK
    return sum_NKK + eye_KK


def turn(x_BTI: Tensor, rotation_NKK: Tensor) -> Tensor:
    """The inputs with each block multiplied by its rotation."""
    x_BTNK = x_BTI.to(rotation_NKK.dtype).reshape(*x_BTI.shape[:-1], *rotation_NKK.shape[:2])
    return torch.einsum("btnk,nkc->btnc", x_BTNK, rotation_NKK).flatten(-2).to(x_BTI.dtype)


def turn_weight(weight_OI: Tensor, rotation_NKK: Tensor) -> Tensor:
    """The weight that answers to inputs as this one does to the turned inputs."""
    weight_ONK = weight_OI.reshape(weight_OI.shape[0], *rotation_NKK.shape[:2])
    return torch.einsum("onc,nkc->onk", weight_ONK, rotation_NKK).flatten(1)
