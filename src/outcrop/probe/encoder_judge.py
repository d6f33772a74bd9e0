"""Whether an encoder is served right: its ids, its vectors alone, and its vectors beside others.

Held against `transformers` itself, on the encoder's real weights: the ids of its tokenizer must be AutoTokenizer's, and
what comes of one text must be what the network gives for the inputs that `transformers` makes. An encoder whose vectors
depend on their neighbours is run one text at a time.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from outcrop.errors import Invalid
from outcrop.network import encoder_facts, facts, load
from outcrop.network.encoder import Encoder
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.probe.expected import CLOSE, ProbeFailure
from outcrop.tokens.encoder_tokenizer import EncoderTokenizer, TokenRow

_TEXTS = (
    "What is the capital of France?",
    "Paris",
    "The river Seine flows through the city, which has been the seat of government for most of a thousand years.",
    "古池や 蛙飛び込む 水の音。",
    "e=mc² — naïve café, ÉCOLE 42%!",
    " ".join(["Windows of attention are crossed by a text that is long enough for that to happen."] * 14),
)
_APART = 1e-5
"How far a number of a vector of length 1 may be from itself beside other texts."


def judge(folder: Path) -> tuple[ProbeVerdict, int | None]:
    """The way in which the encoder in `folder` is served right, and the most tokens that it reads."""
    config = facts.digest(folder)
    try:
        described = encoder_facts.read(folder)
        why = _apart(folder)
    except Invalid as refusal:
        return ProbeVerdict(way=None, why=refusal.message.rstrip("."), config=config), None
    except ProbeFailure as failed:
        return ProbeVerdict(way=None, why=f"{failed}. {failed.mend}".rstrip(), config=config), None
    way = RunMode.PADDED if why is None else RunMode.ONE_RECORD_A_ROW
    return ProbeVerdict(way=way, why=why or "", config=config), described.max_length


def _apart(folder: Path) -> str | None:
    """Why texts cannot be read together, or None where they can. Raises ProbeFailure."""
    encoder = Encoder(folder)
    pairs = encoder.facts.task is ModelTask.RERANKING
    rows, inputs = _read(folder, encoder.facts.max_length, pairs=pairs)
    if max(token for row in rows for token in row.ids) >= encoder.vocab_size:
        raise ProbeFailure("its tokenizer has ids that its network has no embedding for")
    alone = [_tensor(encoder, [row])[0] for row in rows]
    if not all(bool(vector.isfinite().all()) for vector in alone):
        raise ProbeFailure("what it answers with is not finite")
    expected = [encoder.of_inputs(one, [row])[0] for one, row in zip(inputs, rows, strict=True)]
    largest = max(float(vector.abs().max()) for vector in expected)
    apart = max(float((a - b).abs().max()) for a, b in zip(alone, expected, strict=True))
    if not apart <= CLOSE[torch.float32] * max(largest, 1e-3):
        raise ProbeFailure(f"given the inputs that transformers makes, it answers otherwise, by {apart:.2g}")
    try:
        together = _tensor(encoder, rows)
    except Exception as error:  # whatever a family's own code raises, there is another way
        return f"it does not read several texts at once ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
    apart = float((_unit(torch.stack(alone), pairs) - _unit(together, pairs)).abs().max())
    return None if apart <= _APART else f"a text beside others differs from the same alone by {apart:.2g}"


def _read(folder: Path, max_length: int, *, pairs: bool) -> tuple[list[TokenRow], list[dict[str, Any]]]:
    """The texts as our tokenizer reads them, and as transformers does. Raises ProbeFailure where they differ."""
    ours = EncoderTokenizer.open(folder, lower=encoder_facts.read(folder).lower)
    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    rows, inputs = list[TokenRow](), list[dict[str, Any]]()
    for text in _TEXTS:
        asked = (_TEXTS[0], text) if pairs else (text,)
        spoken = [one.lower() for one in asked] if encoder_facts.read(folder).lower else asked
        made = theirs(*spoken, return_tensors="pt")
        if made["input_ids"].shape[1] > max_length:
            continue
        row = (
            ours.pairs(*asked[:1], asked[1:], max_length=max_length)
            if pairs
            else ours.rows(asked, max_length=max_length)
        )
        if row[0].ids != made["input_ids"][0].tolist():
            raise ProbeFailure(
                "its tokenizer.json gives other ids than transformers' AutoTokenizer",
                mend="Save it anew: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
            )
        rows += row
        inputs.append({name: tensor.to(load.device()) for name, tensor in made.items()})
    if not rows:
        raise ProbeFailure(f"it reads {max_length} tokens, in which no sentence fits")
    return rows, inputs


def _tensor(encoder: Encoder, rows: Sequence[TokenRow]) -> Tensor:
    return torch.tensor([list(vector) for vector in encoder.run(rows)])


def _unit(values_BD: Tensor, pairs: bool) -> Tensor:
    return values_BD if pairs else torch.nn.functional.normalize(values_BD, dim=-1)
