"""The weights that a network begins with: its base's, or random ones in the sizes that a job asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from outcrop.catalog.base_model import BaseModel, Customization
from outcrop.errors import Invalid
from outcrop.network import sizes
from outcrop.network.sizes import Sizes
from outcrop.store.resources import Resource
from outcrop.tokens import new_tokenizer

NAME, RANDOM = "outcrop.initialize", "random"
LAYERS, WIDTH, TOKENIZER_SIZE = "outcrop.layers", "outcrop.width", "outcrop.tokenizerSize"
_RECOMMENDED = "recommended"
_RATE_AT_WIDTH = 2e-3, 256
_LEAST_RATE, _MOST_RATE = 1e-4, 4e-3
WARMUP_STEPS = 20
"Where nobody asks for another number: without warmup random weights end far worse (measured, docs/defaults.md)."


@dataclass(frozen=True, kw_only=True)
class RandomStart:
    """A network that begins with random weights, in the architecture of a base; None: as the base has it."""

    layers: int | None
    width: int | None
    tokenizer_size: int | None
    "Most tokens of a tokenizer that is learned from the training data; None: the base's own tokenizer."

    def sizes(self, base: Path) -> Sizes:
        """The sizes of its network, by the configuration in the directory `base`. Raises Invalid."""
        return sizes.scaled(base, layers=self.layers, width=self.width)

    def num_parameters(self, base: Path) -> int:
        """About how many numbers the network has."""
        return sizes.num_parameters(base, self.sizes(base), vocabulary=self.tokenizer_size)

    def learning_rate(self, base: Path) -> float:
        """A rate that suits the network, in batches of `rates.RECOMMENDED_FOR` (measured, docs/defaults.md)."""
        rate, width = _RATE_AT_WIDTH
        return min(_MOST_RATE, max(_LEAST_RATE, rate * width / self.sizes(base).width))


def check_sealed(values: Mapping[str, str]) -> None:
    """Raises Invalid for a tokenizer that would tell in clear what a sealed model learned."""
    if _number(values, TOKENIZER_SIZE) is not None:
        raise Invalid(
            f"hyperParameters.{TOKENIZER_SIZE}: a tokenizer that is learned from the data lies in clear beside the "
            "model, and this one is sealed. Leave it out; the network then has its base's tokenizer."
        )


def random_start(values: Mapping[str, str]) -> RandomStart | None:
    """The random start that hyperparameters ask for, or None. Raises Invalid for sizes without one."""
    if values.get(NAME) == RANDOM:
        return RandomStart(
            layers=_number(values, LAYERS), width=_number(values, WIDTH), tokenizer_size=_number(values, TOKENIZER_SIZE)
        )
    alone = [name for name in (LAYERS, WIDTH, TOKENIZER_SIZE) if _number(values, name) is not None]
    if alone:
        raise Invalid(
            " ".join(
                f"hyperParameters.{name}: belongs to a network that begins at random, and this job begins with the "
                f"weights of its base model. Remove it, or set {NAME} to {RANDOM}."
                for name in alone
            )
        )
    return None


def check(
    values: Mapping[str, str], base: BaseModel, *, parent: Resource | None, customization: Customization
) -> RandomStart | None:
    """The random start that a job asks for, if it may have one. Raises Invalid with every problem at once."""
    start = random_start(values)
    if start is None:
        return None
    assert base.folder is not None
    problems = []
    if customization is not Customization.CONTINUED_PRE_TRAINING:
        problems.append(
            f"hyperParameters.{NAME}: {RANDOM} goes with CONTINUED_PRE_TRAINING, since a network that knows nothing "
            "reads texts first. Pre-train it, then fine-tune the custom model that comes of it."
        )
    if parent is not None:
        problems.append(
            f"hyperParameters.{NAME}: {RANDOM} would leave nothing of the custom model {parent.name}. Name its "
            f"foundation model {base.id} in baseModelIdentifier, or remove it."
        )
    try:
        start.sizes(base.folder)
    except Invalid as problem:
        problems.append(problem.message)
    if start.tokenizer_size is not None and start.tokenizer_size < (least := new_tokenizer.least_size(base.folder)):
        problems.append(
            f"hyperParameters.{TOKENIZER_SIZE}: {start.tokenizer_size} is below {least}: the {new_tokenizer.NUM_BYTES} "
            f"bytes, and {least - new_tokenizer.NUM_BYTES} special tokens of {base.id}. Choose at least {least}."
        )
    if problems:
        raise Invalid(" ".join(problems))
    return start


def _number(values: Mapping[str, str], name: str) -> int | None:
    text = values.get(name, _RECOMMENDED)
    return None if text == _RECOMMENDED else int(text)
