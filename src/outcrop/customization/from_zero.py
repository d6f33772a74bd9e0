"""The network of a job that begins at random: sizes, perhaps a tokenizer of its own, and weights.

A directory like a base model's, in the job's run folder. It is made once, whole or not at all, before the records are
encoded; a worker that takes the job up again finds it there. From then on the job is one on a base model as any other.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from outcrop.customization.base import Start
from outcrop.customization.choices import initialize
from outcrop.customization.choices.initialize import RandomStart
from outcrop.customization.work import Work, fetch
from outcrop.datasets import dataset as datasets
from outcrop.datasets.records import TextRecord
from outcrop.network import facts, random_weights, sizes
from outcrop.network.sizes import Vocabulary
from outcrop.tokens import new_tokenizer
from outcrop.training.checkpoints.checkpoint import sync_folder

_FOLDER = "from-zero"
SAMPLE_BYTES = 100_000_000
"Of a larger training file about so much is read for the tokenizer, evenly spread: more teaches it nothing new."
_ASK_AFTER = 1_000
"Records, before it is looked whether the job is to stop."


def with_own_network(work: Work) -> Work:
    """The work on a network made for the job, where it begins at random; any other work as it is.

    Raises Invalid, StopRequested, and what fetching the data raises.
    """
    values = work.record.document["hyperParameters"]
    asked = initialize.random_start(values)
    if asked is None:
        return work
    folder = work.data_dir / _FOLDER
    if not folder.is_dir():
        work.journal.report("making a network")
        _make(work, asked, folder, seed=int(values.get("outcrop.seed", "0")))
    owner = work.record.document["modelArn"].rsplit("/", 1)[-1]
    own = replace(work.base, folder=folder, engine=f"{work.base.engine}@{owner}", owner=owner, verdict=None)
    return replace(work, start=replace(work.start, base=own), notes=_notes(work.start, folder, asked))


def describe(folder: Path, base: Path, asked: RandomStart, texts: Iterator[str] | None) -> None:
    """Write into `folder` what a network that begins at random has beside its weights. Raises Invalid.

    The texts are read where its tokenizer is learned from them. None: its network alone is to be known, without one.
    """
    vocabulary = None
    if asked.tokenizer_size is not None and texts is not None:
        learned = new_tokenizer.train(texts, size=asked.tokenizer_size, base=base, folder=folder)
        vocabulary = Vocabulary(size=learned.size, ids=new_tokenizer.ids_of(folder))
    else:
        for path in new_tokenizer.files(base):
            shutil.copyfile(path, folder / path.name)
        if asked.tokenizer_size is not None:
            vocabulary = Vocabulary(size=asked.tokenizer_size, ids={})
    configuration = sizes.configuration(base, asked.sizes(base), vocabulary)
    (folder / "config.json").write_text(json.dumps(configuration, indent=2) + "\n", "utf-8")


def texts_of(path: Path, *, sample_bytes: int = SAMPLE_BYTES) -> Iterator[str]:
    """The texts of training data for a tokenizer, one at a time: of a large file, an even sample.

    Lines that are no records are passed over; the preflight tells of them.
    """
    dataset = datasets.of_path(path)
    every = max(1, -(-sum(file.path.stat().st_size for file in dataset.files) // sample_bytes))
    records = (line.record for line in datasets.read_dataset(dataset, customization="CONTINUED_PRE_TRAINING"))
    for number, record in enumerate(records):
        if number % every == 0 and isinstance(record, TextRecord):
            yield record.text


def _make(work: Work, asked: RandomStart, folder: Path, *, seed: int) -> None:
    making = folder.with_name(f".{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    describe(making, work.folder, asked, _until_stopped(work, texts_of(fetch(work)[0])))
    random_weights.write(making, seed=seed)
    for path in making.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(making)
    making.rename(folder)


def _until_stopped(work: Work, texts: Iterator[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        if number % _ASK_AFTER == 0:
            work.job.check()
        yield text


def _notes(start: Start, folder: Path, asked: RandomStart) -> tuple[str, ...]:
    """Sentences on what the network is: told with the plan, and kept in lineage.json."""
    described = facts.read(folder)
    told = [f"random weights in the architecture of {start.base.id}: {sizes.of(described)}"]
    if asked.tokenizer_size is not None:
        size = described.named["vocab_size"]
        fewer = f", where {asked.tokenizer_size:,} were asked for" if size < asked.tokenizer_size else ""
        told.append(f"a tokenizer of its own: {size:,} tokens{fewer}, learned from the training data")
    return tuple(told)
