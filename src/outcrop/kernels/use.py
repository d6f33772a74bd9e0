"""Whether the kernels do a thing: on a CPU, in fp32, for a thread that works alone.

A kernel computes in the thread that calls it. Where several threads share each operation, torch's own are used.
"""

import torch
from torch import Tensor, nn

from outcrop.kernels.library import Library, library


def usable(*tensors: Tensor) -> Library | None:
    """The kernels, or None where torch is to do it."""
    if torch.get_num_threads() != 1:
        return None
    fit = all(
        x.dtype == torch.float32 and x.device.type == "cpu" and type(x) in (Tensor, nn.Parameter) for x in tensors
    )
    return library() if fit else None
