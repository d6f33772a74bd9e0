"""Records as the network learns them. Shapes: T tokens of a sequence, N supervised positions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from outcrop.datasets import dataset as datasets
from outcrop.datasets.encoded_file import KeptSequence
from outcrop.datasets.encoding import EncodedRecord, encode_lines
from outcrop.datasets.problems import Problem, RecordError
from outcrop.datasets.records import Customization
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

ADAPTER = "trained"
"The name under which the layers hold the adapter that is trained, where there is one."


class RecordOrigin(NamedTuple):
    """The place of a record in its dataset."""

    file: int
    line: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """A sequence to learn from. At position at_N the network is to predict target_N, the id that follows there."""

    ids_T: Tensor
    at_N: Tensor
    target_N: Tensor
    num_bytes: int
    "Bytes of UTF-8 the targets stand for."
    line: int
    file: int = 0
    "Index of the record's file, where a dataset has several."
    adapter: str = ADAPTER
    "Which learns from it."

    @property
    def origin(self) -> RecordOrigin:
        return RecordOrigin(self.file, self.line)

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
    """All records of a dataset, a file or a folder of files.

    Raises RecordError with every problem, so that nothing is left out in silence.
    """
    examples: list[Example] = []
    problems: list[Problem] = []
    dataset = datasets.of_path(path)
    for line, encoded in chain.from_iterable(
        encode_lines(
            datasets.read_of(dataset, index, customization=customization),
            tokenizer,
            name=file.name,
            context_length=context_length,
            prompt_format=prompt_format,
        )
        for index, file in enumerate(dataset.files)
    ):
        problems += line.problems
        if isinstance(encoded, Problem):
            problems.append(replace(encoded, counted=line.counted))
        else:
            examples += [example_of(sequence, sequence.num_bytes(tokenizer)) for sequence in encoded or ()]
    if problems:
        raise RecordError(problems)
    return examples


def example_of(record: EncodedRecord, num_bytes: int) -> Example:
    """The example that a sequence is; `num_bytes` is what its supervised ids stand for."""
    return _example(torch.tensor(record.ids), record.learned, num_bytes=num_bytes, line=record.line, file=record.file)


def example_of_kept(kept: KeptSequence) -> Example:
    """The example that a sequence is which the preflight has encoded."""
    ids_T = torch.from_numpy(kept.ids.astype(np.int64))
    return _example(ids_T, kept.learned.tolist(), num_bytes=kept.num_bytes, line=kept.line, file=kept.file)


def _example(ids_T: Tensor, learned: Sequence[Sequence[int]], *, num_bytes: int, line: int, file: int) -> Example:
    # The one shift by one of the house: the id at t is predicted at t - 1.
    runs = [torch.arange(start, stop) for start, stop in learned]
    predicted_N = runs[0] if len(runs) == 1 else torch.cat([torch.arange(0), *runs])
    return Example(
        ids_T=ids_T,
        at_N=predicted_N - 1,
        target_N=ids_T[predicted_N],
        num_bytes=num_bytes,
        line=line,
        file=file,
    )
