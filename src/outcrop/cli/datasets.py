"""`outcrop datasets`: what was checked in this home, by digest, with the report on each."""

import json
from dataclasses import asdict

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
    found = [each for each in datasets.all() if each.digest.startswith(digest) or each.checked_for.files[0] == digest]
    if len(found) > 1:
        raise Invalid(f"{digest}: {len(found)} datasets begin with it. Give more of the digest.")
    if not found:
        raise NotFound(f"{digest}: no such dataset was checked here. `outcrop datasets` lists them.")
    (one,) = found
    if remove:
        datasets.remove(one.digest)
        print(f"{one.digest}: its report is gone.")
        return 0
    told = {**asdict(one), "checked": one.checked.isoformat()}
    print(json.dumps(told, indent=2, ensure_ascii=False) if as_json else one.text)
    return int(not one.is_ready)


def _row(data: CheckedData) -> list[str]:
    return [
        data.digest[:_SHOWN],
        ", ".join(data.names),
        ", ".join(f"{file['num_records']:,}" for file in data.report["files"]),
        "yes" if data.is_ready else "no",
        data.checked_for.base,
        data.checked_for.customization,
        data.checked_for.prompt_format,
        f"{data.checked:%Y-%m-%d %H:%M}",
        data.by.rsplit("/", 1)[-1],
    ]
