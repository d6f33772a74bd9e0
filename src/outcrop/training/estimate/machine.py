"""Measures of the machine for a run: memory held, and the speed of a matrix product.

A step's speed is measured against the latter.
"""

import resource
import sys
import time
from pathlib import Path

import torch

_SIDE = 1024
_FOR_S = 0.1
_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Memory of this process now; where the system does not say, the most it had."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return peak_bytes()


def peak_bytes() -> int:
    """The most memory this process ever had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in kibibytes


def matmul_flops() -> float:
    """The speed of an fp32 product of two square matrices with the threads set now.

    Operations a second, the best of 0.1 s.
    """
    a, b = torch.ones(_SIDE, _SIDE), torch.ones(_SIDE, _SIDE)
    product = a @ b
    best, deadline = 0.0, time.perf_counter() + _FOR_S
    while (began := time.perf_counter()) < deadline:
        torch.matmul(a, b, out=product)
        best = max(best, 2 * _SIDE**3 / (time.perf_counter() - began))
    return best
