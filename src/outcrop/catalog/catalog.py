"""The model catalogue: the entries shipped with the program and those of one home, and how identifiers find them.

Both are TOML files of one form. The home's file is read again whenever it changes, so that `outcrop register` needs no
restart; an entry of the home replaces a shipped one of the same id.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

from outcrop import arn
from outcrop.catalog import families, remote_entries
from outcrop.catalog.base_model import BaseModel, Customization, Weights, entry_of
from outcrop.catalog.remote_model import RemoteModel
from outcrop.errors import Invalid, MachineTrouble, ModelDamaged, NotFound
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode

SHIPPED = Path(__file__).parent / "models.toml"
BUNDLED = Path(__file__).parent / "bundled"
HOME_FILE = "models.toml"
PULLED = "hub"

_NEEDED = ("id", "context", "name", "provider", "context_length")
_PLACES = ("bundled", "directory", "hub", "alias")
_AS_TOML: dict[Any, type | tuple[type, ...]] = {
    str: str, str | None: str, int: int, float | None: (int, float), tuple[Customization, ...]: list, Weights: dict,
    tuple[str, ...]: list,
    RemoteModel | None: dict, ModelTask: str, Mapping[str, str]: dict,
}  # fmt: skip
"How TOML holds a member of an entry, by its type."


class Catalog:
    """All entries visible in one home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file = home / HOME_FILE
        self._shipped = _read_file(SHIPPED)
        self._seen: float | None = None
        self._entries: tuple[BaseModel, ...] = ()
        self._by_name: dict[str, BaseModel] = {}

    def entries(self) -> tuple[BaseModel, ...]:
        """Every entry, with or without weights on this machine."""
        changed = self._file.stat().st_mtime_ns if self._file.is_file() else 0.0
        if changed != self._seen:
            own = _read_file(self._file) if changed else ()
            verdicts = _read_verdicts(self._file) if changed else {}
            self._entries = _resolved({e.id: e for e in (*self._shipped, *own)}, self._home, verdicts)
            # Asked for with every invocation. Of entries that share a name, the first one has it.
            self._by_name = {name: entry for entry in reversed(self._entries) for name in entry.names}
            self._seen = changed
        return self._entries

    def ready(self) -> tuple[BaseModel, ...]:
        """Entries whose weights are on this machine."""
        return tuple(entry for entry in self.entries() if entry.folder is not None)

    def invocable(self) -> tuple[BaseModel, ...]:
        """Entries that can be invoked: those with weights here, and the remote ones."""
        return tuple(entry for entry in self.entries() if entry.folder is not None or entry.remote is not None)

    def find(self, identifier: str) -> BaseModel | None:
        """The entry an id, an id with suffixes, or an ARN names."""
        parsed = arn.parse(identifier)
        if parsed is not None and (parsed.service != "bedrock" or parsed.kind != "foundation-model"):
            return None
        wanted = parsed.tail if parsed else identifier
        self.entries()
        return self._by_name.get(wanted) or self._stand_in(wanted)

    def _stand_in(self, wanted: str) -> BaseModel | None:
        """An alias answers to its id with any context length: those of the model it stands for are not known."""
        plain, context = families.spelled(wanted)
        found = self._by_name.get(plain) if context is not None and wanted.startswith(plain) else None
        return found if found is not None and found.weights.alias is not None else None

    def usable(self, identifier: str) -> BaseModel:
        """The entry named, with weights. Raises Invalid in Bedrock's words, then ours."""
        return self.with_weights(self.find(identifier), identifier)

    def with_weights(self, entry: object, identifier: str) -> BaseModel:
        """The entry that `identifier` was found to name, if its weights are here. Raises Invalid, as `usable`."""
        if not isinstance(entry, BaseModel):
            raise Invalid(
                f"The provided model identifier is invalid. ({identifier!r} is not in the catalogue; "
                "`outcrop models` lists it.)"
            )
        if entry.remote is not None:
            raise Invalid(
                f"The provided model identifier is invalid. ({entry.id} is a remote model, at {entry.remote.host}: it "
                "can be invoked there, and neither customized nor deployed here.)"
            )
        if entry.folder is None and entry.weights.directory is not None:
            raise ModelDamaged(
                f"{entry.id}: its directory is gone, or holds no config.json. Put it back, or register another; "
                "models.toml in the home tells where it was."
            )
        if entry.folder is None:
            raise Invalid(f"The provided model identifier is invalid. ({_how_to_get(entry)})")
        return entry

    def check_free(self, model_id: str, folder: Path) -> None:
        """Raises Invalid when the id is taken by another one than `folder`."""
        taken = self.find(model_id)
        if taken is not None and taken.weights != Weights(directory=str(folder)):
            raise Invalid(f"{model_id}: this id is in the catalogue already. Choose another with --id.")

    def register(
        self,
        folder: Path,
        *,
        model_id: str,
        name: str,
        context_length: int,
        licence: str,
        verdict: ProbeVerdict | None = None,
        task: ModelTask = ModelTask.TEXT,
        notes: str = "",
    ) -> BaseModel:
        """Add a Hugging Face directory to the home's catalogue, with what the probe found of it.

        `notes` tell where it comes from. Raises Invalid when the id is taken by another one.
        """
        self.check_free(model_id, folder)
        if self.find(model_id) is None:
            self._append(
                {
                    "id": model_id,
                    "name": name[:20],
                    "provider": "Registered",
                    "weights": {"directory": str(folder)},
                    "licence": licence,
                    "context_length": context_length,
                    "context": f"{max(1, context_length // 1024)}k",
                    **({"task": task.value} if task is not ModelTask.TEXT else {}),
                    **({"notes": notes} if notes else {}),
                }
            )
        if verdict is not None:
            self.record(self.usable(model_id), verdict)
        return self.usable(model_id)

    def check_free_for_remote(self, model_id: str) -> None:
        """Raises Invalid where the id has weights, here or on a hub, or is an alias."""
        taken = self.find(model_id)
        if taken is not None and taken.remote is None and taken.weights != Weights():
            raise Invalid(f"{model_id}: this id is in the catalogue already, and has weights. Choose another.")

    def register_remote(
        self,
        model_id: str,
        remote: RemoteModel,
        *,
        name: str | None = None,
        provider: str | None = None,
        task: ModelTask | None = None,
    ) -> BaseModel:
        """Add a remote model to the home's catalogue, or change where one is.

        A known id keeps its names, its dialect and, unless told otherwise, its task; another of a provider's gets that
        provider's. Raises Invalid.
        """
        self.check_free_for_remote(model_id)
        wanted, _ = families.spelled(model_id)
        known = self.find(wanted)
        self._append(remote_entries.entry(wanted, remote, known=known, name=name, provider=provider, task=task))
        found = self.find(wanted)
        assert found is not None, "what was just written is found"
        return found

    def withdraw_remote(self, model_id: str) -> BaseModel:
        """Take a remote model out of the home's catalogue. Raises NotFound, Invalid."""
        entry = self.find(model_id)
        if entry is None:
            raise NotFound(f"{model_id}: not in the catalogue. `outcrop models --all` lists it.")
        if entry.remote is None:
            raise Invalid(f"{entry.id}: it is no remote model. Take its entry out of {self._file} by hand.")
        self._write(remote_entries.without(self._file.read_text("utf-8"), entry.id))
        return entry

    def record(self, entry: BaseModel, verdict: ProbeVerdict) -> None:
        """Keep what the probe found of the network that an entry is run on."""
        self._append({"model": entry_of(entry.engine), **verdict.to_table()}, table="verdict")

    def alias(self, model_id: str, target: str) -> BaseModel:
        """Let `model_id` be served by the weights of `target`.

        A known id keeps its dialect and hyperparameters; another of a provider's gets that provider's. An ARN, or the
        id of an inference profile, stands for the model in it. Raises Invalid.
        """
        served = self.usable(target)
        wanted, context = families.spelled(model_id)
        known = self.find(wanted) or replace(_unlisted(wanted, served), context=context or served.context)
        if known.id == served.engine:
            raise Invalid(f"{model_id}: it has weights of its own. An alias needs a name without weights.")
        _check_task(known, served)
        self._append(
            {
                "id": known.id,
                "name": known.name,
                "provider": known.provider,
                "weights": {"alias": served.engine},
                "licence": served.licence,
                "context_length": known.context_length,
                "context": known.context,
                "dialect": known.dialect,
                "hyperparameters": known.hyperparameters,
                "customizations": [c.value for c in known.customizations],
                **({"task": known.task.value} if known.task is not ModelTask.TEXT else {}),
            }
        )
        return self.usable(wanted)

    def pulled_folder(self, entry: BaseModel) -> Path:
        """Where `outcrop pull` puts an entry's weights. Raises NotFound for an entry that is not on a hub."""
        if entry.weights.hub is None:
            raise NotFound(f"{entry.id}: it names no hub repository. `outcrop register DIR` adds a directory.")
        return self._home / PULLED / entry.weights.hub

    def folder_of(self, repository: str) -> Path:
        """Where `outcrop pull` puts a hub's repository that no entry names."""
        return self._home / PULLED / repository

    def _append(self, entry: Mapping[str, Any], *, table: str = "model") -> None:
        text = (
            self._file.read_text("utf-8")
            if self._file.is_file()
            else "# Base models of this home; the form is that of the shipped catalogue.\n"
        )
        self._write(text + "\n" + _toml(entry, table))

    def _write(self, text: str) -> None:
        temporary = self._file.with_suffix(".toml.new")
        temporary.write_text(text, "utf-8")
        temporary.replace(self._file)
        self._seen = None


