"""`python -m outcrop.probe.judge FOLDER`: whether its network is trained and served right, and in which way.

Judged on its real weights, against `transformers` itself: records that share a row against each alone, an adapter's
gradient, and the engine's greedy tokens alone, in chunks and beside a longer neighbour. Prints one line of JSON; who
asks is `launch.py`, which bounds the time and the memory.
"""

import argparse
import gc
import itertools
import json
import secrets
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from outcrop.errors import Invalid, OutcropError
from outcrop.inference.engine import Engine
from outcrop.inference.request import EngineRequest
from outcrop.inference.scheduler import StepLimits
from outcrop.machine.processes import die_with_parent
from outcrop.network import encoder_facts, facts, headers, load, rotary_lengths
from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.method import LoRA
from outcrop.network.attention import Packed
from outcrop.network.fast.swap_in import swap_in
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.network.swaps import Changed
from outcrop.probe import encoder_judge
from outcrop.probe.expected import (
    ANOTHER,
    NUM_GREEDY,
    GreedyContinuation,
    ProbeFailure,
    ReferenceAnswers,
    furthest,
    of_reference,
)
from outcrop.training.batches import row_of
from outcrop.training.examples import ADAPTER, Example
from outcrop.training.loss import nll_of

_CACHE_BYTES = 2**30
_CHUNK = 7
_CONTEXT = 512
"For a network that names no length."
NOT_RUN = "transformers itself does not run it"
_METHOD = LoRA(rank=4, alpha=8)


class JudgeOutput(NamedTuple):
    """The line that the probe's process prints."""

    verdict: ProbeVerdict
    context: int | None
    "Most tokens the network attends to, with the defaults of its family; None: it does not say."


def judge(folder: Path) -> JudgeOutput:
    """The way in which the network in `folder` computes what it should. Raises Invalid for a folder without one."""
    try:
        task = encoder_facts.task_of(folder)
    except Invalid as refusal:
        return JudgeOutput(ProbeVerdict(way=None, why=refusal.message.rstrip("."), config=facts.digest(folder)), None)
    if task is not ModelTask.TEXT:
        return JudgeOutput(*encoder_judge.judge(folder))
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if (strange := _no_causal_model(config)) is not None:
        return JudgeOutput(ProbeVerdict(way=None, why=strange, config=facts.digest(folder)), None)
    described = facts.of_config(config)
    context = described.context if described.has_context else None
    why = list[str]()
    with tempfile.TemporaryDirectory() as made:
        try:
            _check_shapes(folder, config)
            way = _way(folder, described, Path(made), why)
        except ProbeFailure as failed:
            way = None
            # What stood in the way of packing is no news where nothing else works either.
            why = [f"{str(failed).rstrip('.')}. {failed.mend}".rstrip()]
    return JudgeOutput(ProbeVerdict(way=way, why="; ".join(why), config=facts.digest(folder)), context)


def _no_causal_model(config: Any) -> str | None:
    """Why there is nothing to try, or None."""
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and not config.is_encoder_decoder:
        return None
    if config.is_encoder_decoder:
        return f"it is an encoder-decoder network, and only causal language models are trained here. {ANOTHER}"
    parts = [name for name in ("vision_config", "audio_config") if hasattr(config, name)]
    if hasattr(config, "text_config") and parts:
        return (
            f"it is a network for more than text ({parts[0]}), of which transformers {transformers.__version__} has no "
            "causal language model. Save its language model by itself, then register that."
        )
    return f"transformers {transformers.__version__} has no causal language model of this kind. {ANOTHER}"


def _check_shapes(folder: Path, config: Any) -> None:
    """The weights have the shapes of the network that config.json makes, of which nothing is loaded for this.

    Raises ProbeFailure. Names that the library changes while it loads are its own matter.
    """
    with _told(NOT_RUN), torch.device("meta"):
        wanted = AutoModelForCausalLM.from_config(config).state_dict()
    for name, shape in headers.shapes(folder).items():
        if name in wanted and tuple(wanted[name].shape) != shape:
            raise ProbeFailure(
                f"{name} has the shape {list(shape)}, and config.json makes it {list(wanted[name].shape)}",
                mend="Put the files of one model together.",
            )


