"""The search of a customization job, read from its hyperparameters: which ranges it tries, and how.

    outcrop.search = "outcrop.rank=4..64 log; outcrop.learningRate=1e-5..1e-3 log; outcrop.schedule=linear|cosine"

The first trial has the hyperparameters that the job has without the search, so that a search tells what it gained.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from outcrop.customization.choices import hyperparameters
from outcrop.customization.choices.hyperparameters import RECOMMENDED, Allowed
from outcrop.errors import Invalid
from outcrop.search.ranges import CategoricalRange, ContinuousRange, IntegerRange, ParameterRange, ScalingType, Space
from outcrop.search.ranges import combinations as combinations_of
from outcrop.search.strategy import Strategy

SPACE, TRIALS, SAMPLER, PRUNER = "outcrop.search", "outcrop.trials", "outcrop.sampler", "outcrop.pruner"
AT_ONCE = "outcrop.trialsAtOnce"
NAMES = (SPACE, TRIALS, SAMPLER, PRUNER, AT_ONCE)
_NONE = "none"
_USUAL_TRIALS, _USUAL_AT_ONCE = 16, 8
_MOST_RANGES = 30
_RANGE = re.compile(r"(?P<least>[^\s.]+(?:\.\d[^\s.]*)?)\.\.(?P<most>\S+)(?:\s+(?P<log>log|even))?")
_MANY_TIMES = 100
"A range whose end is this many times its beginning is gone through by orders of magnitude, unless it says even."
_STRATEGIES = {"tpe": Strategy.BAYESIAN, "random": Strategy.RANDOM, "grid": Strategy.GRID}
_FIXED = (
    *NAMES, "outcrop.seed", "outcrop.initialize", "outcrop.layers", "outcrop.width", "outcrop.tokenizerSize",
    "outcrop.promptFormat", "outcrop.promptDay", "outcrop.evalPercentage", "evalPercentage", "outcrop.tensorboard",
    "outcrop.evaluationsPerEpoch", "outcrop.evaluateEverySteps", "outcrop.tokensPerRow", "outcrop.threads",
)  # fmt: skip
"What decides which losses are compared, or nothing of what is learned."


class Pruner(StrEnum):
    """The rule by which trials stop before their end."""

    MEDIAN = "median"
    HYPERBAND = "hyperband"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """The search of one job."""

    space: Space
    trials: int
    "The one with the job's own hyperparameters among them."
    strategy: Strategy
    pruner: Pruner
    at_once: int
    seed: int

    def corners(self) -> Iterator[dict[str, str]]:
        """Points that show whether the ranges suit a base: the ends of all ranges together, and every word."""
        ends = {name: _ends(each) for name, each in self.space.items()}
        for place in range(max(map(len, ends.values()))):
            yield {name: texts[min(place, len(texts) - 1)] for name, texts in ends.items()}


def read(family: str, values: Mapping[str, str], *, has_validation: bool) -> SearchPlan | None:
    """The search in a job's hyperparameters (from `filled`); None where there is none. Raises Invalid."""
    text = values.get(SPACE, _NONE)
    if text.strip() in ("", _NONE):
        given = [name for name in NAMES if name in values and name != SPACE]
        if given:
            raise Invalid(f"hyperParameters.{given[0]}: goes with {SPACE}, which says what is searched. Give both.")
        return None
    if not has_validation:
        raise Invalid(
            f"hyperParameters.{SPACE}: trials are compared on validation data, and there is none. Give "
            "validationDataConfig, or outcrop.evalPercentage to set training records aside."
        )
    space = _space(family, text)
    strategy = _STRATEGIES[values.get(SAMPLER, "tpe")]
    return SearchPlan(
        space=space,
        trials=_trials(strategy, space, values.get(TRIALS, RECOMMENDED)),
        strategy=strategy,
        pruner=Pruner(values.get(PRUNER, Pruner.MEDIAN)),
        at_once=_or(values.get(AT_ONCE, RECOMMENDED), _USUAL_AT_ONCE),
        seed=int(values.get("outcrop.seed", "0")),
    )


