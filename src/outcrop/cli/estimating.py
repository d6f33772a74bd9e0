"""`outcrop estimate`: the memory and the time a job would need on this machine, before there is one."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from outcrop.catalog.base_model import BaseModel, Customization
from outcrop.catalog.catalog import Catalog
from outcrop.cli.data_files import check_data_file
from outcrop.clock import SystemClock
from outcrop.customization import forecast, from_zero, memory
from outcrop.customization.choices import hyperparameters, initialize, prompting
from outcrop.datasets.report.value import Report, RunForecast
from outcrop.errors import Invalid
from outcrop.network import headers
from outcrop.network.run_mode import RunMode
from outcrop.settings import Settings
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training.estimate import fitting, requirements
from outcrop.training.estimate.requirements import Estimate, Lengths
from outcrop.training.examples import read_examples
from outcrop.training.task import TrainingHyper


@dataclass(frozen=True, kw_only=True)
class EstimateOptions:
    """The options of `outcrop estimate`: what would be trained, as the command was given it."""

    base: str
    customization: str
    file: Path | None
    validation: Path | None
    records: int
    tokens: int
    hyper: Sequence[str]


def print_estimate(settings: Settings, asked: EstimateOptions, *, as_json: bool) -> int:
    """1 when the run does not fit, with what would make it fit. Raises Invalid for what cannot be trained at all."""
    model = Catalog(settings.home).usable(asked.base)
    with _to_be_trained(model, asked) as (trained, hyper):
        return _print(trained, hyperparameters.with_threads(hyper, settings.threads), asked, as_json=as_json)


def _print(model: BaseModel, hyper: TrainingHyper, asked: EstimateOptions, *, as_json: bool) -> int:
    assert model.folder is not None
    headers.check_method(model.folder, hyper.method)
    lengths = _lengths(model, asked)
    way = model.way or RunMode.PACKED
    found = requirements.estimate(model.folder, lengths, hyper, way=way)
    free = forecast.free_bytes()
    print(json.dumps(_as_json(found, free), indent=2) if as_json else _as_text(found, hyper, free))
    try:
        fitting.check(model.id, found, model.folder, lengths, hyper, free=free, way=way)
    except Invalid as refusal:
        if not as_json:
            print(refusal.message)
        return 1
    return 0


def run_forecast(settings: Settings, model: BaseModel, asked: EstimateOptions, checked: Report) -> RunForecast:
    """The needs of a job with data that was checked, as the preflight report tells them."""
    lengths = Lengths(
        training=checked.sequences_of(part=0),
        supervised=sum(file.num_supervised for file in checked.files if file.part == 0),
        validation=checked.sequences_of(part=1),
    )
    with _to_be_trained(model, asked) as (trained, hyper):
        assert trained.folder is not None
        hyper = hyperparameters.with_threads(hyper, settings.threads)
        headers.check_method(trained.folder, hyper.method)
        need = forecast.estimated(trained.folder, lengths, hyper, model.way or RunMode.PACKED)
    return forecast.for_report(settings.home, model.id, need, hyper)


@contextmanager
def _to_be_trained(model: BaseModel, asked: EstimateOptions) -> Iterator[tuple[BaseModel, TrainingHyper]]:
    """The model, or the network that would begin at random in its place, with the tokenizer learned from the file."""
    values = hyperparameters.filled(model.hyperparameters, hyperparameters.of_pairs(asked.hyper))
    start = initialize.check(values, model, parent=None, customization=_kind(asked))
    rate = memory.suitable_rate(model, start)
    hyper = hyperparameters.resolve(model.hyperparameters, values, recommended_rate=rate).hyper
    if start is None:
        yield model, hyper
        return
    assert model.folder is not None
    with tempfile.TemporaryDirectory(prefix="outcrop-estimate-") as made:
        texts = from_zero.texts_of(check_data_file(asked.file)) if asked.file else None
        from_zero.describe(Path(made), model.folder, start, texts)
        yield replace(model, folder=Path(made)), hyper


def _kind(asked: EstimateOptions) -> Customization:
    if asked.customization not in set(Customization):
        raise Invalid(
            f"--type: {asked.customization} is no customization type. Choose one of {', '.join(Customization)}."
        )
    return Customization(asked.customization)


def _lengths(model: BaseModel, asked: EstimateOptions) -> Lengths:
    """The record lengths of the files, or of as many records of one length as were asked for."""
    if asked.file is None:
        if not 2 <= asked.tokens <= model.context_length:
            raise Invalid(f"--tokens: {asked.tokens} is no length of a record. Choose 2 to {model.context_length}.")
        if asked.records < 1:
            raise Invalid(f"--records: {asked.records} is too few. Give at least 1.")
        return Lengths(training=[asked.tokens] * asked.records, supervised=asked.records * (asked.tokens - 1))
    training, supervised = _read(model, asked, asked.file)
    validation = _read(model, asked, asked.validation)[0] if asked.validation else []
    return Lengths(training=training, supervised=supervised, validation=validation)


def _read(model: BaseModel, asked: EstimateOptions, path: Path) -> tuple[list[int], int]:
    path = check_data_file(path)
    assert model.folder is not None
    tokenizer, kind = Tokenizer.open(model.folder), _kind(asked)
    examples = read_examples(
        path,
        tokenizer,
        context_length=model.context_length,
        customization=kind.value,
        prompt_format=prompting.format_of_prompts(
            hyperparameters.of_pairs(asked.hyper), tokenizer, parent=None, customization=kind, day=SystemClock().now()
        ),
    )
    return [len(example) for example in examples], sum(example.num_supervised for example in examples)


def _as_text(found: Estimate, hyper: TrainingHyper, free: int) -> str:
    records, rows = sum(map(len, found.at_once)), len(found.at_once)
    at_once = f"{found.tokens_at_once:,} tokens in {records} records, {rows} row{'s' * (rows > 1)} side by side"
    return (
        f"method       {hyper.method}\nat once      {at_once}\n{found.to_text()}\nfree         {free / 2**30:.2f} GiB"
    )


def _as_json(found: Estimate, free: int) -> dict[str, Any]:
    parts = found.memory
    return {
        "memoryBytes": parts.total,
        "memory": {
            "weights": parts.weights,
            "optimizer": parts.optimizer,
            "copies": parts.copies,
            "rows": parts.rows,
            "process": parts.process,
        },
        "freeBytes": free,
        "seconds": found.seconds,
        "steps": found.steps,
        "secondsPerStep": found.step_s,
        "evaluations": found.evaluations,
        "secondsPerEvaluation": found.evaluation_s,
        "saves": found.saves,
        "secondsPerSave": found.save_s,
        "tokensAtOnce": found.tokens_at_once,
    }
