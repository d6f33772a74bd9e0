"""An operation of Outcrop's own, under `/outcrop/`: what AWS has no operation for, signed like the others.

    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET -G --data-urlencode job=ARN …/outcrop/losses

All values stand in the query; the answer is JSON. An operation asks for its permission by itself, since only it knows
about which resource; without having asked it, it has no caller.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from outcrop import arn as arns
from outcrop.access.caller import Caller
from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.api.bedrock import model_keys
from outcrop.api.door import object_keys, own_signature
from outcrop.api.door.call import Call
from outcrop.api.door.visit import Visit
from outcrop.api.own.tasks import OwnTasks
from outcrop.buckets.encryption import ObjectEncryption
from outcrop.buckets.names import Place
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.keys.envelopes import WrappedKey
from outcrop.protocol.http import HttpResponse


class OwnCall:
    """A request for an own operation, its signature not yet verified."""

    def __init__(self, house: House, tasks: OwnTasks, visit: Visit) -> None:
        self.house = house
        self.tasks = tasks
        self._visit = visit
        self._query = parse_qs(visit.request.raw_query)
        self.proven: Call | None = None
        "The request as access control reads it, once its sender has proved to be somebody who may."

    def names(self) -> list[str]:
        """The names of all values."""
        return list(self._query)

    def all(self, name: str) -> list[str]:
        """Every value of a name, in order; empty ones are none. Raises Invalid for one that no command can take."""
        found = self._query.get(name, [])
        if any("\0" in each for each in found):
            raise Invalid(f"{name}: it holds the character NUL, a character that no text has. Leave it out.")
        return found

    def one(self, name: str) -> str:
        """The value of a name, empty where it is not given. Raises Invalid for several."""
        found = self.all(name)
        if len(found) > 1:
            raise Invalid(f"{name}: {len(found)} values. Give one.")
        return found[0] if found else ""

    def number(self, name: str, *, otherwise: int) -> int:
        """A whole number. Raises Invalid for anything else."""
        text = self.one(name)
        try:
            return int(text) if text else otherwise
        except ValueError as error:
            raise Invalid(f"{name}: {text!r} is no whole number.") from error

    def allowed(self, action: str, resource: str = "*") -> Caller:
        """The caller, who signed this very request and may do this. Raises Denied, and refusals of signatures."""
        self.proven = own_signature.signed(self.house, self._visit)
        self.demand(action, resource)
        return self.proven.caller

    def demand(self, action: str, resource: str) -> None:
        """Raises Denied where the caller may not do this for the operation."""
        self.touches(resource)
        own_signature.check_allowed(self.house, self._as_proven(), RequiredPermission(action=action, resource=resource))

    def demand_key(self, operation: str, encryption: ObjectEncryption | None, place: Place) -> None:
        """Raises Denied where the caller may not use the key of KMS that seals an object at this place."""
        object_keys.check_key(self.house, self._as_proven(), operation, encryption, place)

    def demand_sealing_key(self, wrapped: WrappedKey | None) -> None:
        """Raises Denied where the caller may not use the key of KMS that seals a job and its model."""
        model_keys.demand(self.house, self._as_proven(), wrapped)

    def touches(self, resource: str) -> None:
        """Name a resource in the audit's entry, as the permissions of a service's call name theirs."""
        if arns.is_arn(resource) and not resource.endswith("*"):
            self._visit.touched = tuple(dict.fromkeys((*self._visit.touched, resource)))

    def _as_proven(self) -> Call:
        assert self.proven is not None, "its signature was verified first"
        return self.proven


@dataclass(frozen=True, kw_only=True)
class OwnOperation:
    """A line of the table: by which method and path it is asked for, and the function that answers."""

    name: str
    method: str
    path: str
    answer: Callable[[OwnCall], Any]
    "Returns what becomes JSON, or JSON already, as bytes."


def response_of(told: Any) -> HttpResponse:
    """The answer of an operation."""
    body = told if isinstance(told, bytes) else json.dumps(told, ensure_ascii=False).encode()
    return HttpResponse(status=200, headers={"content-type": "application/json"}, body=body)
