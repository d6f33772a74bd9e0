"""Adopted models: what others trained, an adapter or a whole network, becomes a custom model of a base.

Its files are in a folder of this machine by now. Every weight is held against the base, and what the model should
answer is computed once, so that the gate before a deployment has something to hold its engine against.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from outcrop import arn
from outcrop.catalog import model_files
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.catalog.custom_models import kept
from outcrop.catalog.model_folder import check_folder
from outcrop.engines.sharing import MemorySharing
from outcrop.errors import Invalid, ModelDamaged
from outcrop.jobs.running import RunningJob
from outcrop.json_files import MOST_BYTES, FileProblem, JsonText, Members, content, optional, read, read_bytes
from outcrop.keys.sealed_folder import FolderSeal, seal_folder
from outcrop.network import facts, headers, parity_file, shape_check, vocabulary
from outcrop.network.adapters.method import CONFIG_FILE, WEIGHTS_FILE, LoRA, has_adapter, read_adapter
from outcrop.probe import launch
from outcrop.tokens.prompt_format import PromptFormat, format_of_pairs, format_problem
from outcrop.tokens.tokenizer import Tokenizer

IMPORTED = "IMPORTED"
_DESCRIPTION = "custom_model.json"
_BASE_NAMED = Members(optional={"base_model_name_or_path": optional(JsonText(most=4096))})
_DESCRIBED = Members(optional={"prompt_format": JsonText(most=100_000, rule=format_problem)})
_TAKEN = (CONFIG_FILE, WEIGHTS_FILE)


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """A model that fits a base of the catalogue, and the form in which it is spoken to."""

    folder: Path
    base: BaseModel
    is_adapter: bool
    prompt_format: PromptFormat

    def document(self, region: str, *, source: str) -> dict[str, Any]:
        """The members of its record."""
        foundation = arn.foundation_model(region, self.base.full_id)
        return {
            "customizationType": IMPORTED,
            "baseId": self.base.id,
            "baseModelArn": foundation,
            "foundationModelArn": foundation,
            **kept(self.prompt_format),
            "source": source,
        }


def look_at(folder: Path, catalog: Catalog, *, base: str | None = None) -> Adopted:
    """The model in `folder`, all of it checked, and its base: `base`, an id, else the one that it names.

    Raises Invalid, in a sentence that says how to mend it.
    """
    model_files.check_no_code(folder)
    found = _adapter(folder, catalog, base) if has_adapter(folder) else _network(folder, catalog, base)
    assert found.base.folder is not None, "usable bases have weights"
    return found


def put_in_place(adopted: Adopted, place: Path, *, told: Callable[[str], None], seal: FolderSeal | None = None) -> None:
    """Copy the model's files to where custom models lie, with what its engine is held against; sealed by `seal`.

    They appear whole, or not at all.
    Raises Invalid, MachineTrouble, OSError.
    """
    sealed = place.with_name(f".importing-{place.name}")
    making = sealed if seal is None else seal.scratch / sealed.name
    for each in {sealed, making}:
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    try:
        told("copying the model")
        for name in _TAKEN if adopted.is_adapter else _files(adopted.folder):
            shutil.copyfile(adopted.folder / name, making / name)
        told("computing what the model should answer")
        base = adopted.base
        assert base.folder is not None
        assert base.way is not None, "bases are tried before models come to them"
        launch.write_reference(
            base.folder if adopted.is_adapter else making,
            making / parity_file.FILE,
            adapter=making if adopted.is_adapter else None,
            way=base.way,
            context=base.context_length,
            prompt_format=adopted.prompt_format.value,
        )
        if seal is not None:
            seal_folder(making, sealed, seal.data_key)
        shutil.rmtree(place, ignore_errors=True)
        sealed.rename(place)
    finally:
        for each in (sealed, making):
            shutil.rmtree(each, ignore_errors=True)


def with_tried_base(adopted: Adopted, catalog: Catalog) -> Adopted:
    """The model with a verdict on its base's network, which is tried now if it never was. Raises Invalid."""
    base = adopted.base
    if base.way is not None:
        return adopted
    assert base.folder is not None
    catalog.record(base, launch.demand(base.folder).verdict)
    return replace(adopted, base=catalog.usable(base.id))


@contextmanager
def memory_for(sharing: MemorySharing, adopted: Adopted, job: RunningJob) -> Iterator[None]:
    """Hold the memory in which the model's network is run once, for a job."""
    network = adopted.base.folder if adopted.is_adapter else adopted.folder
    assert network is not None
    job.report("waiting for memory")
    title = f"the custom model {job.record.name}"
    with sharing.held(job.arn, title, launch.needed_bytes(network), until=job.interrupted, waits=job.report):
        job.check()
        yield


def base_named(name: str, catalog: Catalog) -> BaseModel | None:
    """The entry of the catalogue that an adapter names as its base: by id, by hub repository, or by directory."""
    entry = catalog.find(name)
    if entry is not None:
        return entry
    for each in catalog.entries():
        if each.weights.hub is not None and each.weights.hub.lower() == name.lower():
            return each
        if each.weights.directory == str(catalog.folder_of(name)):
            return each
    path = Path(name)
    if path.is_absolute() and path.exists():
        alike = (each for each in catalog.ready() if each.folder is not None and each.weights.alias is None)
        return next((each for each in alike if each.folder is not None and path.samefile(each.folder)), None)
    return None


def _adapter(folder: Path, catalog: Catalog, asked: str | None) -> Adopted:
    entry = _base_of_adapter(folder, catalog, asked)
    base = catalog.usable(entry.id)
    assert base.folder is not None
    try:
        _check_adapter(folder, base.folder)
    except (ModelDamaged, FileProblem) as damaged:
        raise Invalid(f"{damaged} Save the adapter again with save_pretrained.") from damaged
    tokenizer = Tokenizer.open(base.folder)
    return Adopted(folder=folder, base=base, is_adapter=True, prompt_format=_format(folder, tokenizer))


