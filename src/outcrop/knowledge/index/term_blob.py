"""The terms of a passage as bytes: 64 bits for each term, then 32 for how often it comes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from outcrop.knowledge.index.arrays import Counts, Terms64, Whole


class TermColumns(NamedTuple):
    """Terms of several passages, one after the other; `sizes` tells where each passage ends."""

    terms: Terms64
    counts: Counts
    sizes: Whole


def pack(counts: Mapping[int, int]) -> bytes:
    """The bytes of one passage's terms."""
    terms = np.fromiter(counts.keys(), "<u8", len(counts))
    return terms.tobytes() + np.fromiter(counts.values(), "<u4", len(counts)).tobytes()


def unpack(blobs: Sequence[bytes]) -> TermColumns:
    """The terms of passages, from their bytes."""
    sizes = np.fromiter((len(blob) // 12 for blob in blobs), np.int64, len(blobs))
    return TermColumns(
        np.frombuffer(b"".join(blob[: len(blob) // 12 * 8] for blob in blobs), "<u8").astype(np.uint64, copy=False),
        np.frombuffer(b"".join(blob[len(blob) // 12 * 8 :] for blob in blobs), "<u4").astype(np.uint32, copy=False),
        sizes,
    )
