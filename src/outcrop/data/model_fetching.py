"""A model's files fetched from a prefix or an archive, under a role, once their names and sizes were checked.

A worker that is killed goes on with the files it has: each appears whole, and a note beside them tells of which object
it is.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from outcrop.buckets.records import ObjectRecord
from outcrop.catalog import model_files
from outcrop.data import model_archive
from outcrop.data.data import RoleData
from outcrop.errors import Invalid, MachineTrouble

_NOTE = ".fetched.json"
_SPARE_BYTES = 256 << 20


def look(data: RoleData, uri: str) -> dict[str, ObjectRecord]:
    """The model's files at `uri`, a prefix, by name; of an archive, that alone. Nothing is fetched.

    Raises Invalid where there is no model, or one of a form that is not taken.
    """
    if uri.endswith(model_archive.ENDINGS):
        record = data.find(uri)
        return {record.key.rpartition("/")[2]: record}
    prefix = uri if uri.endswith("/") else f"{uri}/"
    records = {_name(record, prefix): record for record in data.list_objects(prefix)}
    archive = next((name for name in records if "/" not in name and name.endswith(model_archive.ENDINGS)), None)
    if archive is not None and not any(name.endswith(".safetensors") for name in records):
        return {archive: records[archive]}
    wanted = model_files.wanted_files({name: record.size for name, record in records.items()}, place=prefix)
    return {name: records[name] for name in wanted}


def is_archive(records: dict[str, ObjectRecord]) -> bool:
    """Whether the model lies in an archive, so that its files are known only once it is unpacked."""
    return all(name.endswith(model_archive.ENDINGS) for name in records)


def fetch_model(data: RoleData, uri: str, folder: Path, *, told: Callable[[str], None]) -> Path:
    """Fetch the model at `uri` into `folder`, and return the folder that holds its files. `told` hears of progress.

    Raises Invalid, MachineTrouble, OSError, and whatever `told` raises to stop it.
    """
    records = look(data, uri)
    _check_room(folder, sum(record.size for record in records.values()))
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / _NOTE
    known: dict[str, str] = json.loads(note.read_text("utf-8")) if note.exists() else {}
    for count, (name, record) in enumerate(records.items(), start=1):
        told(f"fetching {name} ({count} of {len(records)}, {record.size:,} bytes)")
        place = folder / name
        if known.get(name) != record.etag or not place.is_file() or place.stat().st_size != record.size:
            data.fetch(f"s3://{record.bucket}/{record.key}", place)
            known[name] = record.etag
            note.write_text(json.dumps(known), "utf-8")
    if not is_archive(records):
        return folder
    told("unpacking the archive")
    (name,) = records
    return model_archive.unpack(folder / name, folder / "unpacked")


def _name(record: ObjectRecord, prefix: str) -> str:
    key = prefix.removeprefix(f"s3://{record.bucket}/")
    return record.key.removeprefix(key)


def _check_room(folder: Path, needed: int) -> None:
    above = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(above).free
    if 2 * needed + _SPARE_BYTES > free:  # files are copied once more into their place, or unpacked
        raise MachineTrouble(
            f"The model has {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free on the disk, where twice as much "
            "is needed. Make room, and import it again."
        )


def read_small(data: RoleData, record: ObjectRecord, *, most_bytes: int = 16 << 20) -> bytes:
    """A small file of the model. Raises Invalid for one that is too large."""
    if record.size > most_bytes:
        raise Invalid(f"{record.key}: {record.size:,} bytes are more than such a file has. Put the right file there.")
    return data.read(f"s3://{record.bucket}/{record.key}")
