"""`outcrop check-data`: the preflight report of a file, as a job would write it."""

import json
from pathlib import Path

from outcrop.catalog.base_model import Customization
from outcrop.catalog.catalog import Catalog
from outcrop.datasets import preflight
from outcrop.errors import Invalid
from outcrop.settings import Settings
from outcrop.tokens.tokenizer import Tokenizer


def check_file(
    settings: Settings, file: Path, *, validation: Path | None, base: str, customization: str, as_json: bool
) -> int:
    """Print the report; 1 when a job would refuse the data. Raises Invalid for a file or type that is none."""
    if customization not in set(Customization):
        raise Invalid(f"--type: {customization} is no customization type. Choose one of {', '.join(Customization)}.")
    files = [file] if validation is None else [file, validation]
    for path in files:
        if not path.is_file():
            raise Invalid(f"{path}: no such file.")
    model = Catalog(settings.home).usable(base)
    assert model.folder is not None
    report = preflight.examine(
        files,
        tokenizer=Tokenizer.open(model.folder),
        context_length=model.context_length,
        customization=Customization(customization).value,
    )
    print(json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else report.to_text())
    return 1 if report.problems else 0
