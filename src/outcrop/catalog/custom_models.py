"""Custom models on record: what jobs leave behind. Files lie in one folder each; the row is written last."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from outcrop import arn
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_model_states import KIND, ModelStatus
from outcrop.clock import Clock
from outcrop.errors import Invalid, ModelDamaged, NotFound
from outcrop.keys.sealed_content import OpenKey
from outcrop.keys.sealed_folder import PLAIN, OpenedKeys, no_keys
from outcrop.keys.sealed_records import key_told
from outcrop.network import headers
from outcrop.network.adapters.method import CONFIG_FILE, OWN_BASE, has_adapter
from outcrop.store.resources import Resource
from outcrop.store.store import Store
from outcrop.tokens.prompt_format import PromptFormat


class CustomModels:
    """The custom models of an installation."""

    def __init__(self, store: Store, clock: Clock, folder: Path, *, open_key: OpenKey = no_keys) -> None:
        """`open_key` opens the data keys of sealed models."""
        self._open_key = open_key
        self._resources = store.resources
        self._clock = clock
        self._folder = folder
        store.references.index(KIND, "baseModelArn", "foundationModelArn")

    def folder(self, model_arn: str) -> Path:
        """Where the files of a custom model lie, or will."""
        return self._folder / model_arn.rsplit("/", 1)[-1]

    def keys(self, model_arn: str) -> OpenedKeys:
        """The keys of a custom model's files; none for one that is not sealed. Raises Invalid while its KMS key may not
        be used."""
        folder = self.folder(model_arn)
        if not headers.is_sealed(folder):
            return PLAIN
        with key_told():
            return OpenedKeys.of([folder], self._open_key)

    def network_below(self, base: BaseModel, model_arn: str) -> BaseModel:
        """`base` with the network that a custom model runs on: its own, where it has one. Raises ModelDamaged."""
        folder = self.folder(model_arn)
        with _readable(model_arn):
            if (folder / "config.json").is_file():
                return _of_its_own(base, folder, owner=folder.name)
            below = next(folder.glob(f"{OWN_BASE}*"), None)
        return base if below is None else _of_its_own(base, below, owner=below.name.removeprefix(OWN_BASE))

    def adapter(self, model_arn: str) -> Path | None:
        """The folder of a custom model's adapter; None for one that is a network of its own.

        Raises ModelDamaged for one that is neither: were it taken for the base model, that would answer in its place.
        """
        folder = self.folder(model_arn)
        with _readable(model_arn):
            if has_adapter(folder):
                return folder
            if (folder / "config.json").is_file():
                return None
        raise _damaged(model_arn, f"neither {CONFIG_FILE} nor config.json is there")

    def add(self, *, model_arn: str, name: str, region: str, created: datetime, document: Mapping[str, Any]) -> None:
        """Raises NameTaken."""
        row = Resource(
            arn=model_arn,
            kind=KIND,
            region=region,
            name=name,
            status=ModelStatus.ACTIVE,
            created=created,
            updated=self._clock.now(),
            document=dict(document),
        )
        self._resources.add(row)

    def look(self, region: str, identifier: str) -> Resource | None:
        """The custom model with this ARN or name; None when there is none."""
        by_arn = arn.is_arn(identifier)
        found = self._resources.get(identifier) if by_arn else self._resources.find(KIND, region, identifier)
        return found if found is not None and found.kind == KIND else None

    def find(self, region: str, identifier: str) -> Resource:
        """The custom model with this ARN or name. Raises NotFound."""
        found = self.look(region, identifier)
        if found is None:
            raise NotFound(f"The custom model {identifier} was not found.")
        return found

    def remove(self, model_arn: str) -> bool:
        """Forget the row. Whoever removes files does it after this, so a crash leaves garbage, never a lie."""
        return self._resources.remove(model_arn)


@contextmanager
def _readable(model_arn: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _damaged(model_arn, error.strerror or "they cannot be read") from error


def _damaged(model_arn: str, what: str) -> ModelDamaged:
    return ModelDamaged(
        f"The files of the custom model {model_arn} are damaged: {what}. Restore its folder from a backup, or import "
        "or train it again."
    )


def check_active(model: Resource) -> None:
    """Raises Invalid for a model that is still being made, or whose making failed."""
    if model.status == ModelStatus.CREATING:
        raise Invalid(f"The custom model {model.name} is being created. Ask again once it is Active.")
    if model.status == ModelStatus.FAILED:
        why = model.document.get("failureMessage", "its making failed")
        raise Invalid(
            f"The custom model {model.name} is Failed and cannot be used: {why} Delete it, and create it anew."
        )


def format_of(model: Resource) -> PromptFormat:
    """The form a custom model was trained in, and is spoken to in."""
    return form_in(model.document)


def form_in(document: Mapping[str, Any]) -> PromptFormat:
    """The form that the members of `kept` tell."""
    day = document.get("promptDay")  # which models made before it was kept do not have
    return PromptFormat(document["promptFormat"], None if day is None else datetime.fromisoformat(day))


def kept(form: PromptFormat) -> dict[str, Any]:
    """The members of a custom model's document that tell its form."""
    return {"promptFormat": form.value, "promptDay": None if form.today is None else form.today.isoformat()}


def _of_its_own(base: BaseModel, folder: Path, *, owner: str) -> BaseModel:
    return replace(base, folder=folder, engine=f"{base.engine}@{owner}", owner=owner)


def new_arn(region: str, account: str, base: BaseModel) -> str:
    """A fresh ARN in Bedrock's form, which names the base model in full."""
    return arn.bedrock(region, account, f"custom-model/{base.full_id}/{arn.new_id()}")
