"""The input channels of a training job: objects of S3 as the files of a folder, under the job's role.

Modes File and FastFile give the same files; Outcrop copies them before the script starts, which on one machine is a
copy from disk to disk. Mode Pipe is that of `channel_pipes`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from outcrop.buckets.names import parse_s3_uri
from outcrop.data import fetching
from outcrop.data.data import RoleData
from outcrop.errors import Invalid, Refusal
from outcrop.json_files import FileProblem, parse

PIPE = "Pipe"
_MOST_MANIFEST_BYTES = 64 << 20


def mode_of(channel: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """The InputMode of a channel: its own, or that of the job."""
    mode: str = channel.get("InputMode") or request["AlgorithmSpecification"].get("TrainingInputMode", "File")
    return mode


def fetch(data: RoleData, names: Mapping[str, str], folder: Path, *, check: Callable[[], None]) -> None:
    """Copy objects into a new folder, which appears whole.

    `names` are their paths there by their URIs. `check` is asked between two objects, and may raise.
    """
    with fetching.appearing(folder) as part:
        for place, relative in names.items():
            check()
            (part / relative).parent.mkdir(parents=True, exist_ok=True)
            data.fetch(place, part / relative)


def names_of(data: RoleData, channel: Mapping[str, Any]) -> dict[str, str]:
    """The paths of a channel's objects, by their URIs, in the order of their keys. Raises Invalid."""
    source = channel["DataSource"]["S3DataSource"]
    try:
        return objects_of(data, source["S3Uri"], is_manifest=source["S3DataType"] == "ManifestFile")
    except Refusal as refused:
        name = channel["ChannelName"]
        raise Invalid(f"InputDataConfig: the channel {name} cannot be read: {refused.message}") from refused


def objects_of(data: RoleData, uri: str, *, is_manifest: bool) -> dict[str, str]:
    """The paths of the objects below `uri`, or of those that a manifest there lists, by their URIs. Raises Refusal."""
    return _from_manifest(data, uri) if is_manifest else _below(data, uri)


def _below(data: RoleData, uri: str) -> dict[str, str]:
    """The paths of the objects whose keys begin with that of `uri`, by their URIs.

    Where the key is a folder's, with or without a slash at its end, paths begin in it.
    """
    place = parse_s3_uri(uri)
    keys = [record.key for record in data.list_objects(uri)]
    folder = place.key if place.key.endswith("/") else f"{place.key}/"
    inside = [key for key in keys if key.startswith(folder)]
    beside = [key for key in keys if not key.startswith(folder)]
    names = fetching.names_of(inside, prefix=folder) | fetching.names_of(beside, prefix=place.key)
    if not names:
        raise Invalid(f"no object begins with {uri}. Upload the data, or correct the URI.")
    return {f"s3://{place.bucket}/{key}": name for key, name in names.items()}


def _from_manifest(data: RoleData, uri: str) -> dict[str, str]:
    """The paths of the objects that a manifest lists, a prefix and keys behind it, by their URIs."""
    record = data.find(uri)
    if record.size > _MOST_MANIFEST_BYTES:
        raise Invalid(f"{uri}: a manifest of {record.size:,} bytes. Name a prefix in its place.")
    try:
        entries = parse(data.read(uri), name=uri)
    except FileProblem as problem:
        raise Invalid(str(problem)) from problem
    well_formed = (
        isinstance(entries, list)
        and len(entries) > 1
        and isinstance(entries[0], dict)
        and isinstance(entries[0].get("prefix"), str)
        and all(isinstance(each, str) for each in entries[1:])
    )
    if not well_formed:
        raise Invalid(f'{uri}: no manifest. Write [{{"prefix": "s3://bucket/folder/"}}, "key", "key"].')
    prefix = parse_s3_uri(entries[0]["prefix"])
    names = fetching.names_of([prefix.key + each for each in entries[1:]], prefix=prefix.key)
    return {f"s3://{prefix.bucket}/{key}": name for key, name in names.items()}
