"""The hubs of an installation: the public one of every region, and those that the account has made."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from outcrop.clock import Clock
from outcrop.errors import Invalid
from outcrop.loops import each
from outcrop.sagemaker.hub.contents import HubContents
from outcrop.sagemaker.hub.places import PUBLIC, HubPlace, hub_named
from outcrop.sagemaker.hub.refusals import in_use, not_found
from outcrop.store.damage import understood
from outcrop.store.resources import NameTaken, Resource
from outcrop.store.store import Store

KIND = "hub"
IN_SERVICE = "InService"
_CHANGEABLE = ("HubDescription", "HubDisplayName", "HubSearchKeywords")
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_log = logging.getLogger("outcrop.hub")
_PUBLIC_MEMBERS = {
    "HubDisplayName": PUBLIC,
    "HubDescription": "The foundation models of this installation's catalogue whose weights are here.",
}


@dataclass(frozen=True, kw_only=True)
class HubRecord:
    """A hub on record, or the public one."""

    place: HubPlace
    created: datetime
    updated: datetime
    members: Mapping[str, Any]


class Hubs:
    """The hubs of every region."""

    def __init__(self, store: Store, clock: Clock, contents: HubContents, account: str) -> None:
        self._store = store
        self._clock = clock
        self._account = account
        self.contents = contents

    def place(self, identifier: str, region: str) -> HubPlace:
        """The hub that a name or an ARN means, which is there. Raises ResourceNotFound."""
        return self.find(identifier, region).place

    def writable(self, identifier: str, region: str) -> HubPlace:
        """The hub that a name or an ARN means, to be changed. Raises ResourceNotFound, Invalid for the public one."""
        place = self.place(identifier, region)
        if place.is_public:
            raise Invalid(
                f"HubName: {PUBLIC} follows the catalogue, and is read only. `outcrop register` adds models to that; "
                "make a hub of your own with CreateHub."
            )
        return place

    def find(self, identifier: str, region: str) -> HubRecord:
        """Raises ResourceNotFound."""
        place = hub_named(identifier, region=region, account=self._account)
        if place.is_public:
            return HubRecord(place=place, created=_BEGINNING, updated=_BEGINNING, members=_PUBLIC_MEMBERS)
        row = self._store.resources.find(KIND, region, place.name)
        if row is None:
            raise not_found(f"Hub {place.name} does not exist in {region}. CreateHub makes one; ListHubs tells them.")
        return self._of_row(row)

    def all(self, region: str) -> list[HubRecord]:
        """Every hub of a region, in no order."""
        rows = self._store.resources.in_states(KIND, [IN_SERVICE])
        here = [row for row in rows if row.region == region]
        return [self.find(PUBLIC, region), *each(here, self._of_row, log=_log, name=lambda row: row.arn)]

    def create(self, params: Mapping[str, Any], *, region: str, tags: Mapping[str, str]) -> str:
        """Make a hub; returns its ARN. Raises ResourceInUse."""
        place = HubPlace(name=params["HubName"], region=region, account=self._account)
        taken = f"Hub {place.name} exists in {region} already. Choose another name."
        if place.is_public:
            raise in_use(taken)
        now = self._clock.now()
        members = {member: params[member] for member in (*_CHANGEABLE, "S3StorageConfig") if member in params}
        row = Resource(
            arn=place.arn,
            kind=KIND,
            region=region,
            name=place.name,
            status=IN_SERVICE,
            created=now,
            updated=now,
            document={"members": members},
        )
        try:
            with self._store.transaction():
                self._store.resources.add(row)
                self._store.tags.put(row.arn, tags)
        except NameTaken as error:
            raise in_use(taken) from error
        return place.arn

    def change(self, place: HubPlace, params: Mapping[str, Any]) -> None:
        """Change what is said of a hub."""
        row = self._store.resources.get(place.arn)
        if row is None:
            raise not_found(f"Hub {place.name} was removed meanwhile.")
        changed = {member: params[member] for member in _CHANGEABLE if member in params}
        members = {**row.document["members"], **changed}
        self._store.resources.replace(row, document={**row.document, "members": members}, at=self._clock.now())

    def remove(self, place: HubPlace) -> None:
        """Remove a hub. Raises ResourceInUse for one that still holds something."""
        with self._store.transaction():
            left = self.contents.number_in(place)
            if left:
                raise in_use(
                    f"Hub {place.name} still holds {left} contents. Remove them first, with DeleteHubContent and "
                    "DeleteHubContentReference."
                )
            self._store.resources.remove(place.arn)
            self._store.tags.clear(place.arn)

    def _of_row(self, row: Resource) -> HubRecord:
        """Raises Damaged."""
        place = HubPlace(name=row.name or "", region=row.region, account=self._account)
        with understood(row.arn):
            return HubRecord(
                place=place, created=row.created, updated=row.updated, members=dict(row.document["members"])
            )
