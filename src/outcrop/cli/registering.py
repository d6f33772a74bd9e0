"""`outcrop register` and `outcrop pull`: which road a model takes into the catalogue, by what it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from outcrop.catalog.base_model import BaseModel
from outcrop.cli import pulling
from outcrop.cli.fetching import register_folder
from outcrop.cli.pulling import Wishes
from outcrop.errors import Invalid
from outcrop.network.adapters.method import has_adapter
from outcrop.network.gguf.header import is_gguf
from outcrop.settings import Settings


@dataclass(frozen=True, kw_only=True)
class RegisterOptions:
    """The options of both commands; each road takes some of them."""

    model_id: str | None = None
    name: str | None = None
    context: int | None = None
    base: str | None = None
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A model that came in, and the sentence about it."""

    told: str
    entry: BaseModel | None
    "None for a custom model."


def register(settings: Settings, place: Path, options: RegisterOptions) -> Registered:
    """Take in a directory, a GGUF file or an adapter. Raises Invalid, MachineTrouble."""
    if is_adapter_folder(place):
        _refuse(
            {"--id": options.model_id, "--context": options.context},
            "an adapter becomes a custom model, which has neither",
        )
        return _adapter(settings, place, options)
    _refuse({"--base": options.base, "--region": options.region}, "it belongs to adapters")
    if place.suffix == ".gguf" or is_gguf(place):
        from outcrop.cli.gguf_files import register_gguf

        entry = register_gguf(settings, place, model_id=options.model_id, name=options.name, context=options.context)
    else:
        entry = register_folder(settings, place, model_id=options.model_id, name=options.name, context=options.context)
    return Registered(told=_told(entry), entry=entry)


def pull(settings: Settings, wanted: str, options: RegisterOptions) -> Registered:
    """Download a model, and take it in. Raises Invalid, MachineTrouble."""
    wishes = Wishes(options.model_id, options.name, options.context)
    known = None if pulling.is_entry(wanted) else pulling.known_entry(settings, wanted, wishes)
    if pulling.is_entry(wanted) or known is not None:
        entry = pulling.pull_entry(settings, known.id if known is not None else wanted, wishes)
        return Registered(told=f"{entry.id} is ready in {entry.folder}.", entry=entry)
    pulled = pulling.fetch(settings, wanted)
    if pulled.is_adapter:
        return _adapter(settings, pulled.folder, options)
    entry = pulling.register(settings, pulled, wishes)
    return Registered(told=_told(entry), entry=entry)


def is_adapter_folder(place: Path) -> bool:
    """Whether the directory is an adapter of PEFT's and no network."""
    return place.is_dir() and has_adapter(place) and not (place / "config.json").exists()


def _adapter(settings: Settings, folder: Path, options: RegisterOptions) -> Registered:
    from outcrop.cli.adapter_folders import register_adapter

    model = register_adapter(settings, folder, name=options.name, base=options.base, region=options.region)
    base = model.document["baseId"]
    return Registered(
        told=f"{model.name} is a custom model of {base}: {model.arn}. Deploy it to invoke it.", entry=None
    )


def _told(entry: BaseModel) -> str:
    told = f"{entry.id} is in the catalogue: context {entry.context_length:,} tokens, weights in {entry.folder}."
    return f"{told}\n{entry.notes}" if entry.notes else told


def _refuse(given: Mapping[str, object], why: str) -> None:
    option = next((name for name, value in given.items() if value is not None), None)
    if option is not None:
        raise Invalid(f"{option}: {why}. Leave it out.")
