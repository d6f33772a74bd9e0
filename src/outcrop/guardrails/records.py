"""Guardrails on record: made, changed, numbered, listed and deleted.

A guardrail is known by its id, never by its name: names belong to whoever gives them. Its draft is one row, and each
numbered version another, which never changes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from outcrop import arn as arns
from outcrop.clock import Clock
from outcrop.errors import Conflict, NotFound, QuotaExceeded
from outcrop.guardrails.states import DRAFT, KIND, MOST_GUARDRAILS, MOST_VERSIONS, VERSION, GuardrailStatus
from outcrop.store.changing import Change, change
from outcrop.store.listing import Filters
from outcrop.store.resources import Page, Resource
from outcrop.store.store import Store


class GuardrailVersion(NamedTuple):
    """A guardrail as it stands in one of its versions."""

    id: str
    arn: str
    version: str
    status: str
    created: datetime
    updated: datetime
    document: dict[str, Any]


class Guardrails:
    """The guardrails of an installation, in every region."""

    def __init__(self, store: Store, clock: Clock, account: str) -> None:
        self._store = store
        self._clock = clock
        self._account = account

    def create(self, document: Mapping[str, Any], *, region: str, tags: Mapping[str, str]) -> GuardrailVersion:
        """Put a guardrail on record. Raises Conflict when another has its name, QuotaExceeded."""
        identifier, now = arns.new_id(), self._clock.now()
        arn = arns.bedrock(region, self._account, f"guardrail/{identifier}")
        row = Resource(
            arn=arn,
            kind=KIND,
            region=region,
            name=identifier,
            status=GuardrailStatus.READY,
            created=now,
            updated=now,
            document={**document, "lastVersion": 0},
        )
        with self._store.transaction():
            if self._store.resources.count_in(KIND, region) >= MOST_GUARDRAILS:
                raise QuotaExceeded(f"There are {MOST_GUARDRAILS} guardrails in {region} already. Delete some.")
            self._check_name(document["name"], region=region, own=None)
            self._store.resources.add(row)
            self._store.tags.put(arn, tags)
        return draft_of(row)

    def update(self, arn: str, document: Mapping[str, Any]) -> GuardrailVersion:
        """Give the draft a new configuration. Raises NotFound, Conflict."""
        with self._store.transaction():
            row = self._row(arn)
            self._check_name(document["name"], region=row.region, own=arn)
            kept = {**document, "lastVersion": row.document["lastVersion"]}
            return draft_of(
                change(self._store.resources, arn, at=self._clock.now(), decide=lambda _: Change(None, kept))
            )

    def number(self, arn: str, description: str | None) -> str:
        """Make a numbered version of the draft as it is. Raises NotFound, QuotaExceeded."""
        with self._store.transaction():
            row = self._row(arn)
            if self._store.resources.count_in(VERSION, row.region, _of(arn)) >= MOST_VERSIONS:
                raise QuotaExceeded(f"The guardrail has {MOST_VERSIONS} versions already. Delete some.")
            number, now = row.document["lastVersion"] + 1, self._clock.now()
            document = {
                name: value for name, value in row.document.items() if name not in ("lastVersion", "description")
            }
            document |= {"guardrail": arn, "version": number}
            if description:
                document["description"] = description
            self._store.resources.add(
                Resource(
                    arn=f"{arn}:{number}",
                    kind=VERSION,
                    region=row.region,
                    name=None,
                    status=GuardrailStatus.READY,
                    created=now,
                    updated=now,
                    document=document,
                )
            )
            counted = {**row.document, "lastVersion": number}
            change(self._store.resources, arn, at=row.updated, decide=lambda _: Change(None, counted))
        return str(number)

    def get(self, arn: str, version: str = DRAFT) -> GuardrailVersion:
        """A guardrail in one of its versions. Raises NotFound."""
        draft = self._row(arn)
        if version == DRAFT:
            return draft_of(draft)
        row = self._store.resources.get(f"{arn}:{version}")
        if row is None or row.kind != VERSION:
            raise NotFound(f"The guardrail {arn} has no version {version}. ListGuardrails tells those that it has.")
        return _numbered(row)

    def versions(self, arn: str) -> list[GuardrailVersion]:
        """The draft, and then the numbered versions, the newest first. Raises NotFound."""
        draft = self._row(arn)
        found = self._store.resources.list(VERSION, draft.region, filters=_of(arn), max_results=MOST_VERSIONS)
        return [draft_of(draft), *sorted(map(_numbered, found.items), key=lambda each: -int(each.version))]

    def page(self, *, region: str, most: int, token: str | None) -> Page:
        """The drafts of a region, the newest first."""
        return self._store.resources.list(KIND, region, max_results=most, token=token)

    def delete(self, arn: str, version: str | None) -> None:
        """Delete one version, or the guardrail with all of them. Raises NotFound."""
        with self._store.transaction():
            if version is not None:
                self._store.resources.remove(f"{self.get(arn, version).arn}:{version}")
                return
            for each in self.versions(arn)[1:]:
                self._store.resources.remove(f"{arn}:{each.version}")
            self._store.resources.remove(arn)
            self._store.tags.clear(arn)

    def _row(self, arn: str) -> Resource:
        row = self._store.resources.get(arn)
        if row is None or row.kind != KIND:
            raise no_guardrail(arn)
        return row

    def _check_name(self, name: str, *, region: str, own: str | None) -> None:
        taken = self._store.resources.list(KIND, region, filters=Filters(equals={"name": name}), max_results=1).items
        if taken and taken[0].arn != own:
            raise Conflict(f"Another guardrail in your account has the name {name}. Choose another name.")


def no_guardrail(identifier: str) -> NotFound:
    return NotFound(f"The guardrail {identifier} was not found. ListGuardrails tells those that there are.")


def _of(arn: str) -> Filters:
    return Filters(equals={"guardrail": arn})


def draft_of(row: Resource) -> GuardrailVersion:
    """The draft that a row is."""
    identifier = row.arn.rpartition("/")[2]
    return GuardrailVersion(identifier, row.arn, DRAFT, row.status, row.created, row.updated, row.document)


def _numbered(row: Resource) -> GuardrailVersion:
    arn, _, number = row.arn.rpartition(":")
    identifier = arn.rpartition("/")[2]
    return GuardrailVersion(identifier, arn, number, row.status, row.created, row.updated, row.document)