def _way(folder: Path, described: facts.Facts, made: Path, why: list[str]) -> RunMode:
    """Raises Failed where neither will do; `why` grows by what spoke against packing."""
    with _told(NOT_RUN):
        reference = load.load_base(folder, way=RunMode.ONE_RECORD_A_ROW)
        expected = of_reference(reference, described)
    del reference
    gc.collect()
    context = described.context if described.has_context else _CONTEXT
    try:
        _try(RunMode.PACKED, folder, expected, context, made / "packed")
    except ProbeFailure as failed:
        why.append(str(failed))
    else:
        return RunMode.PACKED
    gc.collect()
    if rotary_lengths.DYNAMIC in str(described.named.get("rope_parameters")):
        # The module keeps the longest length it has met, so what it answers depends on what it read before.
        raise ProbeFailure(f"its rope_type is dynamic, which needs rows, and {why[0]}")
    _try(RunMode.ONE_RECORD_A_ROW, folder, expected, context, made / "alone")
    return RunMode.ONE_RECORD_A_ROW


def _try(way: RunMode, folder: Path, expected: ReferenceAnswers, context: int, adapter: Path) -> None:
    """Raises Failed, with what failed."""
    with _told(f"{way}, the network does not run"):
        network = load.load_base(folder, way=way)
        _compare_rows(network, expected)
    with _told(f"{way}, no adapter is trained"):
        _compare_training(network, expected, adapter)
    del network
    gc.collect()
    with _told(f"{way}, the engine does not run"):
        limits = StepLimits(prompt_tokens_alone=_CHUNK, prompt_tokens_beside_decoding=_CHUNK // 2)
        engine = Engine(folder, cache_bytes=_CACHE_BYTES, limits=limits, way=way, context=context)
        engine.load_adapter("other", adapter)
        _compare_decoding(engine, way, expected)


@torch.inference_mode()
def _compare_rows(network: nn.Module, expected: ReferenceAnswers) -> None:
    """Records in one row, in two orders; or each in a row of its own."""
    numbers = range(len(expected.records))
    if load.way_of(network) is RunMode.PACKED:
        rows = [list(numbers), list(reversed(numbers)), *([n] for n in numbers)]
    else:
        rows = [[n] for n in numbers]
    for row in rows:
        layout = Packed(lengths=[len(expected.records[n]) for n in row])
        ids = list(itertools.chain.from_iterable(expected.records[n] for n in row))
        places = torch.tensor([ids]), layout.positions(), layout
        found_TV = load.logits(network, *places, at_N=torch.arange(len(ids))).float().cpu()
        found = list(torch.split(found_TV, list(layout.lengths)))
        apart = furthest(found, [expected.logits[n] for n in row])
        if not apart <= expected.allowed:
            side = f"{len(row)} records side by side" if len(row) > 1 else "a record"
            raise ProbeFailure(
                f"{load.way_of(network)}, {side} get other logits than transformers gives each alone, by {apart:.2g} "
                f"(rounding allows {expected.allowed:.1g})"
            )


def _compare_training(network: nn.Module, expected: ReferenceAnswers, adapter: Path) -> None:
    """The loss is that of the reference, and an adapter has a gradient; one that acts is left in `adapter`."""
    routing = linear.hold_adapters(network)
    parameters = adapter_files.add_new(network, ADAPTER, _METHOD, torch.Generator().manual_seed(0))
    swap_in(network, routing)
    examples = [_example(ids) for ids in expected.records]
    rows = [examples] if load.way_of(network) is RunMode.PACKED else [[example] for example in examples]
    found = torch.cat([nll_of(network, routing, row_of(row)) for row in rows])
    apart = furthest([found.detach().cpu()], [torch.cat(expected.nll)])
    if not apart <= 2 * expected.allowed:
        raise ProbeFailure(f"{load.way_of(network)}, the loss of a token is off by {apart:.2g} nats")
    torch.autograd.backward(found.mean())
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients or not all(bool(g.isfinite().all()) for g in gradients):
        raise ProbeFailure(f"{load.way_of(network)}, the gradient of an adapter is not finite")
    if not any(bool(g.any()) for g in gradients):
        raise ProbeFailure(f"{load.way_of(network)}, the gradient of an adapter is zero")
    with torch.no_grad():
        for number, parameter in enumerate(parameters):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)) * 0.02)
    adapter_files.save(adapter, network, ADAPTER, _METHOD, base=adapter.name)