def _read_file(path: Path) -> tuple[BaseModel, ...]:
    try:
        read = tomllib.loads(path.read_text("utf-8"))
        strange = [name for name in read if name not in ("model", "verdict")]
        if strange or not isinstance(read.get("model", []), list):
            raise ValueError(
                f"it holds {(strange or ['model'])[0]}, and should hold [[model]] and [[verdict]] tables only"
            )
        return tuple(_entry(item) for item in read.get("model", []))
    except ValueError as error:
        raise MachineTrouble(f"{path}: not a model catalogue: {error}. Mend the entry, or remove the file.") from error


def _read_verdicts(path: Path) -> dict[str, ProbeVerdict]:
    """The newest verdict on each entry of the catalogue, by the entry's id."""
    try:
        return {item["model"]: _verdict(item) for item in tomllib.loads(path.read_text("utf-8")).get("verdict", ())}
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise MachineTrouble(f"{path}: not a model catalogue: {error}. Mend the entry, or remove the file.") from error


def _verdict(item: Mapping[str, Any]) -> ProbeVerdict:
    way = RunMode(item["way"]) if item["way"] else None
    return ProbeVerdict(way=way, why=item.get("why", ""), config=item.get("config", ""))


def _unlisted(model_id: str, served: BaseModel) -> BaseModel:
    """An entry for an id that nobody has listed, in front of the weights of `served`."""
    family, plain = families.family_of(model_id), replace(served, id=model_id, weights=Weights(), learning_rate=None)
    if family is None:
        return plain
    return replace(
        plain,
        name=model_id.partition(".")[2][:20],
        provider=family.provider,
        dialect=family.dialect,
        hyperparameters=family.hyperparameters,
        customizations=family.customizations,
        task=family.task,
    )


