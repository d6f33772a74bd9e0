"""`outcrop check-data`: the preflight report of a dataset as a job would write it, or Bedrock's own decision."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from outcrop.catalog.base_model import BaseModel, Customization
from outcrop.catalog.catalog import Catalog
from outcrop.cli.data_files import check_data_file
from outcrop.clock import SystemClock
from outcrop.customization.checked_data import CheckedData, CheckedDatasets, CheckedFor, checked_for
from outcrop.customization.choices import hyperparameters, prompting
from outcrop.datasets import dataset as dataset_of
from outcrop.datasets import preflight
from outcrop.datasets.bedrock import decision
from outcrop.datasets.dataset import Dataset
from outcrop.datasets.report.value import Report, RunForecast
from outcrop.errors import Invalid, MachineTrouble
from outcrop.settings import Settings
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The options of `outcrop check-data`, as the command was given them."""

    files: Sequence[Path]
    "Files and folders of the training data."
    validation: Path | None
    base: str
    customization: str
    hyper: Sequence[str]
    strict: bool
    html: Path | None
    "The file to which the report is written as a page."
    again: bool
    "Whether what was checked before is checked anew."


def check_files(settings: Settings, options: DataOptions, *, as_json: bool) -> int:
    """Print the report; 1 when a job would refuse the data. Raises Invalid for a file or type that is none.

    What was checked before, byte for byte and for the same base model, is not read again, unless it is to be `again`.
    """
    asked = _asked(settings, options)
    # A page shows records, which are not kept.
    anew = options.again or options.html is not None
    known = None if anew else CheckedDatasets(settings).find(asked.wanted)
    report = _examined(settings, asked) if known is None else known.report
    if not report.problems:
        prompting.check(asked.values, asked.datasets[0], asked.kind)
        report = replace(report, forecast=_forecast(settings, asked.model, options, report))
    if options.html is not None:
        write_page(options.html, report.to_html())
    print(json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else report.to_text())
    if known is not None and not as_json:
        print(f"\nChecked on {known.checked:%Y-%m-%d %H:%M} UTC, the same bytes; --again checks them anew.")
    return 1 if report.problems else 0


class _Asked(NamedTuple):
    """The data of a command, the base model for which it is examined, and what its report is kept under."""

    datasets: Sequence[Dataset]
    model: BaseModel
    tokenizer: Tokenizer
    values: Mapping[str, str]
    kind: Customization
    prompts: PromptFormat
    strict: bool
    wanted: CheckedFor


def _asked(settings: Settings, options: DataOptions) -> _Asked:
    if options.customization not in set(Customization):
        raise Invalid(
            f"--type: {options.customization} is no customization type. Choose one of {', '.join(Customization)}."
        )
    datasets = [dataset_of.of_paths(paths) for paths in _places(options) if paths]
    model = Catalog(settings.home).usable(options.base)
    assert model.folder is not None
    values = hyperparameters.filled(model.hyperparameters, hyperparameters.of_pairs(options.hyper))
    tokenizer, kind = Tokenizer.open(model.folder), Customization(options.customization)
    prompts = prompting.format_of_prompts(values, tokenizer, parent=None, customization=kind, day=SystemClock().now())
    digests = [dataset_of.digest(dataset) for dataset in datasets]
    wanted = checked_for(
        datasets, digests, model, tokenizer, customization=kind.value, prompt_format=prompts, strict=options.strict
    )
    return _Asked(datasets, model, tokenizer, values, kind, prompts, options.strict, wanted)


def _examined(settings: Settings, asked: _Asked) -> Report:
    """The report of data that was not checked yet, kept for the next time."""
    report = preflight.examine(
        asked.datasets,
        tokenizer=asked.tokenizer,
        context_length=asked.model.context_length,
        customization=asked.kind.value,
        prompt_format=asked.prompts,
        strict=asked.strict,
    )
    report = replace(report, base=asked.model.id)
    if settings.home.is_dir():
        now = SystemClock().now()
        CheckedDatasets(settings).keep(
            CheckedData(checked=now, by="check-data", checked_for=asked.wanted, report=report)
        )
    return report


def _forecast(settings: Settings, model: BaseModel, options: DataOptions, report: Report) -> RunForecast:
    # torch takes seconds to import; bad data does not wait for it
    from outcrop.cli.estimating import EstimateOptions, run_forecast

    asked = EstimateOptions(
        base=options.base,
        customization=options.customization,
        file=options.files[0],
        validation=options.validation,
        records=0,
        tokens=0,
        hyper=options.hyper,
    )
    return run_forecast(settings, model, asked, report)


def check_as_bedrock(options: DataOptions, *, as_json: bool) -> int:
    """Print Bedrock's decision; 1 when AWS would refuse the data. Raises Invalid, as `check_files`."""
    train, validation = (
        [file.path for path in paths for file in dataset_of.of_path(path).files] for paths in _places(options)
    )
    batch_size = hyperparameters.of_pairs(options.hyper).get("batchSize", "1")
    if not batch_size.isdigit():
        raise Invalid(f"--hyper batchSize={batch_size}: no whole number. Write one, such as batchSize=1.")
    decided = decision.decide(
        train, validation, base=options.base, customization=options.customization, batch_size=int(batch_size)
    )
    print(json.dumps(decided.to_json(), indent=2, ensure_ascii=False) if as_json else decided.to_text())
    return 0 if decided.takes else 1


def _places(options: DataOptions) -> tuple[list[Path], list[Path]]:
    """Files and folders of the training data, and of the validation data where there is some."""
    given = [] if options.validation is None else [options.validation]
    return [check_data_file(path) for path in options.files], [check_data_file(path) for path in given]


def write_page(place: Path, page: str) -> None:
    """Write the page; an earlier one is replaced whole or not at all. Raises MachineTrouble."""
    making = place.with_name(f".{place.name}.part")
    try:
        making.write_text(page, encoding="utf-8")
        making.replace(place)
    except OSError as error:
        making.unlink(missing_ok=True)
        raise MachineTrouble(
            f"--html: {place} cannot be written ({error.strerror}). Name a file in a folder that is there."
        ) from error
