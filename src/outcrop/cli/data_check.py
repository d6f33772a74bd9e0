"""`outcrop check-data`: the preflight report of a file, as a job would write it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from outcrop.catalog.base_model import Customization
from outcrop.catalog.catalog import Catalog
from outcrop.cli.data_files import check_data_file
from outcrop.clock import SystemClock
from outcrop.customization.checked_data import CheckedData, CheckedDatasets, checked_for
from outcrop.customization.choices import hyperparameters, prompting
from outcrop.customization.output.checkpoints import digest_of
from outcrop.datasets import preflight
from outcrop.datasets.report.as_json import counts_of_report
from outcrop.errors import Invalid, MachineTrouble
from outcrop.settings import Settings
from outcrop.tokens.tokenizer import Tokenizer


def check_file(
    settings: Settings,
    file: Path,
    *,
    validation: Path | None,
    base: str,
    customization: str,
    hyper: Sequence[str],
    again: bool,
    as_json: bool,
    html: Path | None = None,
) -> int:
    """Print the report; 1 when a job would refuse the data. Raises Invalid for a file or type that is none.

    What was checked before, byte for byte and for the same base model, is told from then, unless it is to be `again`.

    `html` is the file to which it is written as a page; then it is always checked, as no page is kept.
    """
    if customization not in set(Customization):
        raise Invalid(f"--type: {customization} is no customization type. Choose one of {', '.join(Customization)}.")
    files = [check_data_file(path) for path in (file, validation) if path is not None]
    model = Catalog(settings.home).usable(base)
    assert model.folder is not None
    values = hyperparameters.filled(model.hyperparameters, hyperparameters.of_pairs(hyper))
    tokenizer, kind, now = Tokenizer.open(model.folder), Customization(customization), SystemClock().now()
    prompts = prompting.format_of_prompts(values, tokenizer, parent=None, customization=kind, day=now)
    digests = [digest_of(path) for path in files]
    wanted = checked_for(digests, model, tokenizer, customization=kind.value, prompt_format=prompts)
    datasets = CheckedDatasets(settings)
    checked = None if again or html is not None else datasets.find(wanted)
    if checked is not None:
        if checked.is_ready:
            prompting.check(values, files[0], kind)
        _print_known(checked, as_json=as_json)
        return int(not checked.is_ready)
    report = preflight.examine(
        files,
        tokenizer=tokenizer,
        context_length=model.context_length,
        customization=kind.value,
        prompt_format=prompts,
    )
    report = replace(report, base=model.id)
    checked = CheckedData(
        digest=wanted.digest,
        checked=now,
        by="check-data",
        names=tuple(path.name for path in files),
        checked_for=wanted,
        report=counts_of_report(report),
        text=report.to_text(),
    )
    if settings.home.is_dir():
        datasets.keep(checked)
    if not report.problems:
        prompting.check(values, files[0], kind)
        # torch takes seconds to import; bad data does not wait for it
        from outcrop.cli.estimating import EstimateOptions, run_forecast

        asked = EstimateOptions(
            base=base, customization=customization, file=file, validation=validation, records=0, tokens=0, hyper=hyper
        )
        report = replace(report, forecast=run_forecast(settings, model, asked, report.files))
    if html is not None:
        _write(html, report.to_html())
    told = counts_of_report(report)
    print(json.dumps(told, indent=2, ensure_ascii=False) if as_json else report.to_text())
    return int(bool(report.problems))


def _print_known(checked: CheckedData, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(checked.report, indent=2, ensure_ascii=False))
        return
    print(checked.text)
    print(f"\nChecked on {checked.checked:%Y-%m-%d %H:%M} UTC, the same bytes; --again checks them anew.")
    if checked.is_ready:
        print("Time, memory and price of a job are told then, too.")


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