def _check_task(known: BaseModel, served: BaseModel) -> None:
    """Raises Invalid for a model that cannot answer as the alias promises; a text model can, for an embedding model."""
    stands_in = known.task is ModelTask.EMBEDDING and served.engine_task is ModelTask.TEXT
    if known.task is not served.task and not stands_in:
        raise Invalid(
            f"{known.id}: a model that {_DOES[known.task]}, and {served.id} {_DOES[served.task]}. Name a model that "
            f"{_DOES[known.task]}; `outcrop models --all` lists them."
        )


_DOES = {
    ModelTask.TEXT: "writes text",
    ModelTask.EMBEDDING: "makes vectors",
    ModelTask.RERANKING: "ranks documents",
}


def _entry(item: Any) -> BaseModel:
    """Raises ValueError, in words for whoever wrote the file."""
    if not isinstance(item, dict):
        raise ValueError(f"{item!r} is no table; write [[model]] above the members of an entry")
    missing = [name for name in _NEEDED if name not in item]
    if missing:
        raise ValueError(f"the entry {item.get('id', 'without id')} has no {missing[0]}")
    types = get_type_hints(BaseModel)
    for name, value in item.items():
        if name not in types:
            raise ValueError(f"{item['id']}: {name} is no member of an entry")
        expected = _AS_TOML.get(types[name], object)
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            raise ValueError(f"{item['id']}: {name}: {value!r} is of the wrong type")
    weights = item.get("weights", {})
    if not all(name in _PLACES and isinstance(place, str) for name, place in weights.items()):
        raise ValueError(f"{item['id']}: weights: give one of {', '.join(_PLACES)}, a text")
    fields = {**item, "weights": Weights(**weights)}
    fields["task"] = ModelTask(item.get("task", ModelTask.TEXT))
    if fields["task"] is not ModelTask.TEXT:
        fields.setdefault("customizations", [])
    if not all(isinstance(text, str) for text in item.get("prompts", {}).values()):
        raise ValueError(f"{item['id']}: prompts: give each name a text")
    if "remote" in fields:
        fields["remote"] = remote_entries.read(item["id"], fields["remote"])
    if "verdict" in fields:
        fields["verdict"] = _verdict(fields["verdict"])
    if not all(isinstance(code, str) for code in item.get("languages", ())):
        raise ValueError(f"{item['id']}: languages: give codes of ISO 639, as texts")
    fields["languages"] = tuple(item.get("languages", ()))
    if "customizations" in fields:
        fields["customizations"] = tuple(Customization(c) for c in fields["customizations"])
    return BaseModel(**fields)