def sets_aside(values: Mapping[str, str]) -> bool:
    """Whether records of the training data are set aside for validation, where no other data is given."""
    ours = values.get("outcrop.evalPercentage", RECOMMENDED)
    return float(values.get("evalPercentage", "0") if ours == RECOMMENDED else ours) > 0


def _ends(of: ParameterRange) -> Sequence[str]:
    return of.values if isinstance(of, CategoricalRange) else (of.text(of.least), of.text(of.most))


def _space(family: str, text: str) -> Space:
    known = {**hyperparameters.read_family(family).allowed, **hyperparameters.read_family("extra").allowed}
    found: dict[str, ParameterRange] = {}
    problems: list[str] = []
    for part in filter(None, (part.strip() for part in re.split(r"[;\n]", text))):
        name, sign, said = (each.strip() for each in part.partition("="))
        try:
            if not sign:
                raise Invalid("has no range. Write NAME=LEAST..MOST, or NAME=WORD|WORD.")
            if name in found:
                raise Invalid("is given twice. Give it one range.")
            found[name] = _range(name, said, known)
        except Invalid as wrong:
            problems.append(f"hyperParameters.{SPACE}: {name} {wrong.message}")
    if len(found) > _MOST_RANGES:
        problems.append(f"hyperParameters.{SPACE}: {len(found)} ranges are more than {_MOST_RANGES}. Give fewer.")
    if problems:
        raise Invalid(" ".join(problems))
    return dict(sorted(found.items()))


def _range(name: str, said: str, known: Mapping[str, Allowed]) -> ParameterRange:
    if name in _FIXED:
        raise Invalid("is the same for all trials, for their losses to be comparable. Give it beside the search.")
    allowed = known.get(name)
    if allowed is None:
        searched = ", ".join(each for each in known if each not in _FIXED)
        raise Invalid(f"is unknown for this base model. Known are {searched}.")
    found = _RANGE.fullmatch(said)
    if found is None or allowed.words or allowed.names:
        words = tuple(word.strip() for word in said.split("|"))
        if len(words) < 2 or len(set(words)) < len(words):
            raise Invalid(f"{said[:60]!r} is no range. Write LEAST..MOST, or several different WORD|WORD.")
        _check(allowed, *words)
        return CategoricalRange(values=words)
    least, most = found["least"], found["most"]
    _check(allowed, least, most)
    log = found["log"] == "log"
    if float(least) > float(most):
        raise Invalid(f"{least}..{most} ends below its beginning. Exchange them.")
    if log and float(least) <= 0:
        raise Invalid(f"{least}..{most} log needs a beginning above 0. Raise it, or write even.")
    wide = found["log"] is None and float(least) > 0 and float(most) / float(least) >= _MANY_TIMES
    scaling = ScalingType.LOGARITHMIC if log or wide else ScalingType.LINEAR
    if allowed.whole:
        return IntegerRange(least=int(least), most=int(most), scaling=scaling)
    return ContinuousRange(least=float(least), most=float(most), scaling=scaling)


def _check(allowed: Allowed, *values: str) -> None:
    """Raises Invalid for a value that the hyperparameter does not take."""
    for value in values:
        problem = allowed.problem(value)
        if problem is not None:
            raise Invalid(problem)
        if not allowed.words and not allowed.names and value == allowed.default == RECOMMENDED:
            raise Invalid(f"{value} is no number. Write LEAST..MOST.")


def _trials(strategy: Strategy, space: Space, text: str) -> int:
    if strategy is not Strategy.GRID:
        return _or(text, _USUAL_TRIALS)
    combinations = combinations_of(space)
    if combinations is None:
        raise Invalid(f"hyperParameters.{SAMPLER}: grid goes through words only. Write NAME=8|16|32 for every range.")
    return min(_or(text, combinations + 1), combinations + 1)


def _or(text: str, usual: int) -> int:
    return usual if text == RECOMMENDED else int(text)
