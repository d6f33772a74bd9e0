"""Access to Outcrop's own pages: a signature for the service `outcrop`, and the right to the page's action on `*`."""

from outcrop.access.caller import Caller
from outcrop.access.decisions import refused
from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.access.policies.evaluation import Decision
from outcrop.access.request_context import circumstances
from outcrop.api.door.call import Call
from outcrop.api.door.visit import Visit
from outcrop.house import House
from outcrop.protocol.signing import sigv4

SERVICE = "outcrop"
PROTOCOL = "rest-json"


def check_signed(house: House, visit: Visit, need: RequiredPermission) -> Call:
    """The call of the caller who signed. Raises a refusal for a signature that is wrong, or one of somebody who may
    not."""
    call = signed(house, visit)
    check_allowed(house, call, need)
    return call


def signed(house: House, visit: Visit) -> Call:
    """The call of the caller who signed. Raises a refusal for a signature that is wrong."""
    signature = sigv4.read(visit.request, protocol=PROTOCOL)
    credential = house.access.secret_for(signature.key_id)
    now = house.clock.now()
    verified = sigv4.verify(signature, credential, visit.request, protocol=PROTOCOL, service=SERVICE, now=now)
    assert credential is not None, "verify refuses unknown keys"
    return call_of(visit, credential.caller, verified.region)


def call_of(visit: Visit, caller: Caller, region: str) -> Call:
    """A request as access control reads it: by whom, from where and how."""
    return Call(
        service=SERVICE,
        operation=visit.page,
        params={},
        caller=caller,
        region=region,
        request_id=visit.request_id,
        headers=visit.request.headers,
        source_ip=visit.source_ip,
        secure=visit.secure,
        started=visit.started,
    )


def check_allowed(house: House, call: Call, need: RequiredPermission) -> None:
    """Raises Denied for somebody who may not, or may not from there."""
    verdict = house.access.decisions.of_caller(call.caller, need, circumstances(call))
    if verdict.decision is not Decision.ALLOWED:
        raise refused(call.caller, need, verdict)
