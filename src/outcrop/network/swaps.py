"""The one place where behaviour is put into classes of `transformers`, and what is expected of them before that.

A module of a network is given a class made of ours before its own (`put_before`), so its weights and names stay. The
table below says of which source a class or function must be, or with what its signature must begin. The classes that
it names are held against it whenever the fast ways are put in: one that a new version of `transformers` has changed
ends the run with a sentence. Others are left alone where their source is none of these. See docs/fast.md.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from types import FunctionType
from typing import Any

import transformers
from torch import nn
from transformers import AttentionInterface

from outcrop.errors import MachineTrouble

_HOME = "transformers.models."
_DIGITS = 12
"Of a digest: enough to tell sources apart."


class Changed(MachineTrouble):
    """A class or function of `transformers` that is no longer the one whose place ours would take."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """The source and signature that a class or function of `transformers` must have for ours to take its place."""

    what: str
    replacement: str
    "The file of what takes its place."
    methods: tuple[str, ...] = ()
    "Those of a class whose source counts, where it has them; none for a function."
    beside: str = ""
    "A function that this one calls, whose source counts too."
    sources: tuple[str, ...] = ()
    "Digests of the sources that compute what ours computes; none where only the signature counts."
    begins: tuple[str, ...] = ()
    "With what the signature of `forward` must begin; it must hand on further keywords, too."
    named: str
    "Those that must be as expected, as family.name."

    def is_known(self, thing: Any) -> bool:
        """Whether a class or function is of a known source."""
        return digest(thing, self.methods, self.beside) in self.sources

    def problem(self, thing: Any) -> str:
        """The difference between a class or function and what is expected of it; empty where there is none."""
        if thing is None:
            return "is gone"
        if self.sources and not self.is_known(thing):
            return f"has another source ({digest(thing, self.methods, self.beside) or 'not to be had'})"
        if self.begins and not _begins(thing.forward, self.begins):
            return f"no longer has a forward({', '.join(self.begins)}, …, **kwargs)"
        return ""

    def demand(self, thing: Any, problem: str) -> None:
        """Raises Changed for a problem of one of those that are named; others may be as they like."""
        family, name = _family(thing.__module__), thing.__name__
        if problem and f"{family}.{name}" in self.named.split():
            raise _changed(self, family, name, problem)


GATED_MLP = Expectation(
    what="the feed-forward block down(act(gate) · up)",
    replacement="network/fast/gated_mlp.py",
    methods=("forward",),
    # As Llama's; Beam's, which takes the product in fp32; Seed-OSS's, which drops at random while it is in training
    # mode, which no network here ever is.
    sources=("7d2027d4464e", "c9e76b5bb599", "24ed32eb8cb3"),
    named="llama.LlamaMLP mistral.MistralMLP qwen2.Qwen2MLP qwen3.Qwen3MLP gemma.GemmaMLP gemma2.Gemma2MLP "
    "gemma3.Gemma3MLP smollm3.SmolLM3MLP olmo2.Olmo2MLP granite.GraniteMLP cohere.CohereMLP",
)
RMS_NORM = Expectation(
    what="the norm x / sqrt(mean(x²) + eps) · weight",
    replacement="network/fast/rms_norm.py",
    methods=("forward", "_norm"),
    # As Llama's, Gemma's (1 + weight), OLMo's, Gemma 4's, Helium's, Moshi's: they differ in when they round.
    sources=("9635bcd843f3", "e5559c7750c3", "eef4e978a32a", "e0fd214fdd79", "b6d7ab076811", "4ad8d3f59922"),
    named="llama.LlamaRMSNorm mistral.MistralRMSNorm mixtral.MixtralRMSNorm qwen2.Qwen2RMSNorm qwen3.Qwen3RMSNorm "
    "gemma.GemmaRMSNorm gemma2.Gemma2RMSNorm gemma3.Gemma3RMSNorm phi3.Phi3RMSNorm smollm3.SmolLM3RMSNorm "
    "olmo2.Olmo2RMSNorm granite.GraniteRMSNorm",
)
ROTATION = Expectation(
    what="the rotation of queries and keys by their positions",
    replacement="network/fast/rotary.py",
    beside="rotate_half",
    # As Llama's, OLMo's; GPT-NeoX's and Phi-3's, which can turn a part of the head only.
    sources=("9b7060d7d257", "730cf07c648d", "e198cae58ccb", "dbe5e1562cbc"),
    named="llama.apply_rotary_pos_emb mistral.apply_rotary_pos_emb mixtral.apply_rotary_pos_emb "
    "qwen2.apply_rotary_pos_emb qwen3.apply_rotary_pos_emb gemma.apply_rotary_pos_emb gemma2.apply_rotary_pos_emb "
    "gemma3.apply_rotary_pos_emb phi3.apply_rotary_pos_emb smollm3.apply_rotary_pos_emb olmo2.apply_rotary_pos_emb "
    "granite.apply_rotary_pos_emb gpt_neox.apply_rotary_pos_emb",
)
LAYER = Expectation(
    what="a layer that computes at some positions only",
    replacement="network/fast/last_layer.py",
    begins=("self", "hidden_states"),
    named="llama.LlamaDecoderLayer mistral.MistralDecoderLayer qwen2.Qwen2DecoderLayer qwen3.Qwen3DecoderLayer "
    "gemma.GemmaDecoderLayer gemma2.Gemma2DecoderLayer gemma3.Gemma3DecoderLayer phi3.Phi3DecoderLayer "
    "smollm3.SmolLM3DecoderLayer olmo2.Olmo2DecoderLayer granite.GraniteDecoderLayer",
)
ATTENTION = Expectation(
    what="the attention of such a layer, which still sees all positions",
    replacement="network/fast/last_layer.py",
    begins=("self", "hidden_states"),
    named="llama.LlamaAttention mistral.MistralAttention qwen2.Qwen2Attention qwen3.Qwen3Attention "
    "gemma.GemmaAttention gemma2.Gemma2Attention gemma3.Gemma3Attention phi3.Phi3Attention smollm3.SmolLM3Attention "
    "olmo2.Olmo2Attention granite.GraniteAttention",
)
TABLE = (GATED_MLP, RMS_NORM, ROTATION, LAYER, ATTENTION)


def check(network: nn.Module) -> None:
    """Check the classes and functions that `TABLE` names in a network's family.

    Raises Changed where one is no longer so.
    """
    home = type(network).__module__
    family = _family(home)
    for expected in TABLE:
        for name in (
            name for one, _, name in (each.partition(".") for each in expected.named.split()) if one == family
        ):
            if problem := expected.problem(getattr(sys.modules[home], name, None)):
                raise _changed(expected, family, name, problem)


def put_before(module: nn.Module, ours: type, **members: Any) -> None:
    """Give a module a class of ours before its own; `members` are attributes of the new class."""
    own = type(module)
    module.__class__ = type(f"{ours.__name__.strip('_')}{own.__name__}", (ours, own), members)


def with_global(function: FunctionType, name: str, ours: Callable[..., Any]) -> FunctionType:
    """A copy of a function that finds ours under a global name. The original would find its module's there."""
    made = FunctionType(
        function.__code__, {**function.__globals__, name: ours}, function.__name__, function.__defaults__,
        function.__closure__,
    )  # fmt: skip
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def register_attention(name: str, ours: Callable[..., Any]) -> None:
    """Have `transformers` find an attention function under a name that is none of its own."""
    AttentionInterface.register(name, ours)


