"""The LM head by itself, so that a loss needs only a slice of the logits at a time.

Architectures differ in what they do to the product of hidden states and head: Gemma squashes it, Cohere and Granite
scale it. What is known of that is tried out once against the network itself; where the two differ, there is no
`LMHead`, and the network's own logits are used whole.

Shapes: T tokens of a row, N positions of it, H hidden width, V vocabulary.
"""

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from outcrop.network import decoder, load
from outcrop.network.attention import Packed
from outcrop.network.fast import switch
from outcrop.network.run_mode import RunMode

_log = logging.getLogger("outcrop.network")

_TRIED = 8
"Tokens on which head and network are compared."
_CLOSE = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 4e-3}
"How far apart they may be, as a share of the largest logit: the rounding of two ways to the same product."


@dataclass(frozen=True, kw_only=True, eq=False)
class LMHead:
    """An LM head without a bias.

    Its logits are softcap · tanh(scale · hidden Wᵀ / softcap), or scale · hidden Wᵀ where nothing is squashed.
    """

    weight_VH: Tensor
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, hidden_NH: Tensor) -> Tensor:
        """logits_NV in fp32."""
        logits_NV = (hidden_NH @ self.weight_VH.T).float() * self.scale
        return logits_NV if self.softcap is None else torch.tanh(logits_NV / self.softcap) * self.softcap


@torch.no_grad()
def find(network: Any) -> LMHead | None:
    """The LM head of this network.

    None if its logits come about in a way that is not known here, or fast ways are off.
    """
    if not switch.is_on():
        return None
    layer = network.get_output_embeddings()
    if not isinstance(layer, nn.Linear) or layer.bias is not None:
        return None
    head = _as_configured(layer.weight, network.config.get_text_config())
    layout = Packed(lengths=[_TRIED])
    ids_1T = torch.arange(_TRIED).unsqueeze(0) % layer.weight.shape[0]
    try:
        mine_TV = head.logits(decoder.hidden(network, ids_1T, layout.positions(), layout))
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        if load.way_of(network) is RunMode.PACKED:
            raise
        _log.info("the head is not taken apart: %s", error)
        return None  # without a decoder of its own
    theirs_TV = load.logits(network, ids_1T, layout.positions(), layout, at_N=torch.arange(_TRIED)).float()
    apart = float((mine_TV - theirs_TV).abs().max() / theirs_TV.abs().max())
    return head if apart <= _CLOSE[layer.weight.dtype] else None


def _as_configured(weight_VH: Tensor, config: Any) -> LMHead:
    """The LM head with its scale and softcap, by the names that Gemma, Cohere and Granite have for them."""
    scale = getattr(config, "logit_scale", None) or 1.0
    divisor = getattr(config, "logits_scaling", None) or 1.0
    softcap = getattr(config, "final_logit_softcapping", None)
    return LMHead(weight_VH=weight_VH, scale=scale / divisor, softcap=softcap)
