"""`outcrop check-data`: the preflight report of a file, as a job would write it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from outcrop.catalog.base_model import Customization
from outcrop.catalog.catalog import Catalog
from outcrop.cli.data_files import check_data_file
from outcrop.clock import SystemClock
from outcrop.customization.choices import hyperparameters, prompting
from outcrop.datasets import preflight
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
    as_json: bool,
    html: Path | None = None,
) -> int:
    """Print the report; 1 when a job would refuse the data. Raises Invalid for a file or type that is none.

    `html` is the file to which it is written as a page.
    """
    if customization not in set(Customization):
        raise Invalid(f"--type: {customization} is no customization type. Choose one of {', '.join(Customization)}.")
    files = [check_data_file(path) for path in (file, validation) if path is not None]
    model = Catalog(settings.home).usable(base)
    assert model.folder is not None
    values = hyperparameters.filled(model.hyperparameters, hyperparameters.of_pairs(hyper))
    tokenizer, kind = Tokenizer.open(model.folder), Customization(customization)
    report = preflight.examine(
        files,
        tokenizer=tokenizer,
        context_length=model.context_length,
        customization=kind.value,
        prompt_format=prompting.format_of_prompts(
            values, tokenizer, parent=None, customization=kind, day=SystemClock().now()
        ),
    )
    report = replace(report, base=model.id)
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
    print(json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else report.to_text())
    return 1 if report.problems else 0


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
