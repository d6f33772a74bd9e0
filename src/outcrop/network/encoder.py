"""An encoder from its Hugging Face directory: token ids to a vector a text, or a score a pair.

Any encoder that `transformers` loads by itself; the steps behind it are those of sentence-transformers. Computed in
fp32 on every device: vectors are kept for years beside those of other machines. Rows of a batch are padded to one
length behind their ends, where the attention mask hides the padding.

Shapes: B rows of a batch, T tokens, D width.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoModelForTextEncoding

from outcrop.errors import Invalid
from outcrop.network import encoder_facts, load
from outcrop.network.encoder_facts import DenseLayer, Pooling
from outcrop.network.model_task import ModelTask
from outcrop.tokens.encoder_tokenizer import TokenRow

_UNUSED = "pooler."
"The weights of a head that no pooling here reads; encoders trained without one lack them."


class Encoder:
    """A loaded encoder. Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Raises Invalid for a folder that holds no encoder, or not all of its weights."""
        self.facts = encoder_facts.read(folder)
        self._network = _load(folder, self.facts.task)
        self._dense = [_dense(layer) for layer in self.facts.dense]
        config = self._network.config
        pad_id = getattr(config, "pad_token_id", None)
        self._pad_id = pad_id if isinstance(pad_id, int) and pad_id >= 0 else 0
        self._type_vocab_size = getattr(config, "type_vocab_size", 0) or 0
        self._tells_types = load.accepts(self._network, "token_type_ids") and self._type_vocab_size > 1
        self._plain = {"use_cache": False} if load.accepts(self._network, "use_cache") else {}
        self.vocab_size = int(self._network.get_input_embeddings().num_embeddings)

    @property
    def dtype(self) -> str:
        """The dtype in which it computes, by torch's name."""
        return str(next(self._network.parameters()).dtype).removeprefix("torch.")

    @torch.inference_mode()
    def run(self, rows: Sequence[TokenRow]) -> "list[array[float]]":
        """A vector for each row, before the last normalization; of a reranker, its relevance between 0 and 1."""
        found_BD = self.of_inputs(self._inputs(rows), rows)
        return [array("f", vector) for vector in found_BD.tolist()]

    @torch.inference_mode()
    def of_inputs(self, inputs: Mapping[str, Tensor], rows: Sequence[TokenRow]) -> Tensor:
        """Vectors or scores BD on the CPU, of inputs that were made for these rows."""
        given = {name: tensor for name, tensor in inputs.items() if load.accepts(self._network, name)}
        out = self._network(**given, **self._plain)
        lengths_B = torch.tensor([len(row.ids) for row in rows], device=load.device())
        if self.facts.task is ModelTask.RERANKING:
            found_BD = torch.sigmoid(out.logits[:, :1].float())
        else:
            found_BD = self._pooled(out.last_hidden_state, lengths_B, rows)
            for layer in self._dense:
                found_BD = layer(found_BD)
        return found_BD.float().cpu()

    def _inputs(self, rows: Sequence[TokenRow]) -> dict[str, Tensor]:
        """The batch, its rows padded to the longest."""
        longest = max(len(row.ids) for row in rows)
        place = load.device()
        ids_BT = torch.full((len(rows), longest), self._pad_id)
        types_BT = torch.zeros((len(rows), longest), dtype=torch.long)
        for number, row in enumerate(rows):
            ids_BT[number, : len(row.ids)] = torch.tensor(row.ids)
            types_BT[number, : len(row.ids)] = torch.tensor(row.type_ids)
        lengths_B = torch.tensor([len(row.ids) for row in rows])
        mask_BT = (torch.arange(longest)[None] < lengths_B[:, None]).long()
        inputs = {"input_ids": ids_BT.to(place), "attention_mask": mask_BT.to(place)}
        if self._tells_types:
            inputs["token_type_ids"] = types_BT.clamp(max=self._type_vocab_size - 1).to(place)
        return inputs

    def _pooled(self, hidden_BTD: Tensor, lengths_B: Tensor, rows: Sequence[TokenRow]) -> Tensor:
        """The vectors of the rows, of all ways of pooling side by side."""
        places_T = torch.arange(hidden_BTD.shape[1], device=hidden_BTD.device)
        first_B = torch.zeros_like(lengths_B)
        if not self.facts.pools_prompt:
            num_prompt = [row.num_prompt if row.num_prompt < len(row.ids) else 0 for row in rows]
            first_B = torch.tensor(num_prompt, device=hidden_BTD.device)
        pooled_BT = (places_T[None] >= first_B[:, None]) & (places_T[None] < lengths_B[:, None])
        ways = [_POOLED[way](hidden_BTD, pooled_BT, first_B, lengths_B) for way in self.facts.pooling]
        return torch.cat(ways, dim=-1)