def _resolved(
    entries: Mapping[str, BaseModel], home: Path, verdicts: Mapping[str, ProbeVerdict]
) -> tuple[BaseModel, ...]:
    """Entries with their folders; an alias takes folder, context, rate and verdict from its target."""
    placed = {e.id: _placed(e, home, verdicts.get(e.id, e.verdict)) for e in entries.values()}
    return tuple(_behind(entry, placed) for entry in placed.values())


def _placed(entry: BaseModel, home: Path, verdict: ProbeVerdict | None) -> BaseModel:
    """The entry with its folder, and the verdict if it is one of the network that lies there now."""
    folder = _folder(entry.weights, home)
    holds = folder is not None and verdict is not None and verdict.config == facts.digest(folder)
    return replace(entry, folder=folder, engine=entry.id, engine_task=entry.task, verdict=verdict if holds else None)


def _behind(entry: BaseModel, placed: Mapping[str, BaseModel]) -> BaseModel:
    target = placed.get(entry.weights.alias or "")
    if target is None:
        return entry
    length = min(entry.context_length, target.context_length)
    return replace(
        entry,
        folder=target.folder,
        engine=target.id,
        context_length=length,
        languages=entry.languages or target.languages,
        engine_task=target.task,
        prompts=entry.prompts or target.prompts,
        default_prompt=entry.default_prompt or target.default_prompt,
        learning_rate=target.learning_rate,
        verdict=target.verdict,
    )


def _folder(weights: Weights, home: Path) -> Path | None:
    if weights.bundled is not None:
        place = BUNDLED / weights.bundled
    elif weights.directory is not None:
        place = Path(weights.directory)
    elif weights.hub is not None:
        place = home / PULLED / weights.hub
    else:
        return None
    return place if (place / "config.json").is_file() else None


def _how_to_get(entry: BaseModel) -> str:
    if entry.weights.hub is not None:
        return f"{entry.id} is known, but not on this machine: `outcrop pull {entry.id}` downloads it."
    return (
        f"{entry.id} is known by name only: `outcrop alias {entry.id} outcrop.starter-v1` lets another model stand in."
    )


def _toml(entry: Mapping[str, Any], table: str) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in entry.items()]
    return "\n".join([f"[[{table}]]", *lines]) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    # A JSON string or number is a TOML string or number, but for the delete character, which no name contains.
    return json.dumps(value, ensure_ascii=False)
