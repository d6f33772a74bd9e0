"""`python -m outcrop.probe.comparison`: an exported model held against the one that is served, number by number.

Both answer the same records by a plain forward over the whole text, the one as an engine here would serve it, the other
as its files say. A GGUF file is read back into what its numbers stand for. Prints one line of JSON.

Shapes: T tokens of a record, V vocabulary.
"""

import argparse
import gc
import json
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from outcrop.errors import Invalid, OutcropError
from outcrop.json_files import FileProblem
from outcrop.machine.processes import die_with_parent
from outcrop.network import load, parity_file
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.linear import AdapterSpan, Routing
from outcrop.network.adapters.method import has_adapter
from outcrop.network.attention import Packed
from outcrop.network.gguf import importing
from outcrop.network.gguf.header import is_gguf
from outcrop.network.run_mode import RunMode
from outcrop.probe.sample_records import sample_examples
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training.examples import ADAPTER

_RECORDS, _TOKENS = 4, 128
"Held-out records that are compared, and tokens of each: logits of all of them are in memory at once."
_PROMPTS, _GENERATED = 3, 16


class ComparedTexts(NamedTuple):
    """The ids that both models read, and the beginnings that both go on from."""

    records: list[list[int]]
    prompts: list[list[int]]


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelAnswers:
    """The numbers that one model gives."""

    logits: list[Tensor]
    "Of each record, TV in fp32."
    greedy: list[list[int]]
    leads: list[list[float]]
    "By how much each token's logit is above the next likeliest."


def compare(served: ModelAnswers, exported: ModelAnswers, tokenizer: Tokenizer) -> dict[str, Any]:
    """The differences between both, as parity.json of an export has them."""
    apart = [(ours - theirs).abs() for ours, theirs in zip(served.logits, exported.logits, strict=True)]
    logprobs = [
        (ours.log_softmax(-1) - theirs.log_softmax(-1)).abs().max()
        for ours, theirs in zip(served.logits, exported.logits, strict=True)
    ]
    return {
        "num_tokens": sum(len(x_TV) for x_TV in served.logits),
        "largest_logit": max(float(x_TV.abs().max()) for x_TV in served.logits),
        "largest_logit_difference": max(float(x_TV.max()) for x_TV in apart),
        "mean_logit_difference": float(torch.cat([x_TV.flatten() for x_TV in apart]).mean()),
        "largest_logprob_difference": max(map(float, logprobs)),
        "generated": sum(map(len, served.greedy)),
        "first_differing_token": _first_differing(served, exported, tokenizer),
    }


def _first_differing(served: ModelAnswers, exported: ModelAnswers, tokenizer: Tokenizer) -> dict[str, Any] | None:
    for prompt, (ours, theirs) in enumerate(zip(served.greedy, exported.greedy, strict=True)):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if one != other:
                return {
                    "prompt": prompt + 1,
                    "place": place + 1,
                    "served": tokenizer.token(one),
                    "exported": tokenizer.token(other),
                    "lead_of_served": served.leads[prompt][place],
                }
    return None


def texts_of(tokenizer: Tokenizer, expected: Path | None, prompt_format: str, *, context: int) -> ComparedTexts:
    """The model's own held-out records where its training has left them, else the samples of `sample_records.py`."""
    most = min(_TOKENS, context)
    kept = _kept(expected)
    if kept is not None and kept.samples:
        records = [list(sample.ids)[:most] for sample in kept.samples[:_RECORDS]]
        prompts = [list(generation.prompt) for generation in kept.generations[:_PROMPTS]]
    else:
        examples = sample_examples(tokenizer, prompt_format, context_length=most)
        records = [example.ids_T.tolist() for example in examples]
        prompts = [example.ids_T[: int(example.at_N[0]) + 1].tolist() for example in examples[:_PROMPTS]]
    room = max(1, context - _GENERATED)
    return ComparedTexts(records, [prompt[:room] for prompt in prompts or records[:1]])


def _kept(expected: Path | None) -> parity_file.ParityRecord | None:
    if expected is None or not (expected / parity_file.FILE).is_file():
        return None
    try:
        return parity_file.read(expected)
    except FileProblem as problem:
        raise Invalid(f"{expected}: {problem}. Restore the model's folder from a backup.") from problem


@torch.inference_mode()
def answers_of(base: Path, adapter: Path | None, texts: ComparedTexts, way: RunMode) -> ModelAnswers:
    """The answers of the network in `base`, with the adapter on it where one is named. Raises Invalid."""
    network = load.load_base(base, way=way)
    routing = linear.hold_adapters(network)
    if adapter is not None:
        adapter_files.load(network, ADAPTER, adapter)
    logits = [_logits(network, routing, ids) for ids in texts.records]
    greedy, leads = [], []
    for prompt in texts.prompts:
        ids, lead = list(prompt), list[float]()
        for _ in range(_GENERATED):
            likeliest = _logits(network, routing, ids)[-1].topk(2)
            lead.append(float(likeliest.values[0] - likeliest.values[1]))
            ids.append(int(likeliest.indices[0]))
        greedy.append(ids[len(prompt) :])
        leads.append(lead)
    del network
    gc.collect()
    return ModelAnswers(logits=logits, greedy=greedy, leads=leads)


def _logits(network: nn.Module, routing: Routing, ids: Sequence[int]) -> Tensor:
    layout = Packed(lengths=[len(ids)])
    routing.spans = [AdapterSpan(0, len(ids), ADAPTER)]
    at_N = torch.arange(len(ids))
    return load.logits(network, torch.tensor([list(ids)]), layout.positions(), layout, at_N=at_N).float().cpu()


def _exported(base: Path, exported: Path, texts: ComparedTexts, way: RunMode) -> ModelAnswers:
    """The answers of the exported files."""
    if is_gguf(exported):
        with tempfile.TemporaryDirectory(dir=exported.parent, prefix=".compared.") as made:
            importing.convert(exported, Path(made) / "network")
            return answers_of(Path(made) / "network", None, texts, way)
    if has_adapter(exported) and not (exported / "config.json").exists():
        return answers_of(base, exported, texts, way)
    return answers_of(exported, None, texts, way)


def main() -> int:
    """Ends with a sentence on stderr where one of the two cannot be run."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m outcrop.probe.comparison", description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("exported", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--expected", type=Path)
    parser.add_argument("--way", type=RunMode, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--format", required=True)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of a family's own code, which concern nobody here
    try:
        tokenizer = Tokenizer.open(asked.base)
        texts = texts_of(tokenizer, asked.expected, asked.format, context=asked.context)
        served = answers_of(asked.base, asked.adapter, texts, asked.way)
        found = compare(served, _exported(asked.base, asked.exported, texts, asked.way), tokenizer)
    except OutcropError as refused:
        print(refused.message, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
