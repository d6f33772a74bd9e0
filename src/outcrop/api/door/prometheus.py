"""GET /metrics: the state of the installation in Prometheus' text, for whoever may do `outcrop:GetMetrics` on `*`.

    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET …/metrics
    curl --oauth2-bearer API_KEY …/metrics                   as Prometheus does, which cannot sign

Counters begin with the server; what is kept over restarts are the points (`metrics/`). prometheus_client is imported
with the first request for the page: reading it takes as long as a tenth of the server's start.
"""

from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.api.door import own_signature, verification
from outcrop.api.door.health import Health
from outcrop.api.door.visit import Visit
from outcrop.errors import ServiceRefusal
from outcrop.house import House
from outcrop.protocol import routing
from outcrop.protocol.http import HttpRequest, HttpResponse
from outcrop.protocol.signing import bearer

PATH = "/metrics"
NEED = RequiredPermission(action="outcrop:GetMetrics")


def is_asked(request: HttpRequest) -> bool:
    """Whether the request is for this page; signed for S3, or presigned, the path is that of a bucket."""
    if request.method not in ("GET", "HEAD") or request.raw_path != PATH:
        return False
    if "authorization" not in request.headers:
        return not request.raw_query
    return bearer.claims(request) or routing.scope_service(request) == own_signature.SERVICE


def answer(house: House, health: Health, visit: Visit) -> HttpResponse:
    """Raises a refusal for who proves nothing, or may not."""
    request = visit.request
    if "authorization" not in request.headers:
        text = (
            "/metrics is shown to those who may do outcrop:GetMetrics. Sign the request for the service outcrop, or "
            "send an API key as a bearer token."
        )
        raise ServiceRefusal("MissingAuthenticationTokenException", text, http_status=403)
    if bearer.claims(request):
        verified, caller = verification.verify_key(house, request)
        own_signature.check_allowed(house, own_signature.call_of(visit, caller, verified.region), NEED)
    else:
        own_signature.check_signed(house, visit, NEED)
    from outcrop.api.door.prometheus_text import TYPE, text_of

    return HttpResponse(status=200, headers={"content-type": TYPE}, body=text_of(house, health))
