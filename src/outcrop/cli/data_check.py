"""`outcrop check-data`: the preflight report of a dataset as a job would write it, or Bedrock's own decision."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from outcrop.catalog.base_model import Customization
from outcrop.catalog.catalog import Catalog
from outcrop.cli.data_files import check_data_file
from outcrop.clock import SystemClock
from outcrop.customization.checked_data import CheckedData, CheckedDatasets, checked_for
from outcrop.customization.choices import hyperparameters, prompting
from outcrop.datasets import dataset as dataset_of
from outcrop.datasets import preflight
from outcrop.datasets.bedrock import decision
from outcrop.errors import Invalid, MachineTrouble
from outcrop.settings import Settings
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
    "Whether to read the data even if the same bytes were checked before."


def check_files(settings: Settings, options: DataOptions, *, as_json: bool) -> int:
    """Print the report; 1 when a job would refuse the data. Raises Invalid for a file or type that is none.

    What was checked before, byte for byte and for the same base model, is told from then, unless it is to be `again`.
    """
    if options.customization not in set(Customization):
        raise Invalid(
            f"--type: {options.customization} is no customization type. Choose one of {', '.join(Customization)}."
        )
    datasets = [dataset_of.of_paths(paths) for paths in _places(options) if paths]
    model = Catalog(settings.home).usable(options.base)
    assert model.folder is not None
    values = hyperparameters.filled(model.hyperparameters, hyperparameters.of_pairs(options.hyper))
    tokenizer, kind, now = Tokenizer.open(model.folder), Customization(options.customization), SystemClock().now()
    prompts = prompting.format_of_prompts(values, tokenizer, parent=None, customization=kind, day=now)
    digests = [dataset_of.digest(dataset) for dataset in datasets]
    wanted = checked_for(digests, model, tokenizer, customization=kind.value, prompt_format=prompts)
    kept = CheckedDatasets(settings)
    # A page and a strict verdict are made of the data itself, and the forecast of this machine as it is now.
    checked = None if options.again or options.html or options.strict else kept.find(wanted)
    if checked is not None:
        if checked.is_ready:
            prompting.check(values, datasets[0], kind)
        print(json.dumps(checked.report, indent=2, ensure_ascii=False) if as_json else checked.text)
        if not as_json:
            print(f"\nChecked on {checked.checked:%Y-%m-%d %H:%M} UTC, the same bytes; --again checks them anew.")
        return int(not checked.is_ready)
    report = preflight.examine(
        datasets,
        tokenizer=tokenizer,
        context_length=model.context_length,
        customization=kind.value,
        prompt_format=prompts,
        strict=options.strict,
    )
    report = replace(report, base=model.id)
    if settings.home.is_dir() and not options.strict:
        kept.keep(
            CheckedData(
                digest=wanted.digest,
                checked=now,
                by="check-data",
                names=tuple(dataset.name for dataset in datasets),
                checked_for=wanted,
                report=report.to_json(),
                text=report.to_text(),
            )
        )
    if not report.problems:
        prompting.check(values, datasets[0], kind)
        from outcrop.cli.estimating import run_forecast  # torch takes seconds to import; bad data does not wait for it

        report = replace(report, forecast=run_forecast(settings, model, report, options.hyper))
    if options.html is not None:
        _write(options.html, report.to_html())
    print(json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else report.to_text())
    return 1 if report.problems else 0


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


def _write(place: Path, page: str) -> None:
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
