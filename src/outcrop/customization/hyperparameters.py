"""Hyperparameters of a job: strings by the provider's names, checked together once, and one frozen value after that."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from outcrop.catalog import base_model as catalog_entry
from outcrop.errors import Invalid

_FILE = Path(catalog_entry.__file__).parent / "hyperparameters.toml"
RECOMMENDED = "recommended"
DEFAULT_RANK = 16


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What to train, resolved. `notes` says in plain words what was understood differently from what was written."""

    epochs: int
    batch_size: int
    "Records of one optimizer step."
    learning_rate: float
    warmup_steps: int
    patience: int | None
    "Evaluations without improvement before training stops; None trains to the end."
    threshold: float
    rank: int
    alpha: float
    seed: int
    evaluations_per_epoch: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The range of one hyperparameter and its default as written on the wire."""

    default: str
    least: float
    most: float
    whole: bool = False

    def problem(self, text: str) -> str | None:
        """What is wrong with a value, or None."""
        if text == RECOMMENDED == self.default:
            return None
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
    def _choose(self) -> str:
        return f"Choose {_plain(self.least)} to {_plain(self.most)} for this base model."


@dataclass(frozen=True, kw_only=True)
class Family:
    """The hyperparameters that models of one provider take."""

    relative_rate: bool
    allowed: Mapping[str, Allowed]


def filled(family: str, given: Mapping[str, str]) -> dict[str, str]:
    """The given values verbatim, and the defaults of the family for the rest, as Bedrock shows them.

    Raises Invalid with every problem at once.
    """
    known = {**_family(family).allowed, **_family("extra").allowed}
    problems = [problem for name, text in given.items() for problem in _problems(name, text, known)]
    if problems:
        raise Invalid(" ".join(problems))
    defaults = {name: allowed.default for name, allowed in _family(family).allowed.items()}
    return {**defaults, **given}


def resolve(family: str, values: Mapping[str, str], *, recommended_rate: float) -> Hyperparameters:
    """`values` (from `filled`) as one value. `recommended_rate` is what suits LoRA on the network to be trained."""
    extra = _family("extra").allowed
    text = {**{name: allowed.default for name, allowed in extra.items()}, **values}
    rank = DEFAULT_RANK if text["outcrop.loraRank"] == RECOMMENDED else int(text["outcrop.loraRank"])
    alpha = 2.0 * rank if text["outcrop.loraAlpha"] == RECOMMENDED else float(text["outcrop.loraAlpha"])
    rate, notes = _rate(family, text, recommended_rate)
    return Hyperparameters(
        epochs=int(text["epochCount"]),
        batch_size=int(text.get("batchSize", "1")),
        learning_rate=rate,
        warmup_steps=int(text.get("learningRateWarmupSteps", "0")),
        patience=int(text["earlyStoppingPatience"]) if "earlyStoppingPatience" in text else None,
        threshold=float(text.get("earlyStoppingThreshold", "0")),
        rank=rank,
        alpha=alpha,
        seed=int(text["outcrop.seed"]),
        evaluations_per_epoch=int(text["outcrop.evaluationsPerEpoch"]),
        notes=notes,
    )


def _rate(family: str, text: Mapping[str, str], recommended: float) -> tuple[float, tuple[str, ...]]:
    if "learningRateMultiplier" in text:
        multiplier = float(text["learningRateMultiplier"])
        rate = multiplier * recommended
        return rate, (
            f"learningRateMultiplier {text['learningRateMultiplier']} x {recommended:g}, LoRA's rate on this network",
        )
    written = text["learningRate"]
    if written == RECOMMENDED:
        return recommended, (f"learningRate {recommended:g} (recommended for this network)",)
    if not _family(family).relative_rate:
        return float(written), ()
    default = _family(family).allowed["learningRate"].default
    rate = float(written) / float(default) * recommended
    times = float(written) / float(default)
    note = f"learningRate {written} is {times:g} x this family's default: {rate:g} for LoRA on this network"
    return rate, (note,)


def _problems(name: str, text: str, known: Mapping[str, Allowed]) -> list[str]:
    if name not in known:
        return [f"hyperParameters.{name}: unknown for this base model. Known are {', '.join(known)}."]
    problem = known[name].problem(text)
    return [] if problem is None else [f"hyperParameters.{name}: {problem}"]


def _plain(number: float) -> str:
    """No exponents: 0.00001 as AWS writes it."""
    return f"{number:.10f}".rstrip("0").rstrip(".")


@cache
def _family(name: str) -> Family:
    described: dict[str, Any] = tomllib.loads(_FILE.read_text())["family"][name]
    allowed = {key: Allowed(**value) for key, value in described["values"].items()}
    return Family(relative_rate=described["learning_rate"] == "relative", allowed=allowed)
