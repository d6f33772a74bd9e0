"""`outcrop export`: a custom model's files, complete for other programs, in a folder or a bucket.

adapter_config.json, adapter_model.safetensors    an adapter, as PEFT loads it beside its base model; or
config.json, model.safetensors, …                 a whole network: merged, or trained in full
tokenizer.json, …                                 the tokenizer and its chat template
base/                                             the network below the adapter, where that is not the base model's
lineage.json, records.lineage                     where it comes from, to the digest of each record
NAME-F16.gguf                                     instead of all these: the whole network in one file
parity.json                                       how far it is from what is served, where a form was asked for
custom_model.json                                 name, ARN, base model, and the form in which it is spoken to
"""

import json
import secrets
import shutil
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from outcrop import private
from outcrop.buckets.names import parse_s3_uri
from outcrop.catalog import custom_model_states
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_models import check_active, format_of
from outcrop.cli import export
from outcrop.cli.export_forms import ExportForm, ExportOptions, write_parity
from outcrop.cli.options import running
from outcrop.clock import SystemClock
from outcrop.customization.output import lineage
from outcrop.errors import Invalid, NotFound
from outcrop.house import House
from outcrop.keys.sealed_folder import open_folder
from outcrop.keys.sealed_records import key_arn_of, sealed_by
from outcrop.machine import memory_folder
from outcrop.network.adapters.method import OWN_BASE
from outcrop.network.gguf.exporting import write_gguf
from outcrop.network.gguf.header import package
from outcrop.network.run_mode import RunMode
from outcrop.settings import Settings
from outcrop.store.resources import Resource
from outcrop.store.store import Store

DESCRIPTION = "custom_model.json"
_OURS = ("parity.json",)
"For the check before a deployment; nobody else reads it."
_TOKENIZER = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*", "vocab.*", "merges.txt")


def export_model(settings: Settings, identifier: str, place: str, options: ExportOptions, *, region: str | None) -> str:
    """Write the model's files to `place`, a folder or s3://bucket/prefix; returns sentences about what is there now.

    Raises NotFound, and Invalid for a place that holds something already.
    """
    with House(settings, SystemClock()) as house:
        models = house.models
        model = find_model(house.store, identifier, region)
        check_active(model)
        base = models.network_below(house.catalog.usable(model.document["baseId"]), model.arn)
        adapter = models.adapter(model.arn)
        folder = models.folder(model.arn)
        keys = models.keys(model.arn)
    if "://" in place and not place.startswith("s3://"):
        raise Invalid(f"{place}: neither a folder nor s3://bucket/prefix.")

    def export_from(base: BaseModel, folder: Path, adapter: Path | None, beside: Path) -> str:
        if place.startswith("s3://"):
            return _to_bucket(settings, model, base, folder, adapter, place, options, beside)
        return _to_folder(model, base, folder, adapter, Path(place).expanduser().absolute(), options)

    if not keys.opened:
        return export_from(base, folder, adapter, settings.home)
    # Who exports a sealed model wants it in clear, there; on its way it is in memory alone.
    name = f"export-{secrets.token_hex(8)}"
    memory = memory_folder.memory_folder(settings.home, name)
    try:
        opened = memory / folder.name
        open_folder(folder, opened, keys)
        if base.folder is not None and base.folder.is_relative_to(folder):
            base = replace(base, folder=opened / base.folder.relative_to(folder))
        return export_from(base, opened, None if adapter is None else opened, memory)
    finally:
        memory_folder.remove_memory_folder(settings.home, name)


def find_model(store: Store, identifier: str, region: str | None) -> Resource:
    """The custom model with this ARN, name, or the id at the end of the ARN.

    Every region is searched unless one is named.
    """
    searched = [region] if region else store.resources.regions()
    found = [row for each in searched if (row := store.resources.find(custom_model_states.KIND, each, identifier))]
    rows: list[Resource] = []
    if not found:  # by ARN, or by what it ends with
        rows = [row for row in store.resources.all(custom_model_states.KIND) if row.region in searched]
        found = [row for row in rows if identifier in (row.arn, row.arn.rsplit("/", 1)[-1])]
    if len(found) > 1:
        regions = ", ".join(sorted(row.region for row in found))
        raise Invalid(f"{identifier}: there is such a model in {regions}. Choose one with --region.")
    if not found:
        names = ", ".join(sorted(row.name or row.arn for row in rows)[:10])
        known = f"Known are {names}." if names else "There is none yet."
        raise NotFound(f"{identifier}: there is no such custom model. {known}")
    return found[0]