def _mean(hidden_BTD: Tensor, pooled_BT: Tensor, _first_B: Tensor, _lengths_B: Tensor) -> Tensor:
    weights_BT1 = pooled_BT.unsqueeze(-1).to(hidden_BTD.dtype)
    return (hidden_BTD * weights_BT1).sum(1) / weights_BT1.sum(1)


def _mean_sqrt_length(hidden_BTD: Tensor, pooled_BT: Tensor, _first_B: Tensor, _lengths_B: Tensor) -> Tensor:
    weights_BT1 = pooled_BT.unsqueeze(-1).to(hidden_BTD.dtype)
    return (hidden_BTD * weights_BT1).sum(1) / weights_BT1.sum(1).sqrt()


def _weighted_mean(hidden_BTD: Tensor, pooled_BT: Tensor, _first_B: Tensor, _lengths_B: Tensor) -> Tensor:
    """Later tokens count more: each by its place in the text, from 1."""
    places_T = torch.arange(1, hidden_BTD.shape[1] + 1, device=hidden_BTD.device)
    weights_BT1 = (pooled_BT * places_T).unsqueeze(-1).to(hidden_BTD.dtype)
    return (hidden_BTD * weights_BT1).sum(1) / weights_BT1.sum(1)


def _max(hidden_BTD: Tensor, pooled_BT: Tensor, _first_B: Tensor, _lengths_B: Tensor) -> Tensor:
    return hidden_BTD.masked_fill(~pooled_BT.unsqueeze(-1), float("-inf")).amax(1)


def _cls(hidden_BTD: Tensor, _pooled_BT: Tensor, first_B: Tensor, _lengths_B: Tensor) -> Tensor:
    return hidden_BTD[torch.arange(len(hidden_BTD), device=hidden_BTD.device), first_B]


def _last_token(hidden_BTD: Tensor, _pooled_BT: Tensor, _first_B: Tensor, lengths_B: Tensor) -> Tensor:
    return hidden_BTD[torch.arange(len(hidden_BTD), device=hidden_BTD.device), lengths_B - 1]


_POOLED: Mapping[Pooling, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    Pooling.CLS: _cls,
    Pooling.MEAN: _mean,
    Pooling.MAX: _max,
    Pooling.MEAN_SQRT_LENGTH: _mean_sqrt_length,
    Pooling.WEIGHTED_MEAN: _weighted_mean,
    Pooling.LAST_TOKEN: _last_token,
}


def _load(folder: Path, task: ModelTask) -> Any:
    """The network, in evaluation mode."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    kind = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
    if task is ModelTask.RERANKING:
        kind = AutoModelForSequenceClassification
    try:
        network, told = kind.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (ValueError, KeyError, OSError) as error:
        first = str(error).partition("\n")[0][:300]
        raise Invalid(f"{folder}: transformers cannot load it as an encoder: {first}") from error
    missing = sorted(
        name for name in told["missing_keys"] if task is ModelTask.RERANKING or not name.startswith(_UNUSED)
    )
    if missing:
        raise Invalid(
            f"{folder}: its files lack {len(missing)} of the network's weights, {missing[0]} among them. "
            f"{type(network).__name__} would begin with random numbers there. Save the whole model, then register it."
        )
    return network.to(load.device()).eval().requires_grad_(False)


def _dense(layer: DenseLayer) -> nn.Module:
    """A linear layer with its activation. Raises Invalid for weights of other shapes than its configuration's."""
    weights = load_file(layer.folder / "model.safetensors")
    weight_OI, bias_O = weights.get("linear.weight"), weights.get("linear.bias")
    if weight_OI is None or weight_OI.shape[0] != layer.width:
        raise Invalid(f"{layer.folder}/model.safetensors: no linear.weight of {layer.width} rows. Copy it anew.")
    linear = nn.Linear(weight_OI.shape[1], weight_OI.shape[0], bias=bias_O is not None)
    linear.load_state_dict({"weight": weight_OI.float(), **({} if bias_O is None else {"bias": bias_O.float()})})
    activation: nn.Module = getattr(nn, layer.activation)()
    return nn.Sequential(linear, activation).to(load.device()).eval().requires_grad_(False)
