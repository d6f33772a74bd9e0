"""Hyperparameters of a job: strings by the provider's names, checked together once, and one frozen value after that."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from outcrop.catalog import base_model as catalog_entry
from outcrop.customization.choices import initialize, prompting, rates
from outcrop.customization.choices.methods import LEARNING_RATE_BESIDE_LORA, method_of
from outcrop.customization.choices.rates import Rate
from outcrop.errors import Invalid
from outcrop.network.adapters.method import OFT, LoRA, Method
from outcrop.tokens.prompt_format import PROMPT, format_problem
from outcrop.training.task import TrainingHyper, tokens_at_once

_FILE = Path(catalog_entry.__file__).parent / "hyperparameters.toml"
RECOMMENDED = "recommended"

THREADS = "outcrop.threads"
RATE, MULTIPLIER = "outcrop.learningRate", "outcrop.learningRateMultiplier"
WARMUP = "learningRateWarmupSteps"

USED = "usedHyperParameters"
"Member of a job's and a custom model's row: from `used`, once the job is planned."

# Names of ours that say the same as a family's; given, they rule.
_SAME = {
    "outcrop.batchSize": "batchSize",
    RATE: "learningRate",
    f"outcrop.{WARMUP}": WARMUP,
    "outcrop.earlyStoppingPatience": "earlyStoppingPatience",
    "outcrop.earlyStoppingThreshold": "earlyStoppingThreshold",
    "outcrop.evalPercentage": "evalPercentage",
}


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The resolved hyperparameters, and notes in plain words on what was understood otherwise than it is written."""

    hyper: TrainingHyper
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The allowed values of one hyperparameter, and its default.

    They are a number in a range, one of some words, or layer names.
    """

    default: str
    means: str = ""
    least: float = 0.0
    most: float = 0.0
    whole: bool = False
    words: tuple[str, ...] = ()
    "Not empty: it is one of these rather than a number."
    names: bool = False
    "It is a list of names with commas between them."
    template: bool = False
    "Beside its words it may be a text with {prompt} in it."
    moment: bool = False
    "It is a date, or a date and time, in ISO form."
    space: bool = False
    "It is ranges of other hyperparameters; `search_space.py` reads it."

    def problem(self, text: str) -> str | None:
        """The problem with a value, or None."""
        if text == self.default:
            return None
        if self.space:
            return None
        if self.template:
            return format_problem(text)
        if self.moment:
            return None if prompting.moment(text) else f"{text[:100]!r} is no date in ISO form. {self._choose}"
        if self.names:
            bad = [name for name in text.split(",") if not name.replace(".", "a").replace("_", "a").isalnum()]
            return f"{bad[0]!r} is no layer's name. {self._choose}" if bad else None
        if self.words:
            return None if text in self.words else f"{text!r} is none of them. {self._choose}"
        try:
            number = float(int(text)) if self.whole else float(text)
        except ValueError:
            return f"{text!r} is no {'whole ' if self.whole else ''}number. {self._choose}"
        if not number >= self.least:  # so written that NaN is refused too
            return f"{text} is below the least value {_plain(self.least)}. {self._choose}"
        if number > self.most:
            return f"{text} is above the greatest value {_plain(self.most)}. {self._choose}"
        return None

    @property
    def range(self) -> str:
        if self.names:
            return f"{self.default}, or names of layers with commas between them"
        if self.space:
            return f"{self.default}, or names with their ranges and semicolons between them"
        if self.template:
            return f"{', '.join(self.words)}, or a text with {PROMPT} in it"
        if self.moment:
            return f"{self.default}, or a date, or a date and time, in ISO form"
        return ", ".join(self.words) if self.words else f"{_plain(self.least)} to {_plain(self.most)}"

    @property
    def _choose(self) -> str:
        if self.names:
            return "Name layers as q_proj,v_proj; a name may be the end of a longer one after a dot."
        if self.moment:
            return "Write it as 2026-01-31, or 2026-01-31T12:00:00+00:00."
        return f"Choose {' or '.join(self.words)}." if self.words else f"Choose {self.range} for this base model."


@dataclass(frozen=True, kw_only=True)
class ProviderHyperparameters:
    """The hyperparameters that models of one provider take."""

    relative_rate: bool
    allowed: Mapping[str, Allowed]


def filled(family: str, given: Mapping[str, str]) -> dict[str, str]:
    """The given values verbatim, and the defaults of the family for the rest, as Bedrock shows them.

    Raises Invalid with every problem at once.
    """
    known = {**read_family(family).allowed, **read_family("extra").allowed}
    problems = [problem for name, text in given.items() for problem in _problems(name, text, known)]
    if problems:
        raise Invalid(" ".join(problems))
    defaults = {name: allowed.default for name, allowed in read_family(family).allowed.items()}
    return {**defaults, **given}


def of_pairs(given: Sequence[str]) -> dict[str, str]:
    """Hyperparameters as a command is given them, NAME=VALUE. Raises Invalid for one without a value."""
    bad = [pair for pair in given if "=" not in pair]
    if bad:
        raise Invalid(f"--hyper: {bad[0]} has no value. Write NAME=VALUE, such as outcrop.method=dora.")
    return dict(pair.split("=", 1) for pair in given)


def resolve(
    family: str, values: Mapping[str, str], *, recommended_rate: float, parent: Method | None = None
) -> Resolved:
    """`values` (from `filled`) as one value. `recommended_rate` suits LoRA on the network to be trained, or the random
    weights that it begins with, in batches of `rates.RECOMMENDED_FOR`; `parent` is the method of the custom model
    that is trained further.

    Raises Invalid for values that do not go with the method.
    """
    extra = read_family("extra").allowed
    method = method_of(values, parent)
    text, overruled = _with_ours(values)
    text = {**{name: allowed.default for name, allowed in extra.items()}, **text}
    at_random = initialize.random_start(values) is not None
    suits = recommended_rate * (1.0 if at_random else LEARNING_RATE_BESIDE_LORA[method.name])
    rate = _rate(family, text, suits, "random weights" if at_random else method.name)
    warmup, told = _warmup(family, text, at_random=at_random)
    hyper = TrainingHyper(
        epochs=int(text["epochCount"]),
        batch_size=int(text.get("batchSize", "1")),
        learning_rate=rate.value,
        warmup_steps=warmup,
        schedule=text["outcrop.schedule"],  # type: ignore[arg-type]  # one of the words, checked by `filled`
        method=method,
        seed=int(text["outcrop.seed"]),
        evaluations_per_epoch=int(text["outcrop.evaluationsPerEpoch"]),
        evaluate_every_steps=_unless_recommended(text["outcrop.evaluateEverySteps"]),
        held_out_percentage=float(text.get("evalPercentage", "0")),
        patience=int(text["earlyStoppingPatience"]) if "earlyStoppingPatience" in text else None,
        threshold=float(text.get("earlyStoppingThreshold", "0")),
        weight_decay=float(text["outcrop.weightDecay"]),
        max_grad_norm=float(text["outcrop.maxGradNorm"]),
        token_budget=_unless_recommended(text["outcrop.tokensPerRow"]) or tokens_at_once(method),
        gradient_checkpointing=text["outcrop.gradientCheckpointing"] == "true",
        threads=_unless_recommended(text[THREADS]) or 0,
    )
    return Resolved(hyper=hyper, notes=(*overruled, *((rate.note,) if rate.note else ()), *told))


def with_threads(hyper: TrainingHyper, installation: int) -> TrainingHyper:
    """The run with the threads that it asks for, else those that an installation gives a job.

    0 leaves them to torch. Raises Invalid where it asks for more than it is given.
    """
    if installation and hyper.threads > installation:
        raise Invalid(
            f"hyperParameters.{THREADS}: {hyper.threads}, and this installation gives a job {installation} "
            "(OUTCROP_THREADS). Choose at most as many, or leave it out."
        )
    return replace(hyper, threads=hyper.threads or installation)


def used(
    values: Mapping[str, str], hyper: TrainingHyper, *, searched: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """The values that the run really has, by our names, where `values` (from `filled`) leave them open.

    `searched` are those that a search has chosen. Given with a new job, these values make the same run.
    """
    values = {**values, **searched}
    method = hyper.method
    really = {RATE: rates.written(hyper.learning_rate), "outcrop.method": method.name}
    if isinstance(method, LoRA):
        really |= {"outcrop.rank": str(method.rank), "outcrop.alpha": rates.written(method.alpha)}
    if isinstance(method, OFT):
        really |= {"outcrop.blockSize": str(method.block_size)}
    found = {name: text for name, text in really.items() if values.get(name, RECOMMENDED) == RECOMMENDED}
    return {**found, **searched}


def shown(document: Mapping[str, Any]) -> dict[str, str]:
    """The hyperparameters in a job's or a custom model's row: as given, and beside them what is used."""
    return {**document["hyperParameters"], **document.get(USED, {})}


def _with_ours(values: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values with ours in the place of a family's that mean the same."""
    text, notes = dict(values), []
    for ours, theirs in _SAME.items():
        if values.get(ours, RECOMMENDED) == RECOMMENDED:
            continue
        notes += [
            f"{name} {values[name]} is overruled by {ours} {values[ours]}"
            for name in (theirs, f"{theirs}Multiplier")
            if name in values
        ]
        if ours != RATE:  # which means what it says, where the family's may be a multiple
            text[theirs] = values[ours]
    return text, tuple(notes)