def _to_folder(
    model: Resource, base: BaseModel, folder: Path, adapter: Path | None, place: Path, options: ExportOptions
) -> str:
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise Invalid(f"{place}: there is something already, and nothing is overwritten. Name a new folder.")
    given = place.stat().st_mode if place.exists() else None
    above = [folder for folder in place.parents if not folder.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    private.open_as_the_user_would(above)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as beside:
        making = Path(beside) / "model"
        kind, told = _write(making, model, base, folder, adapter, options)
        # The home's files are closed to others; what is written here is the user's, with the user's rights.
        private.open_as_the_user_would([making, *making.rglob("*")])
        if given is not None:
            making.chmod(stat.S_IMODE(given))
        making.rename(place)  # all of it appears at once, or nothing
    return f"{kind} is in {place}.{told}"


def _to_bucket(
    settings: Settings,
    model: Resource,
    base: BaseModel,
    folder: Path,
    adapter: Path | None,
    uri: str,
    options: ExportOptions,
    beside: Path,
) -> str:
    """Through the API, by way of a folder in `beside`. The description comes last, so that where it is, all is."""
    bucket, key = parse_s3_uri(uri)
    prefix = f"{key.rstrip('/')}/" if key.strip("/") else ""
    s3 = export.client(running(settings.home), "s3", model.region)
    if s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["KeyCount"]:
        raise Invalid(f"{uri}: there are objects already, and nothing is overwritten. Name a new prefix.")
    key_arn = key_arn_of(model.document)
    sealing = (
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn} if key_arn else {"ServerSideEncryption": "AES256"}
    )
    with tempfile.TemporaryDirectory(prefix=".export.", dir=beside) as place:
        making = Path(place) / "model"
        kind, told = _write(making, model, base, folder, adapter, options)
        files = [path for path in sorted(making.rglob("*")) if path.is_file()]
        for path in sorted(files, key=lambda path: path.name == DESCRIPTION):
            key = prefix + path.relative_to(making).as_posix()
            s3.upload_file(str(path), bucket, key, ExtraArgs=sealing if sealed_by(model.document) else None)
    return f"{kind} is in s3://{bucket}/{prefix}.{told}"


def _write(
    making: Path, model: Resource, base: BaseModel, folder: Path, adapter: Path | None, options: ExportOptions
) -> tuple[str, str]:
    """The files; returns what they are, and how far they are from what is served, for a person."""
    assert base.folder is not None, "usable models have weights"
    making.mkdir()
    exported = making
    if options.form is ExportForm.ADAPTER and adapter is None:
        raise Invalid(f"{model.name}: it was trained in full and has no adapter. Export it --as merged, or --as gguf.")
    if options.form is ExportForm.GGUF:
        exported = _write_gguf(making, model, base, folder, adapter, options)
        kind = f"the whole network, as {options.precision} in {exported.name},"
    elif adapter is None:
        _copy(folder, making)
        kind = "the whole network"
    elif options.is_whole:
        _merge(making, base, adapter)
        lineage.copy_files(folder, making)
        kind = "the whole network, its adapter merged into its weights,"
    else:
        _copy(folder, making)
        _copy_tokenizer(base.folder, making)
        kind = f"the adapter of {base.id}" if base.owner is None else "the adapter, with its network in base/,"
    (making / DESCRIPTION).write_text(json.dumps(_described(model, base), indent=2, ensure_ascii=False) + "\n", "utf-8")
    told = f"\n{write_parity(exported, model, base, folder, adapter, options)}" if options.form is not None else ""
    return f"{model.name}: {kind}", told


def _merge(making: Path, base: BaseModel, adapter: Path) -> None:
    from outcrop.network.adapters.merging import save_merged  # torch takes seconds to import

    assert base.folder is not None
    save_merged(making, base=base.folder, adapter=adapter, way=base.way or RunMode.PACKED)


def _write_gguf(
    making: Path, model: Resource, base: BaseModel, folder: Path, adapter: Path | None, options: ExportOptions
) -> Path:
    """The whole network as one file, by way of a merged directory that does not stay."""
    package()  # before a minute's work is done for nothing
    with tempfile.TemporaryDirectory(prefix=".merged.", dir=making.parent) as beside:
        network = folder
        if adapter is not None:
            network = Path(beside) / "network"
            _merge(network, base, adapter)
        lineage.copy_files(folder, making)
        file = making / f"{model.name}-{options.precision}.gguf"
        write_gguf(network, file, options.precision, name=str(model.name))
        return file


def _described(model: Resource, base: BaseModel) -> dict[str, Any]:
    form = format_of(model)
    return {
        "name": model.name,
        "arn": model.arn,
        "base_model": base.id,
        "prompt_format": form.value,
        "prompt_day": None if form.today is None else form.today.isoformat(),
    }


def _copy(folder: Path, making: Path) -> None:
    """A custom model's own files, and the network below it where it has one."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name.startswith(OWN_BASE):
            shutil.copytree(path, making / "base")
        elif path.is_file() and path.name not in _OURS and not path.name.startswith("."):
            shutil.copyfile(path, making / path.name)


def _copy_tokenizer(network: Path, making: Path) -> None:
    for pattern in _TOKENIZER:
        for path in network.glob(pattern):
            if path.is_file():
                shutil.copyfile(path, making / path.name)