def _compare_decoding(engine: Engine, way: RunMode, expected: ReferenceAnswers) -> None:
    for greedy in expected.greedy:
        chunks = "in chunks" if len(greedy.prompt) > _CHUNK else "whole"
        _demand(engine, way, greedy, expected.allowed, beside=None, told=f"alone, its prompt read {chunks},")
    longest, shortest = (pick(expected.records, key=len) for pick in (max, min))
    for adapter, greedy in (*((None, greedy) for greedy in expected.greedy), ("other", expected.greedy[-1])):
        beside = EngineRequest(id="b", prompt_ids=tuple(longest), max_tokens=2 * NUM_GREEDY, adapter=adapter)
        whose = "another adapter's" if adapter else "a"
        _demand(engine, way, greedy, expected.allowed, beside=beside, told=f"beside {whose} longer request")
    late = EngineRequest(id="b", prompt_ids=tuple(shortest), max_tokens=NUM_GREEDY)
    _demand(engine, way, expected.greedy[-1], expected.allowed, beside=late, told="beside a shorter request")


def _demand(
    engine: Engine, way: RunMode, greedy: GreedyContinuation, allowed: float, *, beside: EngineRequest | None, told: str
) -> None:
    """The engine's tokens are those of the reference, up to where two are as likely as each other."""
    room = engine.context_length - 1
    if beside is not None:
        if len(beside.prompt_ids) >= room:
            return
        engine.submit(replace(beside, cache_salt=secrets.token_hex(8)))
        for _ in range(3):
            engine.step()
    # A salt of its own: a prompt is to be read anew in each way, however often it was read before.
    salt = secrets.token_hex(8)
    engine.submit(EngineRequest(id="a", prompt_ids=tuple(greedy.prompt), max_tokens=NUM_GREEDY, cache_salt=salt))
    found = list[int]()
    while engine.busy:
        found += [made.token for made in engine.step() if made.request_id == "a"]
    for token, wanted, lead in zip(found, greedy.ids, greedy.leads, strict=False):
        if token == wanted:
            continue
        if lead > 2 * allowed:
            raise ProbeFailure(f"{way}, the engine {told} gives other greedy tokens than transformers")
        return


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Whatever a family's own code raises is a finding too."""
    try:
        yield
    except (ProbeFailure, Changed):
        raise
    except OutcropError as refusal:
        raise ProbeFailure(refusal.message.rstrip("."), mend="") from refusal
    except Exception as error:
        first = str(error).partition("\n")[0][:300]
        raise ProbeFailure(f"{what} ({type(error).__name__}: {first})") from error


def _example(ids: list[int]) -> Example:
    ids_T = torch.tensor(ids)
    at_N = torch.arange(len(ids) - 1)
    return Example(ids_T=ids_T, at_N=at_N, target_N=ids_T[1:], num_bytes=0, line=0)


def main() -> int:
    """Print the verdict as the last line of the output. Where there can be none yet, print what a person must mend
    before."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m outcrop.probe.judge", description=__doc__)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of a family's own code, which concern nobody here
    try:
        judged = judge(arguments.folder)
    except (Invalid, ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        first = str(error).partition("\n")[0]
        why = f"transformers {transformers.__version__} cannot read its configuration ({first}). {ANOTHER}"
        judged = JudgeOutput(ProbeVerdict(way=None, why=why), None)
    except Changed as changed:
        print(json.dumps({"changed": changed.message}), flush=True)
        return 0
    print(json.dumps({**judged.verdict.to_table(), "context": judged.context}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
