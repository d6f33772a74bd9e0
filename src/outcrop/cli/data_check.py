"""`outcrop check-data`: the preflight report of a file, as a job would write it."""

import json
from collections.abc import Sequence
from pathlib import Path

from outcrop.catalog.base_model import Customization
from outcrop.catalog.catalog import Catalog
from outcrop.cli.data_files import check_data_file
from outcrop.clock import SystemClock
from outcrop.customization.checked_data import CheckedData, CheckedDatasets, checked_for
from outcrop.customization.choices import hyperparameters, prompting
from outcrop.customization.output.checkpoints import digest_of
from outcrop.datasets import preflight
from outcrop.errors import Invalid
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
) -> int:
    """Print the report; 1 when a job would refuse the data. Raises Invalid for a file or type that is none.

    What was checked before, byte for byte and for the same base model, is told from then, unless it is to be `again`.
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
    checked = None if again else datasets.find(wanted)
    is_known = checked is not None
    if checked is None:
        report = preflight.examine(
            files,
            tokenizer=tokenizer,
            context_length=model.context_length,
            customization=kind.value,
            prompt_format=prompts,
        )
        checked = CheckedData(
            digest=wanted.digest,
            checked=now,
            by="check-data",
            names=tuple(path.name for path in files),
            checked_for=wanted,
            report=report.to_json(),
            text=report.to_text(),
        )
        if settings.home.is_dir():
            datasets.keep(checked)
    if checked.is_ready:
        prompting.check(values, files[0], kind)
    print(json.dumps(checked.report, indent=2, ensure_ascii=False) if as_json else checked.text)
    if is_known and not as_json:
        print(f"\nChecked on {checked.checked:%Y-%m-%d %H:%M} UTC, the same bytes; --again checks them anew.")
    return int(not checked.is_ready)
