"""Records as the network learns them. Shapes: T tokens of a sequence, N supervised positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from outcrop.datasets.encoded_file import KeptSequence
from outcrop.datasets.encoding import EncodedRecord, encode_lines
from outcrop.datasets.problems import Problem, RecordError
from outcrop.datasets.reading import read_file
from outcrop.datasets.records import Customization
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """A sequence to learn from. At position at_N the network is to predict target_N, the id that follows there."""

    ids_T: Tensor
    at_N: Tensor
    target_N: Tensor
    num_bytes: int
    "Bytes of UTF-8 the targets stand for."
    line: int

    def __len__(self) -> int:
        return self.ids_T.shape[0]

    @property
    def num_supervised(self) -> int:
        return self.target_N.shape[0]


def read_examples(
    path: Path,
    tokenizer: Tokenizer,
    *,
    context_length: int,
    customization: Customization,
    prompt_format: PromptFormat = PromptFormat.TEXT,
) -> list[Example]:
    """All records of a file. Raises RecordError with every problem, so that nothing is left out in silence."""
    examples: list[Example] = []
    problems: list[Problem] = []
    lines = read_file(path, customization=customization)
    for line, encoded in encode_lines(
        lines, tokenizer, name=path.name, context_length=context_length, prompt_format=prompt_format
    ):
        problems += line.problems
        if isinstance(encoded, Problem):
            problems.append(encoded)
        else:
            examples += [example_of(sequence, sequence.num_bytes(tokenizer)) for sequence in encoded or ()]
    if problems:
        raise RecordError(problems)
    return examples


def example_of(record: EncodedRecord, num_bytes: int) -> Example:
    """The example that a sequence is; `num_bytes` is what its supervised ids stand for."""
    return _example(torch.tensor(record.ids), record.learned, num_bytes=num_bytes, line=record.line)


def example_of_kept(kept: KeptSequence) -> Example:
    """The example that a sequence is which the preflight has encoded."""
    ids_T = torch.from_numpy(kept.ids.astype(np.int64))
    return _example(ids_T, kept.learned.tolist(), num_bytes=kept.num_bytes, line=kept.line)


def _example(ids_T: Tensor, learned: Sequence[Sequence[int]], *, num_bytes: int, line: int) -> Example:
    # The one shift by one of the house: the id at t is predicted at t - 1.
    runs = [torch.arange(start, stop) for start, stop in learned]
    predicted_N = runs[0] if len(runs) == 1 else torch.cat([torch.arange(0), *runs])
    return Example(
        ids_T=ids_T,
        at_N=predicted_N - 1,
        target_N=ids_T[predicted_N],
        num_bytes=num_bytes,
        line=line,
    )
