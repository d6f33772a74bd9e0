"""`parity.json`: what the trainer leaves beside the weights, so that whoever serves them can compare. No tensors here.

Token ids of held-out records, and the trainer's own log probabilities of all but the first.
"""

from pathlib import Path
from typing import Any

from outcrop.json_files import FileProblem, Items, Members, Number, read

FILE = "parity.json"
MOST_RECORDS = 1_000
MOST_TOKENS = 100_000
_SHAPE = Items(
    of=Members(
        required={
            "ids": Items(of=Number(whole=True, least=0, most=2**31), least=1, most=MOST_TOKENS),
            "logprobs": Items(of=Number(), most=MOST_TOKENS),
        }
    ),
    most=MOST_RECORDS,
)


def read_samples(folder: Path) -> list[dict[str, Any]]:
    """The samples in the folder of a model. Raises FileProblem."""
    samples: list[dict[str, Any]] = read(folder / FILE, _SHAPE)
    for place, sample in enumerate(samples):
        num_ids, num_scores = len(sample["ids"]), len(sample["logprobs"])
        if num_scores != num_ids - 1:
            wanted = f"one for each of the {num_ids} ids but the first"
            raise FileProblem(f"{FILE}: [{place}].logprobs: expected {wanted}, found {num_scores}")
    return samples
