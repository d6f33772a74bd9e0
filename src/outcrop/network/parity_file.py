"""`parity.json`, beside the weights of a custom model: what the trainer's own network gives on held-out records.

An engine that is to serve the model is compared with it (`deployments/parity.py`). Plain values, no tensors. The form:

    {"dtype": "float32", "largest_logit": 12.5,
     "samples": [{"ids": […], "logprobs": […]}, …],        log probabilities (nats) of ids[1:]
     "generations": [{"prompt": […], "ids": […], "logprobs": […], "rivals": [[[id, logprob], …], …]}, …]}

A generation's ids are what greedy decoding gives by a plain forward over the whole text for each; rivals are the next
likeliest in the place of each. Older files are the list of samples alone.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from outcrop import json_files
from outcrop.json_files import FileProblem, JsonItems, JsonNumber, JsonText, Members

FILE = "parity.json"
OpenFile = Callable[[Path], BinaryIO]
OLDER_DTYPE, OLDER_LOGIT = "float32", 32.0
"Of files that do not say: what was served when they were written, and a logit that few networks exceed."


class RunnerUp(NamedTuple):
    """A token that was nearly as likely as the one that greedy decoding took."""

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
    rivals: Sequence[Sequence[RunnerUp]]
    "Of each id, the next likeliest tokens in its place, likeliest first."

    def logprob_of(self, at: int, token: int) -> float | None:
        """The trainer's log probability of a token in the place of ids[at]; None where it is none of the likeliest."""
        known = {**dict(self.rivals[at]), self.ids[at]: self.logprobs[at]}
        return known.get(token)


@dataclass(frozen=True, kw_only=True)
class ParityRecord:
    """The trainer's log probabilities and greedy answers that an engine is compared with."""

    samples: Sequence[Sample]
    generations: Sequence[Generation] = ()
    dtype: str = OLDER_DTYPE
    "In which the trainer computed, by torch's name."
    largest_logit: float = OLDER_LOGIT
    "Of the generations, whatever its sign: what rounding errors are relative to."


def text(expected: ParityRecord) -> str:
    """The text of the file."""
    return json.dumps(asdict(expected)) + "\n"


def read(folder: Path, open_file: OpenFile | None = None) -> ParityRecord:
    """Read the parity file of a custom model. Raises FileProblem for a file of another form.

    `open_file` opens one that may be sealed.
    """
    if open_file is None:
        found: Any = json_files.read(folder / FILE, _SHAPE)
    else:
        try:
            with open_file(folder / FILE) as file:
                found = json_files.read_bytes(file.read(json_files.MOST_BYTES + 1), _SHAPE, name=FILE)
        except OSError as error:
            raise FileProblem(f"{FILE}: cannot be read ({error.strerror})") from error
    whole: dict[str, Any] = {"samples": found} if isinstance(found, list) else found
    for place, sample in enumerate(whole["samples"]):
        _check_number(f"[{place}].logprobs", sample["logprobs"], len(sample["ids"]) - 1, "ids but the first")
    for place, generation in enumerate(whole.get("generations", [])):
        for member in ("logprobs", "rivals"):
            _check_number(f"generations[{place}].{member}", generation[member], len(generation["ids"]), "ids")
    return ParityRecord(
        samples=[Sample(ids=each["ids"], logprobs=each["logprobs"]) for each in whole["samples"]],
        generations=[_generation(each) for each in whole.get("generations", [])],
        dtype=whole.get("dtype", OLDER_DTYPE),
        largest_logit=float(whole.get("largest_logit", OLDER_LOGIT)),
    )


def _check_number(at: str, found: Sequence[Any], wanted: int, of_what: str) -> None:
    if len(found) != wanted:
        raise FileProblem(f"{FILE}: {at}: expected {wanted}, one for each of the {of_what}, found {len(found)}")


def _generation(found: dict[str, Any]) -> Generation:
    return Generation(
        prompt=found["prompt"],
        ids=found["ids"],
        logprobs=found["logprobs"],
        rivals=[[RunnerUp(int(token), logprob) for token, logprob in rivals] for rivals in found["rivals"]],
    )


_MOST_RECORDS, _MOST_TOKENS = 1_000, 100_000
_ID = JsonNumber(whole=True, least=0, most=2**31)
_LOGPROB = JsonNumber(least=-1e300, most=1e300)
_SAMPLES = JsonItems(
    of=Members(
        required={
            "ids": JsonItems(of=_ID, least=1, most=_MOST_TOKENS),
            "logprobs": JsonItems(of=_LOGPROB, most=_MOST_TOKENS),
        }
    ),
    most=_MOST_RECORDS,
)
_GENERATIONS = JsonItems(
    of=Members(
        required={
            "prompt": JsonItems(of=_ID, least=1, most=_MOST_TOKENS),
            "ids": JsonItems(of=_ID, most=_MOST_TOKENS),
            "logprobs": JsonItems(of=_LOGPROB, most=_MOST_TOKENS),
            "rivals": JsonItems(of=JsonItems(of=JsonItems(of=_LOGPROB, least=2, most=2)), most=_MOST_TOKENS),
        }
    ),
    most=_MOST_RECORDS,
)
_OBJECT = Members(
    required={"samples": _SAMPLES},
    optional={
        "generations": _GENERATIONS,
        "dtype": JsonText(most=40),
        "largest_logit": JsonNumber(least=0, most=1e300),
    },
)


class _Shape:
    """A list of samples, as older files are, or the object that is written now."""

    def problem(self, value: Any, at: str) -> str | None:
        return (_SAMPLES if isinstance(value, list) else _OBJECT).problem(value, at)


_SHAPE = _Shape()
