"""The training data of a run: the examples it learns from, and those it is evaluated on."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from outcrop.datasets.encoded_file import read_encoded
from outcrop.network import load
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training.examples import Example, example_of_kept, read_examples
from outcrop.training.held_out import set_aside
from outcrop.training.task import TrainingTask


class Validator(NamedTuple):
    """Held-out records, by the name of their file."""

    name: str
    examples: Sequence[Example]


class TrainingData(NamedTuple):
    """The examples of one run: those it learns from, and the validators, of which nothing is learned."""

    examples: Sequence[Example]
    validators: Sequence[Validator]
    notes: Sequence[str]
    "What was done with the records, in plain words."
    set_aside: frozenset[int] = frozenset()
    "Lines of the training data that are evaluated on rather than learned."

    @property
    def evaluated(self) -> Sequence[Example]:
        """The examples evaluated while training: the first validator's; none where there is none."""
        return self.validators[0].examples if self.validators else ()

    @property
    def held_out(self) -> Sequence[Example]:
        """The examples on which a serving engine is compared: the evaluated ones, or else those trained on."""
        return self.evaluated or self.examples


def read(task: TrainingTask) -> TrainingData:
    """The training data of a task, some of it set aside where asked for. Raises RecordError with every problem."""
    tokenizer = Tokenizer.open(task.base_dir)
    context_length = task.context_length or load.context_length(task.base_dir)

    files = (task.train, *task.validators)
    kept = dict(zip(files, task.encoded, strict=True)) if task.encoded else {}

    def examples_of(path: Path) -> list[Example]:
        encoded = read_encoded(kept[path], context_length=context_length) if path in kept else None
        if encoded is not None:
            return [example_of_kept(sequence) for sequence in encoded]
        return read_examples(
            path,
            tokenizer,
            context_length=context_length,
            customization=task.customization,
            prompt_format=task.prompt_format,
        )

    examples, percentage = examples_of(task.train), task.hyper.held_out_percentage
    if task.validators:
        notes = ["nothing of the training data is set aside: there is validation data"] if percentage else []
        return TrainingData(examples, [Validator(path.name, examples_of(path)) for path in task.validators], notes)
    if not percentage:
        return TrainingData(examples, [], [])
    split = set_aside(examples, percentage=percentage, seed=task.hyper.seed)
    if not split.held_out:
        return TrainingData(examples, [], ["no record was set aside for validation: all of them are equal"])
    return TrainingData(
        split.training,
        [Validator(f"{task.train.name} (set aside)", split.held_out)],
        [split.note],
        frozenset(example.line for example in split.held_out),
    )
