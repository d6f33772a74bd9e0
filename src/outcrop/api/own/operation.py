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

from outcrop.access.caller import Caller
from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.api.door import own_signature
from outcrop.api.own.tasks import OwnTasks
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.protocol.http import HttpRequest, HttpResponse


class OwnCall:
    """A request for an own operation, its signature not yet verified."""

    def __init__(self, house: House, tasks: OwnTasks, request: HttpRequest) -> None:
        self.house = house
        self.tasks = tasks
        self._request = request
        self._query = parse_qs(request.raw_query)
        self.caller: Caller | None = None
        "Who proved to be its sender, and may."

    def names(self) -> list[str]:
        """The names of all values."""
        return list(self._query)

    def all(self, name: str) -> list[str]:
        """Every value of a name, in order; empty ones are none."""
        return self._query.get(name, [])

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
        need = RequiredPermission(action=action, resource=resource)
        self.caller = own_signature.check_signed(self.house, self._request, need)
        return self.caller


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
