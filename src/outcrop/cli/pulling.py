"""`outcrop pull`: a model from a hub or from a bucket, its files checked by name before they are fetched."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from outcrop.buckets.buckets import Buckets
from outcrop.buckets.names import Place, parse_s3_uri
from outcrop.catalog import model_files
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import PULLED, Catalog
from outcrop.cli.fetching import hub_trouble, id_from, pull_weights, register_folder
from outcrop.cli.mounting import open_buckets
from outcrop.data import fetching
from outcrop.errors import Invalid, MachineTrouble
from outcrop.settings import Settings, make_home

_REPOSITORY = re.compile(r"(?:hf://)?([\w.-]{1,96}/[\w.-]{1,96})(?:@([\w./-]{1,200}))?", re.ASCII)
_SPARE_BYTES = 256 << 20
FROM_BUCKETS = "s3"
"The folder beside the hub's in which models from buckets lie."


class Wishes(NamedTuple):
    """The options of a pull that names no entry of the catalogue."""

    model_id: str | None = None
    name: str | None = None
    context: int | None = None


class PulledFolder(NamedTuple):
    """A model's files on this machine, and what it is."""

    folder: Path
    is_adapter: bool
    model_id: str
    "The id that a base model gets where none is asked for."
    source: str


def is_entry(wanted: str) -> bool:
    """Whether a word names an entry of the catalogue, not a place that models come from."""
    return "/" not in wanted


def pull_entry(settings: Settings, model_id: str, wishes: Wishes) -> BaseModel:
    """The catalogue's entry, downloaded from its repository. Raises Invalid for options that belong to other pulls."""
    if any(wish is not None for wish in wishes):
        raise Invalid(f"{model_id}: an entry of the catalogue has its id, name and context already. Leave them out.")
    return pull_weights(settings, model_id)


def known_entry(settings: Settings, wanted: str, wishes: Wishes) -> BaseModel | None:
    """The entry of the catalogue whose repository is named, where nothing else is asked."""
    found = _REPOSITORY.fullmatch(wanted)
    if found is None or found[2] is not None or wishes.model_id is not None:
        return None
    entries = Catalog(settings.home).entries()
    return next((each for each in entries if (each.weights.hub or "").lower() == found[1].lower()), None)


def fetch(settings: Settings, wanted: str) -> PulledFolder:
    """Download what a repository or a prefix holds. Raises Invalid for what is no model, MachineTrouble."""
    make_home(settings)
    if wanted.startswith("s3://"):
        return _from_bucket(settings, wanted)
    found = _REPOSITORY.fullmatch(wanted)
    if found is None:
        raise Invalid(
            f"{wanted}: neither an id of the catalogue, nor owner/name of a hub, nor s3://bucket/prefix/. `outcrop "
            "models --all` lists the catalogue."
        )
    return _from_hub(settings, found[1], found[2])


def register(settings: Settings, pulled: PulledFolder, wishes: Wishes) -> BaseModel:
    """The base model in a pulled folder, tried and added to the catalogue."""
    return register_folder(
        settings,
        pulled.folder,
        model_id=wishes.model_id or pulled.model_id,
        name=wishes.name or pulled.folder.name,
        context=wishes.context,
        licence=f"see {pulled.source}",
        notes=f"Pulled from {pulled.source}.",
    )


def _from_hub(settings: Settings, repository: str, revision: str | None) -> PulledFolder:
    from huggingface_hub import HfApi, snapshot_download

    with hub_trouble(repository):
        info = HfApi().model_info(repository, revision=revision, files_metadata=True)
        sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}
        named = f"{repository}@{revision}" if revision else repository
        wanted = model_files.wanted_files(sizes, place=f"hf://{named}")
        target = settings.home / PULLED / (f"{repository}@{revision.replace('/', '-')}" if revision else repository)
        _check_room(target, sum(wanted.values()))
        snapshot_download(repository, revision=info.sha, local_dir=target, allow_patterns=list(wanted))
    owner, name = repository.split("/")
    model_id = id_from(name, provider=owner)
    return PulledFolder(target, model_files.is_adapter(wanted), model_id, f"hf://{named}")


def _from_bucket(settings: Settings, uri: str) -> PulledFolder:
    place = parse_s3_uri(uri)
    prefix = place.key if not place.key or place.key.endswith("/") else f"{place.key}/"
    if any(part in ("", ".", "..") or "\0" in part for part in prefix.split("/")[:-1]):
        raise Invalid(f"{uri}: a prefix that no folder can have: between its slashes is nothing, '.' or '..'.")
    target = settings.home / PULLED / FROM_BUCKETS / place.bucket / prefix.strip("/")
    with open_buckets(settings) as buckets:
        ours = _in_house(buckets, Place(place.bucket, prefix))
        copies = ours if ours is not None else _elsewhere(Place(place.bucket, prefix), uri)
        wanted = model_files.wanted_files({name: size for name, (size, _) in copies.items()}, place=uri)
        _check_room(target, sum(wanted.values()))
        for name in wanted:
            with fetching.appearing(target / name) as part:
                copies[name][1](part)
    model_id = id_from(target.name, provider=place.bucket)
    return PulledFolder(target, model_files.is_adapter(wanted), model_id, f"s3://{place.bucket}/{prefix}")


Copies = Mapping[str, tuple[int, Callable[[Path], None]]]
"Of each file below a prefix, its size, and what copies it to a path."


def _in_house(buckets: Buckets, place: Place) -> Copies | None:
    """The objects below a prefix of this home's own or mounted buckets; None where there is no such bucket."""
    if not buckets.exists(place.bucket) and not buckets.is_mounted(place.bucket):
        return None

    def copier(key: str) -> Callable[[Path], None]:
        return lambda path: fetching.copy(buckets, buckets.find(place.bucket, key), path)

    found = buckets.under(*place)
    return {record.key.removeprefix(place.key): (record.size, copier(record.key)) for record in found}


def _elsewhere(place: Place, uri: str) -> Copies:
    """The objects of another S3, by the user's own credentials, as any AWS client finds them."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    def copier(key: str) -> Callable[[Path], None]:
        return lambda path: client.download_file(place.bucket, key, str(path))

    try:
        client = boto3.client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.key)
        return {
            each["Key"].removeprefix(place.key): (each["Size"], copier(each["Key"]))
            for page in pages
            for each in page.get("Contents", ())
        }
    except (BotoCoreError, ClientError) as error:
        raise MachineTrouble(
            f"{uri}: no bucket of this home, and another S3 does not give it ({error}). Check the name, and the "
            "credentials that AWS clients find (AWS_PROFILE, AWS_ENDPOINT_URL)."
        ) from error


def _check_room(target: Path, needed: int) -> None:
    above = next(place for place in target.parents if place.exists())
    free = shutil.disk_usage(above).free
    if needed + _SPARE_BYTES > free:
        raise MachineTrouble(
            f"{target}: the model has {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free on the disk. Make "
            "room, and pull again."
        )
