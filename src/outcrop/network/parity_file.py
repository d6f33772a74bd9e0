"""`parity.json`, beside the weights of a custom model: what the trainer's own network gives on held-out records.

An engine that is to serve the model is compared with it (`deployments/parity.py`). Plain values, no tensors. The form:

    {"dtype": "float32", "largest_logit": 12.5,
     "samples": [{"ids": […], "logprobs": […]}, …],        log probabilities (nats) of ids[1:]
     "generations": [{"prompt": […], "ids": […], "logprobs": […], "rivals": [[[id, logprob], …], …]}, …]}

A generation's ids are what greedy decoding gives by a plain forward over the whole text for each; rivals are the next
likeliest in the place of each. Older files are the list of samples alone.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.errors import Invalid

FILE = "parity.json"
OLDER_DTYPE, OLDER_LOGIT = "float32", 32.0
"Of files that do not say: what was served when they were written, and a logit that few networks exceed."


class Rival(NamedTuple):
    """Another token that could have been next."""

    id: int
    logprob: float


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A held-out record and the log probabilities of ids[1:]."""

    ids: Sequence[int]
    logprobs: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A held-out prompt and what greedy decoding makes of it."""

    prompt: Sequence[int]
    ids: Sequence[int]
    logprobs: Sequence[float]
    rivals: Sequence[Sequence[Rival]]
    "Of each id, the next likeliest tokens in its place, likeliest first."

    def logprob_of(self, at: int, token: int) -> float | None:
        """By the trainer, of a token in the place of ids[at]; None where it is none of the likeliest."""
        known = {**dict(self.rivals[at]), self.ids[at]: self.logprobs[at]}
        return known.get(token)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What an engine is compared with."""

    samples: Sequence[Sample]
    generations: Sequence[Generation] = ()
    dtype: str = OLDER_DTYPE
    "In which the trainer computed, by torch's name."
    largest_logit: float = OLDER_LOGIT
    "Of the generations, whatever its sign: what rounding errors are relative to."


def write(folder: Path, expected: Expected) -> None:
    (folder / FILE).write_text(json.dumps(asdict(expected)) + "\n")


def read(folder: Path) -> Expected:
    """Of a custom model. Raises OSError, and Invalid for a file of another form."""
    try:
        found = json.loads((folder / FILE).read_bytes())
        return _expected({"samples": found} if isinstance(found, list) else found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid(
            f"{FILE} is not what a training job writes ({type(error).__name__}: {str(error)[:100]}), so the engine "
            "cannot be shown to serve what was trained. Train the model anew, or import it from its checkpoint again."
        ) from error


def _expected(found: dict[str, Any]) -> Expected:
    expected = Expected(
        samples=[_sample(sample) for sample in found["samples"]],
        generations=[_generation(generation) for generation in found.get("generations", [])],
        dtype=found.get("dtype", OLDER_DTYPE),
        largest_logit=_finite(found.get("largest_logit", OLDER_LOGIT)),
    )
    if not isinstance(expected.dtype, str):
        raise TypeError("dtype is no string")
    return expected


def _sample(found: dict[str, Any]) -> Sample:
    sample = Sample(ids=_ids(found["ids"]), logprobs=[_number(x) for x in found["logprobs"]])
    if len(sample.logprobs) != max(0, len(sample.ids) - 1):
        raise ValueError("a sample has another number of log probabilities than of ids after the first")
    return sample


def _generation(found: dict[str, Any]) -> Generation:
    generation = Generation(
        prompt=_ids(found["prompt"]),
        ids=_ids(found["ids"]),
        logprobs=[_number(x) for x in found["logprobs"]],
        rivals=[[Rival(*_ids([token]), _number(logprob)) for token, logprob in rivals] for rivals in found["rivals"]],
    )
    if not generation.prompt or not len(generation.ids) == len(generation.logprobs) == len(generation.rivals):
        raise ValueError("a generation has no prompt, or another number of log probabilities than of ids")
    return generation


def _ids(found: list[Any]) -> list[int]:
    if not isinstance(found, list) or not all(type(token) is int and token >= 0 for token in found):
        raise TypeError("token ids are no list of whole numbers")
    return found


def _number(found: Any) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError("a log probability is no number")
    return float(found)


def _finite(found: Any) -> float:
    if not math.isfinite(value := _number(found)) or value < 0:
        raise ValueError("largest_logit is no finite number of at least 0")
    return value
