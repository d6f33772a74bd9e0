"""Records as the network learns them. Shapes: T tokens of a sequence, N supervised positions."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from outcrop.datasets import dataset as datasets
from outcrop.datasets.encoding import EncodedRecord, encode
from outcrop.datasets.problems import Problem, RecordError
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
    file: int = 0
    "Index of the record's file, where a dataset has several."

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
    for line in datasets.read_dataset(datasets.of_path(path), customization=customization):
        problems += line.problems
        if line.record is None:
            continue
        encoded = encode(
            line.record, tokenizer, context_length=context_length, name=line.name, prompt_format=prompt_format
        )
        if isinstance(encoded, Problem):
            problems.append(encoded)
        else:
            examples += [example_of(sequence, sequence.num_bytes(tokenizer)) for sequence in encoded]
    if problems:
        raise RecordError(problems)
    return examples


def example_of(record: EncodedRecord, num_bytes: int) -> Example:
    """The example that a sequence is; `num_bytes` is what its supervised ids stand for."""
    ids_T = torch.tensor(record.ids)
    # The one shift by one of the house: the id at t is predicted at t - 1.
    predicted_N = torch.tensor(record.supervised).nonzero()[:, 0]
    return Example(
        ids_T=ids_T,
        at_N=predicted_N - 1,
        target_N=ids_T[predicted_N],
        num_bytes=num_bytes,
        line=record.line,
        file=record.file,
    )
