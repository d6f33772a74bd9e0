"""Contents of hubs: models of the catalogue in the public hub, imports and references in those of the account.

A reference stands for a model of the public hub, always at its version of the moment; where the model is gone, so is
what the reference stands for. Nothing of a content but its document is kept here: artifacts stay where they are.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from outcrop.catalog.catalog import Catalog
from outcrop.clock import Clock
from outcrop.errors import Invalid
from outcrop.loops import each
from outcrop.sagemaker.hub.document import SCHEMA_VERSION, document
from outcrop.sagemaker.hub.places import PUBLIC, ContentType, HubPlace, public_model_of, version_key
from outcrop.sagemaker.hub.refusals import in_use, not_found
from outcrop.sagemaker.jumpstart.public_models import PublicModel, public_models
from outcrop.sagemaker.jumpstart.specification import keywords
from outcrop.store.damage import understood
from outcrop.store.resources import NameTaken, Resource
from outcrop.store.store import Store

KIND = "hub-content"
AVAILABLE, GONE = "Available", "ImportFailed"
_SUPPORTED = "Supported"
_FIRST_VERSION = "1.0.0"
_log = logging.getLogger("outcrop.hub")
_CHANGEABLE = (
    "HubContentDisplayName", "HubContentDescription", "HubContentMarkdown", "HubContentSearchKeywords", "SupportStatus",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class HubContent:
    """A version of a content of a hub, or a reference at the version of its model."""

    hub: HubPlace
    kind: ContentType
    name: str
    version: str
    arn: str
    schema_version: str
    created: datetime
    updated: datetime
    members: Mapping[str, Any]
    "What may be changed of it: display name, description, markdown, keywords and support."
    document: str
    public_arn: str | None = None
    min_version: str | None = None
    failure: str = ""
    model: PublicModel | None = None
    "Of the catalogue, whose files are its artifacts."

    @property
    def status(self) -> str:
        return GONE if self.failure else AVAILABLE


class HubContents:
    """The contents of all hubs of an installation."""

    def __init__(self, store: Store, clock: Clock, catalog: Catalog, account: str) -> None:
        self._store = store
        self._clock = clock
        self._catalog = catalog
        self._account = account
        store.references.index(KIND, "shelf", "hub")

    def versions(self, hub: HubPlace, kind: ContentType) -> list[HubContent]:
        """Every version of every content of a kind in a hub, in no order."""
        if hub.is_public:
            return [self._of_public(model, hub) for model in self._models()] if kind is ContentType.MODEL else []
        rows = self._store.references.naming(KIND, ["shelf"], _shelf(hub, kind))
        models = {model.name: model for model in self._models()} if kind is ContentType.REFERENCE else {}
        here = [row for row in rows if row.region == hub.region]
        return each(here, lambda row: self._of_row(row, hub, models), log=_log, name=lambda row: row.arn)

    def latest(self, hub: HubPlace, kind: ContentType) -> list[HubContent]:
        """The newest version of every content of a kind in a hub, in no order."""
        found: dict[str, HubContent] = {}
        for content in self.versions(hub, kind):
            before = found.get(content.name)
            if before is None or version_key(content.version) > version_key(before.version):
                found[content.name] = content
        return list(found.values())

    def find(self, hub: HubPlace, kind: ContentType, name: str, version: str | None) -> HubContent:
        """A content at a version, or at its newest. Raises ResourceNotFound, also for one whose model is gone."""
        found = [content for content in self.versions(hub, kind) if content.name == name]
        if not found:
            raise not_found(f"{hub.name}: no {kind} {name} is in this hub. ListHubContents tells what is.")
        if version is None:
            chosen = max(found, key=lambda content: version_key(content.version))
        else:
            wanted = version_key(version)
            at = [content for content in found if version_key(content.version) == wanted]
            if not at and kind is not ContentType.REFERENCE:
                there = ", ".join(content.version for content in found)
                raise not_found(f"{hub.name}: {kind} {name} is there at {there}, and not at {version}.")
            chosen = (at or found)[0]
            if not at and not chosen.failure:
                raise not_found(f"{hub.name}: {kind} {name} stands for version {chosen.version}, and not {version}.")
        if chosen.failure:
            raise not_found(f"{hub.name}: {chosen.failure}")
        return chosen

    def add(self, hub: HubPlace, params: Mapping[str, Any], *, tags: Mapping[str, str]) -> HubContent:
        """Keep a document as a content. Raises Invalid, ResourceInUse."""
        kind, name = ContentType(params["HubContentType"]), params["HubContentName"]
        if kind is ContentType.REFERENCE:
            raise Invalid("HubContentType: references are made by CreateHubContentReference. Choose Model.")
        version_key(params["DocumentSchemaVersion"])
        _check_document(params["HubContentDocument"])
        version = params.get("HubContentVersion") or self._next_version(hub, kind, name)
        plain = ".".join(map(str, version_key(version)))
        held = {
            "DocumentSchemaVersion": params["DocumentSchemaVersion"],
            "HubContentDocument": params["HubContentDocument"],
            "SupportStatus": _SUPPORTED,
            **{member: params[member] for member in _CHANGEABLE if member in params},
        }
        return self._added(hub, kind, name, plain, held, tags=tags)

    def refer(
        self, hub: HubPlace, public_arn: str, *, name: str | None, min_version: str | None, tags: Mapping[str, str]
    ) -> HubContent:
        """A reference to a model of the public hub. Raises Invalid, ResourceNotFound, ResourceInUse."""
        wanted = public_model_of(public_arn, region=hub.region)
        model = next((model for model in self._models() if model.name == wanted), None)
        if model is None:
            raise not_found(f"{PUBLIC}: no Model {wanted} is in this hub. ListHubContents tells what is.")
        if min_version is not None:
            version_key(min_version)
        held = {"model": wanted, "version": model.version, "minVersion": min_version}
        return self._added(hub, ContentType.REFERENCE, name or wanted, None, held, tags=tags)

    def change(self, content: HubContent, params: Mapping[str, Any]) -> None:
        """Change what is said of a content. Raises Invalid for a reference."""
        if content.kind is ContentType.REFERENCE:
            raise Invalid("HubContentType: of a reference, UpdateHubContentReference changes MinVersion. Choose Model.")
        self._replace(content.arn, {member: params[member] for member in _CHANGEABLE if member in params})

    def change_reference(self, hub: HubPlace, name: str, min_version: str | None) -> HubContent:
        """Let a reference stand for versions from this one on. Raises ResourceNotFound, Invalid."""
        if min_version is not None:
            version_key(min_version)
        self._replace(self._reference(hub, name), {"minVersion": min_version})
        return next(content for content in self.versions(hub, ContentType.REFERENCE) if content.name == name)

    def remove(self, hub: HubPlace, kind: ContentType, name: str, version: str) -> None:
        """Remove a version of a content, a damaged one too. Raises ResourceNotFound, Invalid for a reference."""
        if kind is ContentType.REFERENCE:
            raise Invalid("HubContentType: DeleteHubContentReference removes references. Call that.")
        arn = hub.content_arn(kind, name, ".".join(map(str, version_key(version))))
        if self._store.resources.row(arn) is None:
            raise not_found(f"{hub.name}: no {kind} {name} of version {version} is in this hub.")
        self._remove(arn)

    def remove_reference(self, hub: HubPlace, name: str) -> None:
        """Remove a reference, whether or not its model is there. Raises ResourceNotFound."""
        self._remove(self._reference(hub, name))

    def number_in(self, hub: HubPlace) -> int:
        """How many contents a hub of the account has."""
        rows = self._store.references.naming(KIND, ["hub"], hub.name)
        return sum(row.region == hub.region for row in rows)

    def _models(self) -> list[PublicModel]:
        return public_models(self._catalog)

    def _reference(self, hub: HubPlace, name: str) -> str:
        """The ARN of a reference. Raises ResourceNotFound."""
        arn = hub.content_arn(ContentType.REFERENCE, name)
        if self._store.resources.row(arn) is None:
            raise not_found(
                f"{hub.name}: no {ContentType.REFERENCE} {name} is in this hub. ListHubContents tells them."
            )
        return arn

    def _added(
        self,
        hub: HubPlace,
        kind: ContentType,
        name: str,
        version: str | None,
        held: dict[str, Any],
        *,
        tags: Mapping[str, str],
    ) -> HubContent:
        now = self._clock.now()
        row = Resource(
            arn=hub.content_arn(kind, name, version),
            kind=KIND,
            region=hub.region,
            name="/".join(filter(None, (hub.name, kind, name, version))),
            status=AVAILABLE,
            created=now,
            updated=now,
            document={
                **held, "hub": hub.name, "shelf": _shelf(hub, kind), "kind": kind, "name": name, "number": version,
            },
        )  # fmt: skip
        try:
            with self._store.transaction():
                if self._store.resources.row(hub.arn) is None:  # removed since it was looked up
                    raise not_found(f"Hub {hub.name} does not exist in {hub.region}.")
                self._store.resources.add(row)
                self._store.tags.put(row.arn, tags)
        except NameTaken as taken:
            at = "" if version is None else f" at version {version}"
            raise in_use(f"{hub.name}: {kind} {name}{at} is in this hub already. Choose another one.") from taken
        return self._of_row(row, hub, {model.name: model for model in self._models()})

    def _replace(self, arn: str, members: Mapping[str, Any]) -> None:
        row = self._store.resources.get(arn)
        if row is None:
            raise not_found(f"{arn}: removed meanwhile.")
        self._store.resources.replace(row, document={**row.document, **members}, at=self._clock.now())

    def _remove(self, arn: str) -> None:
        self._store.resources.remove(arn)
        self._store.tags.clear(arn)

    def _next_version(self, hub: HubPlace, kind: ContentType, name: str) -> str:
        """The version above the newest that is there."""
        before = [version_key(content.version) for content in self.versions(hub, kind) if content.name == name]
        if not before:
            return _FIRST_VERSION
        first, second, third = max(before)
        return f"{first}.{second}.{third + 1}"

    def _of_public(self, model: PublicModel, hub: HubPlace) -> HubContent:
        base = model.base
        about = f"{base.name} of {base.provider}, as the catalogue of this installation has it."
        licence = f" Licence: {base.licence}." if base.licence else ""
        return HubContent(
            hub=hub,
            kind=ContentType.MODEL,
            name=model.name,
            version=model.version,
            arn=hub.content_arn(ContentType.MODEL, model.name, model.version),
            schema_version=SCHEMA_VERSION,
            created=model.modified,
            updated=model.modified,
            members={
                "HubContentDisplayName": base.name,
                "HubContentDescription": about + licence,
                "HubContentSearchKeywords": keywords(model),
                "SupportStatus": _SUPPORTED,
            },
            document=json.dumps(document(model, region=hub.region, account=self._account), ensure_ascii=False),
            model=model,
        )

    def _of_row(self, row: Resource, hub: HubPlace, models: Mapping[str, PublicModel]) -> HubContent:
        """Raises Damaged."""
        with understood(row.arn):
            held = row.document
            kind, name = ContentType(held["kind"]), held["name"]
            if kind is ContentType.REFERENCE:
                return self._of_reference(row, hub, models.get(held["model"]))
            return HubContent(
                hub=hub,
                kind=kind,
                name=name,
                version=held["number"],
                arn=row.arn,
                schema_version=held["DocumentSchemaVersion"],
                created=row.created,
                updated=row.updated,
                members={member: held[member] for member in _CHANGEABLE if member in held},
                document=held["HubContentDocument"],
            )

    def _of_reference(self, row: Resource, hub: HubPlace, model: PublicModel | None) -> HubContent:
        held = row.document
        public = HubPlace(name=PUBLIC, region=hub.region, account=self._account)
        least = held["minVersion"]
        failure = _why_not(held["name"], held["model"], model, least)
        version = held["version"] if model is None else model.version
        told = HubContent(
            hub=hub,
            kind=ContentType.REFERENCE,
            name=held["name"],
            version=version,
            arn=row.arn,
            schema_version=SCHEMA_VERSION,
            created=row.created,
            updated=row.updated,
            members={"SupportStatus": _SUPPORTED},
            document="",
            public_arn=public.content_arn(ContentType.MODEL, held["model"]),
            min_version=least,
            failure=failure,
            model=None if failure else model,
        )
        if failure or model is None:
            return told
        behind = self._of_public(model, public)
        return replace(told, members=behind.members, document=behind.document)


def _why_not(name: str, wanted: str, model: PublicModel | None, least: str | None) -> str:
    """Why a reference stands for nothing now; empty where it does not."""
    if model is None:
        return (
            f"{name} stands for the model {wanted}, which is in the catalogue no more. Register it again, or remove "
            "the reference with DeleteHubContentReference."
        )
    if least is not None and version_key(model.version) < version_key(least):
        return (
            f"{name} stands for the model {wanted} from version {least} on, and {model.version} is there. Lower "
            "MinVersion with UpdateHubContentReference."
        )
    return ""


def _check_document(text: str) -> None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"HubContentDocument: not JSON: {error}. Write one JSON object.") from error
    if not isinstance(value, dict):
        raise Invalid("HubContentDocument: JSON, but no object. Write one JSON object.")


def _shelf(hub: HubPlace, kind: ContentType) -> str:
    return f"{hub.name}/{kind}"
