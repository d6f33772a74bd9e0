"""Base models come to the catalogue: a directory registered, or a catalogue entry's hub repository downloaded."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.model_folder import check_folder
from outcrop.errors import Invalid, MachineTrouble, NotFound
from outcrop.network import encoder_facts, facts, vocabulary
from outcrop.network.model_task import ModelTask
from outcrop.probe import launch
from outcrop.probe.launch import ProbeReport
from outcrop.settings import Settings, make_home
from outcrop.tokens.chat_template import TemplateBroken
from outcrop.tokens.prompt_format import chat_problem
from outcrop.tokens.tokenizer import Tokenizer

_WANTED_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model"]
_TWICE = ["consolidated*", "original/*"]
"The same weights once more, in the layout of their maker's own program."
_ID = re.compile(r"[a-z0-9-]{1,63}([.][a-z0-9-]{1,63}){1,3}(:[a-z0-9-]{1,63}){0,2}|([0-9a-zA-Z][_-]?)+")
"What a modelId may be in Bedrock's service model."


def register_folder(
    settings: Settings,
    folder: Path,
    *,
    model_id: str | None,
    name: str | None,
    context: int | None = None,
    licence: str = "see its folder",
    notes: str = "",
) -> BaseModel:
    """Try the network in the folder, and add it. Raises Invalid, saying which file is missing, or what failed.

    `context` is the context length of a network that names none; `notes` tell where it comes from.
    """
    folder = check_folder(folder)
    wanted = check_id(model_id) if model_id else id_from(folder.name)
    task = encoder_facts.task_of(folder)
    _check_readable(folder, task)
    catalog = Catalog(settings.home)
    catalog.check_free(wanted, folder)
    probed = _tried(folder)
    length = probed.context if probed else _named_length(folder, task)
    make_home(settings)
    return catalog.register(
        folder,
        model_id=wanted,
        name=name or folder.name,
        context_length=_context_length(folder, length, context),
        licence=licence,
        verdict=probed.verdict if probed else None,
        task=task,
        notes=notes,
    )


def pull_weights(settings: Settings, model_id: str) -> BaseModel:
    """Download into the home, and try the network. Raises MachineTrouble when the hub cannot be reached or refuses."""
    from huggingface_hub import snapshot_download

    catalog = Catalog(settings.home)
    entry = catalog.find(model_id)
    if entry is None:
        raise NotFound(f"{model_id}: not in the catalogue. `outcrop models --all` lists it.")
    target = catalog.pulled_folder(entry)
    with hub_trouble(str(entry.weights.hub)):
        snapshot_download(entry.weights.hub, local_dir=target, allow_patterns=_WANTED_FILES, ignore_patterns=_TWICE)
    if not any(target.glob("*.safetensors")):
        raise Invalid(
            f"{entry.weights.hub}: no *.safetensors there (the weights), and no pickle is opened here. Save the model "
            "anew with save_pretrained, then `outcrop register` its folder."
        )
    task = encoder_facts.task_of(target)
    if task is not entry.task:
        raise Invalid(
            f"{entry.weights.hub}: its files are of a network for {task}, and {entry.id} is for {entry.task}."
        )
    _check_readable(target, task)
    return with_verdict(Catalog(settings.home), model_id)


@contextmanager
def hub_trouble(repository: str) -> Iterator[None]:
    """Whatever the hub's client raises becomes MachineTrouble, with what a person can do about it."""
    from huggingface_hub import errors

    # HTTPError is that of the client which the hub's package uses: httpx or httpx2, by its version.
    try:
        yield
    except (errors.HTTPError, errors.LocalEntryNotFoundError, errors.HFValidationError, OSError) as error:
        why = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise MachineTrouble(
            f"{repository}: the download failed: {why} Check the network; a gated model "
            "also needs its licence accepted on the hub and HF_TOKEN set. What was downloaded is kept."
        ) from error


def with_verdict(catalog: Catalog, model_id: str) -> BaseModel:
    """The entry, whose network is tried now if it never was. Raises Invalid for one that cannot be run."""
    entry = catalog.usable(model_id)
    if entry.way is None:
        assert entry.folder is not None, "usable entries have weights"
        probed = _tried(entry.folder)
        if probed is not None:
            catalog.record(entry, probed.verdict)
    return catalog.usable(model_id)


def _tried(folder: Path) -> ProbeReport | None:
    """The probe's report; None, with a word to the person, where this machine has no memory for it now.

    Then the network is tried when it is used.
    """
    try:
        return launch.demand(folder)
    except MachineTrouble as trouble:
        print(f"outcrop: {trouble.message}", file=sys.stderr)
        return None


def check_id(model_id: str) -> str:
    """The id, in Bedrock's form. Raises Invalid."""
    if not _ID.fullmatch(model_id):
        raise Invalid(
            f"{model_id!r}: not an id of Bedrock's form, provider.name-v1. Use lower-case letters, digits and hyphens, "
            "and a dot after the provider."
        )
    return model_id


def _context_length(folder: Path, named: int | None, asked: int | None) -> int:
    if named is None and asked is None:
        raise Invalid(
            f"{folder}/config.json: names no context length, as recurrent networks do not. Say how many tokens a "
            "record and a conversation may have: --context 4096."
        )
    if named is not None and asked is not None and asked != named:
        raise Invalid(f"--context: {folder}/config.json says {named}. Leave it out.")
    if asked is not None and asked < 2:
        raise Invalid(f"--context: {asked} tokens are no context. Give at least 2.")
    return named or asked or 0


def _named_length(folder: Path, task: ModelTask) -> int | None:
    """The context length that the files name; None where they name none."""
    if task is not ModelTask.TEXT:
        return encoder_facts.read(folder).max_length
    described = facts.read(folder)
    return described.context if described.has_context else None


def _check_readable(folder: Path, task: ModelTask) -> None:
    """A folder whose network cannot read what its tokenizer makes, or whose steps are not known, is refused.

    Raises Invalid.
    """
    if task is not ModelTask.TEXT:
        encoder_facts.read(folder)
        return
    tokenizer = Tokenizer.open(folder)
    vocabulary.check(folder, tokenizer)
    problem = chat_problem(tokenizer)
    if isinstance(problem, TemplateBroken):
        raise Invalid(f"{folder}: {problem.message}") from problem


def id_from(name: str, *, provider: str = "local") -> str:
    """The id of a model that has none: `Qwen2.5-0.5B` -> `local.qwen2-5-0-5b`."""
    first, second = (re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:60] for part in (provider, name))
    if not first or not second:
        raise Invalid(f"{name!r}: no model id can be made of this name. Give one with --id provider.name-v1.")
    return f"{first}.{second}"