def _base_of_adapter(folder: Path, catalog: Catalog, asked: str | None) -> BaseModel:
    if asked is not None:
        return catalog.usable(asked)
    called = str(folder / CONFIG_FILE)
    try:
        config = content(folder / CONFIG_FILE, most_bytes=MOST_BYTES, name=called)
    except FileProblem as problem:
        raise Invalid(f"{problem}. Save the adapter again with save_pretrained.") from problem
    return demand_base(config, catalog, called=called)


def demand_base(config: bytes, catalog: Catalog, *, called: str) -> BaseModel:
    """The entry that an adapter's configuration names as its base. Raises Invalid, which says how to bring it here."""
    try:
        named = read_bytes(config, _BASE_NAMED, name=called).get("base_model_name_or_path")
    except FileProblem as problem:
        raise Invalid(f"{problem}. Save the adapter again with save_pretrained.") from problem
    if not named:
        raise Invalid(
            f"{called}: base_model_name_or_path: missing: it names no base. Write the id of its base in the catalogue "
            "there, or register the adapter with --base ID."
        )
    entry = base_named(named, catalog)
    if entry is None:
        raise Invalid(
            f"{called}: its base {named!r} is not in the catalogue. `outcrop pull {named}` or `outcrop register "
            "FOLDER` brings it; or register the adapter with --base ID."
        )
    return entry


def _check_adapter(folder: Path, base: Path) -> None:
    """Every weight of the adapter fits a layer of the base, as far as both files tell."""
    method = read_adapter(folder)
    weights = headers.shapes_in(folder / WEIGHTS_FILE)
    if not weights:
        raise Invalid(f"{folder / WEIGHTS_FILE}: holds no weight. Save the adapter again with save_pretrained.")
    layers = headers.linear_layers(base)
    for name, shape in weights.items():
        layer, part = headers.adapted_layer(name)
        if layer not in layers:
            raise Invalid(
                f"{folder / WEIGHTS_FILE}: {name}: the base model in {base} has no linear layer {layer}. Name the base "
                "that the adapter was trained on."
            )
        if isinstance(method, LoRA) and part in ("lora_A", "lora_B"):
            _check_factor(folder, name, part, shape, method.rank, layers[layer])


def _check_factor(
    folder: Path, name: str, part: str, shape: tuple[int, ...], rank: int, layer: tuple[int, ...]
) -> None:
    inner, outer = (shape[0], shape[-1]) if part == "lora_A" else (shape[-1], shape[0])
    if len(shape) != 2 or inner != rank or outer not in layer:
        raise Invalid(
            f"{folder / WEIGHTS_FILE}: {name}: its shape {list(shape)} fits neither the rank {rank} of {CONFIG_FILE} "
            f"nor the layer of the base model, {list(layer)}. Name the base that the adapter was trained on."
        )


def _network(folder: Path, catalog: Catalog, asked: str | None) -> Adopted:
    check_folder(folder)
    shape_check.check(folder)
    vocabulary.check(folder, Tokenizer.open(folder))
    base = _base_of_network(folder, catalog, asked)
    assert base.folder is not None
    return Adopted(folder=folder, base=base, is_adapter=False, prompt_format=_format(folder, Tokenizer.open(folder)))


def _base_of_network(folder: Path, catalog: Catalog, asked: str | None) -> BaseModel:
    """The entry whose network has the same configuration; a whole network does not name what it was trained from."""
    entries = [catalog.usable(asked)] if asked is not None else catalog.ready()
    own = [entry for entry in entries if entry.weights.alias is None or asked is not None]
    for entry in own:
        if entry.folder is not None and _are_alike(folder, entry.folder):
            return entry
    kind = facts.read(folder).kind
    told = f"that of {asked} is another" if asked is not None else "no base model of the catalogue is alike"
    raise Invalid(
        f"{folder}/config.json: a {kind} network, and {told}. Pull or register the base that it was trained from, or "
        "import it as a model of its own: CreateModelImportJob."
    )


def _are_alike(folder: Path, base: Path) -> bool:
    """Whether both are the same network; token ids and names of classes say nothing about it."""
    try:
        ours, theirs = facts.read(folder), facts.read(base)
        return (
            ours.kind == theirs.kind
            and (ours.width, ours.layers, ours.heads) == (theirs.width, theirs.layers, theirs.heads)
            and _have_alike_weights(headers.shapes(folder), headers.shapes(base))
        )
    except (Invalid, ModelDamaged):
        return False


def _have_alike_weights(ours: Mapping[str, tuple[int, ...]], theirs: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the weights have the same names and shapes; a head that is the embedding need not be written."""
    differing = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
    return differing <= {"lm_head.weight"}


def _format(folder: Path, tokenizer: Tokenizer) -> PromptFormat:
    """The form that a description of ours beside the model tells, else the one that training would choose."""
    path = folder / _DESCRIPTION
    if path.is_file():
        try:
            told = read(path, _DESCRIBED).get("prompt_format")
        except FileProblem as problem:
            raise Invalid(
                f"{problem}. Write text, chat, or a text with {{prompt}} in it, or leave the file out."
            ) from problem
        if told is not None:
            return PromptFormat(told)
    return format_of_pairs(tokenizer)


def _files(folder: Path) -> list[str]:
    """A network's own files; notes of those who had it before are left behind."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    left = ("parity.json", _DESCRIPTION, "lineage.json", "gguf.json")
    return [name for name in model_files.wanted_files(sizes, place=str(folder)) if name not in left]
