"""Linear layers whose weights lie as small batches read them: blocks of outputs, input after input.

A product reads each weight once, in the order of memory, and each row's sums are made in one order whatever the other
rows are. The numbers are those of the layer; only their places change, and `unpack` puts them back.
"""

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from outcrop.network.fast.decoding.library import DecodingLibrary, Matrix
from outcrop.network.weight_precision import WeightPrecision

_MOST_INT8 = 127.0
_LEAST_SCALE = 1e-30
"Of an output whose weights are all zero."


class Crew:
    """The threads that compute products and steps together; one call at a time."""

    def __init__(self, library: DecodingLibrary, num_threads: int) -> None:
        """Raises MemoryError where the system gives no more threads."""
        self.library = library
        self.num_threads = num_threads
        self.address = library.threads_begin(num_threads)
        if not self.address:
            raise MemoryError("the system gives no more threads")
        self.close = weakref.finalize(self, library.threads_end, self.address)
        "Ends the threads; at the latest when nobody has them any more."


class PackedLinear(nn.Linear):
    """A linear layer on a CPU with its weight in blocks, in fp32 or int8; for serving, without gradients.

    In int8, each output has the largest of its weights for a scale, and inputs stay in fp32.
    """

    def __init__(self, layer: nn.Linear, crew: Crew, weights: WeightPrecision = WeightPrecision.FP32) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = layer.weight.shape
        self._crew = crew
        self.register_parameter("bias", layer.bias)
        weight_OI = layer.weight.detach()
        self.scale_O: Tensor | None = None
        if weights is WeightPrecision.INT8:
            self.scale_O = weight_OI.abs().amax(dim=1).clamp_min(_LEAST_SCALE) / _MOST_INT8
            weight_OI = (weight_OI / self.scale_O.unsqueeze(1)).round().to(torch.int8)
        self.blocks_BIO = in_blocks(weight_OI, crew.library.block)
        if self.scale_O is not None:
            self.blocks_BIO = _in_fours(self.blocks_BIO)
        self.matrix = Matrix(
            plain=self.blocks_BIO.data_ptr() if self.scale_O is None else None,
            tiny=None if self.scale_O is None else self.blocks_BIO.data_ptr(),
            scale=None if self.scale_O is None else self.scale_O.data_ptr(),
            bias=None if layer.bias is None else layer.bias.data_ptr(),
            inputs=self.in_features,
            outputs=self.out_features,
        )

    @property
    def like(self) -> Tensor:
        """An empty tensor of the kind that it multiplies and gives."""
        return torch.empty(0)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """A copy of the weight as torch keeps it, OI in fp32."""
        blocks_BIO = self.blocks_BIO if self.scale_O is None else _out_of_fours(self.blocks_BIO)[:, : self.in_features]
        found_OI = blocks_BIO.transpose(1, 2).reshape(-1, self.in_features)[: self.out_features]
        return found_OI if self.scale_O is None else found_OI * self.scale_O.unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features)
        rows = rows if rows.stride(-1) == 1 else rows.contiguous()
        y = rows.new_empty(len(rows), self.out_features)
        self._crew.library.product(
            ctypes.addressof(self.matrix), len(rows), rows.data_ptr(), rows.stride(0), y.data_ptr(), self._crew.address
        )
        return y.view(*x.shape[:-1], self.out_features)

    def unpacked(self) -> nn.Linear:
        """The layer as it was."""
        layer = nn.Linear(self.in_features, self.out_features, bias=False)
        layer.weight = nn.Parameter(self.weight.clone(), requires_grad=False)
        layer.bias = self.bias
        return layer


class PackedEmbedding(nn.Module):
    """An embedding that shares its weight with the head, read from the head's blocks."""

    def __init__(self, embedding: nn.Embedding, head: PackedLinear) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = embedding.weight.shape
        self.scale: Tensor | None = getattr(embedding, "embed_scale", None)
        self._head = [head]  # in a list, so that it is no part of this module

    @property
    def weight(self) -> Tensor:
        """A copy of the weight as torch keeps it."""
        return self._head[0].weight

    def forward(self, ids: Tensor) -> Tensor:
        blocks_BIO = self._head[0].blocks_BIO
        block = blocks_BIO.shape[2]
        rows = blocks_BIO[ids // block, :, ids % block]
        return rows if self.scale is None else rows * self.scale.to(rows.dtype)


def pack(network: Any, places: Sequence[tuple[nn.Module, str]], crew: Crew, weights: WeightPrecision) -> None:
    """Pack the linear layers at these places, and the head, which may share its weight with the embedding."""
    for parent, name in places:
        setattr(parent, name, PackedLinear(getattr(parent, name), crew, weights))
    head, embedding = network.get_output_embeddings(), network.get_input_embeddings()
    packed = PackedLinear(head, crew, weights)
    if embedding.weight is head.weight and weights is WeightPrecision.FP32:  # what is looked up is not made coarser
        network.set_input_embeddings(PackedEmbedding(embedding, packed))
    network.set_output_embeddings(packed)


def unpack(network: Any, embedding: nn.Embedding) -> None:
    """Give a network its linear layers back, and the embedding that it had."""
    for module in list(network.modules()):
        for name, inside in list(module.named_children()):
            if isinstance(inside, PackedLinear):
                setattr(module, name, inside.unpacked())
    if isinstance(network.get_input_embeddings(), PackedEmbedding):
        embedding.weight = network.get_output_embeddings().weight
        network.set_input_embeddings(embedding)


def in_blocks(weight_OI: Tensor, block: int) -> Tensor:
    """A weight as the C source reads it: blocks of outputs, filled up with zeros, input after input; BIO."""
    outputs, inputs = weight_OI.shape
    filled = functional.pad(weight_OI, (0, 0, 0, -outputs % block))
    return filled.view(-1, block, inputs).transpose(1, 2).contiguous()


def _in_fours(blocks_BIO: Tensor) -> Tensor:
    """Four inputs of each output side by side, filled up with zeros; BFO4."""
    num_blocks, inputs, block = blocks_BIO.shape
    filled = functional.pad(blocks_BIO, (0, 0, 0, -inputs % 4)).view(num_blocks, -1, 4, block)
    return filled.transpose(2, 3).contiguous()


def _out_of_fours(fours_BFO4: Tensor) -> Tensor:
    """The blocks that `_in_fours` was given, with the zeros that it added."""
    num_blocks, _, block, _ = fours_BFO4.shape
    return fours_BFO4.transpose(2, 3).reshape(num_blocks, -1, block)
