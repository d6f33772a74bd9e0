"""Access to Outcrop's own pages: a signature for the service `outcrop`, and the right to the page's action on `*`."""

from outcrop.access.caller import Caller
from outcrop.access.decisions import refused
from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.access.policies.evaluation import Decision
from outcrop.house import House
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.signing import sigv4

SERVICE = "outcrop"
PROTOCOL = "rest-json"


def check_signed(house: House, request: HttpRequest, need: RequiredPermission) -> Caller:
    """The caller who signed. Raises a refusal for a signature that is wrong, or one of somebody who may not."""
    signed = sigv4.read(request, protocol=PROTOCOL)
    credential = house.access.secret_for(signed.key_id)
    now = house.clock.now()
    verified = sigv4.verify(signed, credential, request, protocol=PROTOCOL, service=SERVICE, now=now)
    assert credential is not None, "verify refuses unknown keys"
    check_allowed(house, credential.caller, need, region=verified.region)
    return credential.caller


def check_allowed(house: House, caller: Caller, need: RequiredPermission, *, region: str) -> None:
    """Raises Denied for somebody who may not."""
    verdict = house.access.decisions.of_caller(caller, need, {"aws:RequestedRegion": region})
    if verdict.decision is not Decision.ALLOWED:
        raise refused(caller, need, verdict)