def _rate(family: str, text: Mapping[str, str], recommended: float, trained: str) -> Rate:
    if text[RATE] != RECOMMENDED:
        return rates.absolute(text[RATE])
    batch_size = int(text.get("batchSize", "1"))
    suits = rates.for_batch(recommended, batch_size)
    what = f"what suits {trained} on this network in batches of {batch_size}"
    if text[MULTIPLIER] != RECOMMENDED:
        return rates.multiplied(text[MULTIPLIER], suits, what)
    if "learningRateMultiplier" in text:
        return rates.multiplied(text["learningRateMultiplier"], suits, what)
    if text["learningRate"] == RECOMMENDED:
        return rates.recommended(suits, what)
    if not read_family(family).relative_rate:
        return rates.absolute(text["learningRate"])
    return rates.relative(text["learningRate"], read_family(family).allowed["learningRate"].default, suits, what)


def _warmup(family: str, text: Mapping[str, str], *, at_random: bool) -> tuple[int, tuple[str, ...]]:
    """Steps of warmup; a family's own default is for weights that were trained before, and random ones want more."""
    given, usual = text.get(WARMUP, "0"), read_family(family).allowed.get(WARMUP)
    asked_for = text[f"outcrop.{WARMUP}"] != RECOMMENDED or given != (usual.default if usual else "0")
    if not at_random or asked_for or int(given) >= initialize.WARMUP_STEPS:
        return int(given), ()
    return initialize.WARMUP_STEPS, (f"{initialize.WARMUP_STEPS} steps of warmup, which suit random weights",)


def _unless_recommended(text: str) -> int | None:
    return None if text == RECOMMENDED else int(text)


def _problems(name: str, text: str, known: Mapping[str, Allowed]) -> list[str]:
    if name not in known:
        return [f"hyperParameters.{name}: unknown for this base model. Known are {', '.join(known)}."]
    problem = known[name].problem(text)
    return [] if problem is None else [f"hyperParameters.{name}: {problem}"]


def _plain(number: float) -> str:
    """No exponents: 0.00001 as AWS writes it."""
    return f"{number:.10f}".rstrip("0").rstrip(".")


@cache
def read_family(name: str) -> ProviderHyperparameters:
    """A family of hyperparameters.toml."""
    described: dict[str, Any] = tomllib.loads(_FILE.read_text("utf-8"))["family"][name]
    allowed = {key: Allowed(**_exact(value)) for key, value in described["values"].items()}
    return ProviderHyperparameters(relative_rate=described["learning_rate"] == "relative", allowed=allowed)


def _exact(value: Mapping[str, Any]) -> dict[str, Any]:
    return {**value, "words": tuple(value.get("words", ()))}