@cache
def digest(thing: Any, methods: tuple[str, ...] = (), beside: str = "") -> str:
    """The digest of a source without comments, docstrings, annotations and decorators; empty where there is none."""
    functions = [vars(thing)[name] for name in methods if name in vars(thing)] if methods else [thing]
    if beside:
        functions.append(getattr(thing, "__globals__", {}).get(beside))
    try:
        parsed = [ast.parse(textwrap.dedent(inspect.getsource(function))) for function in functions]
    except (OSError, TypeError, SyntaxError):
        return ""
    return sha256("\n".join(map(_plain, parsed)).encode()).hexdigest()[:_DIGITS]


def _plain(parsed: ast.AST) -> str:
    for node in ast.walk(parsed):
        if isinstance(node, ast.FunctionDef):
            node.returns, node.decorator_list = None, []
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        elif isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(parsed)


def _begins(forward: Callable[..., Any], names: tuple[str, ...]) -> bool:
    parameters = inspect.signature(forward).parameters
    open_ended = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    return open_ended and tuple(parameters)[: len(names)] == names


def _family(module: str) -> str:
    return module.removeprefix(_HOME).partition(".")[0] if module.startswith(_HOME) else ""


def _changed(expected: Expectation, family: str, name: str, problem: str) -> Changed:
    return Changed(
        f"transformers {transformers.__version__}: {family}.{name} {problem}. Outcrop computes {expected.what} by "
        f"itself (outcrop/{expected.replacement}) and cannot vouch for that any more. Set OUTCROP_FAST=0, which leaves "
        "all to transformers and is slower, or install the version of constraints.txt."
    )
