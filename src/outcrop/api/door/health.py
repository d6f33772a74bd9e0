"""GET /health: everybody hears whether all is well, and nothing else; who signs for it and may, hears the details.

    curl http://127.0.0.1:4580/health                                        {"status": "ok"}
    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET …/health  the state of each part, too

The signature is for the service `outcrop`, and the right is `outcrop:GetHealth` on `*`.
"""

import json
from collections.abc import Callable
from typing import Any

from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.api.door import own_signature
from outcrop.api.door.visit import Visit
from outcrop.house import House
from outcrop.protocol import routing
from outcrop.protocol.http import HttpRequest, HttpResponse

PATH = "/health"
NEED = RequiredPermission(action="outcrop:GetHealth")
Health = Callable[[], dict[str, Any]]
"The state of each part, as JSON; `status` is `ok` while all is well."


def well() -> dict[str, Any]:
    """The health of a door by itself, which has no parts."""
    return {"status": "ok"}


def is_asked(request: HttpRequest) -> bool:
    """Whether the request is for the state of the house; signed for S3, the path is that of a bucket."""
    if request.method not in ("GET", "HEAD") or request.raw_path != PATH:
        return False
    return _is_plain(request) or routing.scope_service(request) == own_signature.SERVICE


def answer(house: House, health: Health, visit: Visit) -> HttpResponse:
    """Raises a refusal for a signature that is wrong, or one of somebody who may not know."""
    if not _is_plain(visit.request):
        own_signature.check_signed(house, visit, NEED)
        told = health()
        return _said(told, all_is_well=told["status"] == "ok")
    all_is_well = health()["status"] == "ok"
    return _said({"status": "ok" if all_is_well else "not ok"}, all_is_well=all_is_well)


def _is_plain(request: HttpRequest) -> bool:
    return "authorization" not in request.headers and not request.raw_query


def _said(told: dict[str, Any], *, all_is_well: bool) -> HttpResponse:
    headers = {"content-type": "application/json"}
    return HttpResponse(status=200 if all_is_well else 503, headers=headers, body=json.dumps(told).encode())
