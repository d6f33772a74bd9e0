"""`outcrop datasets`: what was checked in this home, by digest, with the report on each."""

import json

from outcrop.cli.tables import print_rows
from outcrop.customization.checked_data import CheckedData, CheckedDatasets
from outcrop.errors import Invalid, NotFound
from outcrop.settings import Settings

_SHOWN = 12
"Digits of a digest, which tell it apart."


def print_datasets(settings: Settings, *, as_json: bool) -> int:
    """Print a row for each dataset, newest first."""
    rows = [_row(each) for each in CheckedDatasets(settings).all()]
    columns = ["dataset", "files", "records", "ready", "base model", "type", "prompts", "checked (UTC)", "by"]
    return print_rows(columns, rows, as_json=as_json)


def print_dataset(settings: Settings, digest: str, *, remove: bool, as_json: bool) -> int:
    """The report on one dataset; 1 where a job would refuse it. Raises NotFound, Invalid."""
    datasets = CheckedDatasets(settings)
    found = [
        each
        for each in datasets.all()
        if each.digest.startswith(digest) or each.checked_for.sha256[0].startswith(digest)
    ]
    if len(found) > 1:
        raise Invalid(f"{digest}: {len(found)} datasets begin with it. Give more of the digest.")
    if not found:
        raise NotFound(f"{digest}: no such dataset was checked here. `outcrop datasets` lists them.")
    (one,) = found
    if remove:
        datasets.remove(one.digest)
        print(f"{one.digest}: its report is gone.")
        return 0
    print(json.dumps(one.report.to_json(), indent=2, ensure_ascii=False) if as_json else one.report.to_text())
    return int(bool(one.report.problems))


def _row(data: CheckedData) -> list[str]:
    return [
        data.digest[:_SHOWN],
        ", ".join(file.name for file in data.report.files),
        ", ".join(f"{file.num_records:,}" for file in data.report.files),
        "no" if data.report.problems else "yes",
        data.checked_for.base,
        data.checked_for.customization,
        data.checked_for.prompt_format,
        f"{data.checked:%Y-%m-%d %H:%M}",
        data.by.rsplit("/", 1)[-1],
    ]
