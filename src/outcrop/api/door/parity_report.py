"""GET /outcrop/parity?deployment=ARN: how far a deployment's engine is from the trainer, as its gate measured it.

    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET -G --data-urlencode deployment=ARN …/outcrop/parity

It is shown to whoever may do `outcrop:GetParity` on the deployment. `outcrop deployments NAME` prints the same.
"""

import json
from urllib.parse import parse_qs

from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.api.door import own_signature
from outcrop.errors import Invalid, NotFound
from outcrop.house import House
from outcrop.protocol import routing
from outcrop.protocol.http import HttpRequest, HttpResponse

PATH = "/outcrop/parity"
ACTION = "outcrop:GetParity"


def is_asked(request: HttpRequest) -> bool:
    """Whether the request is for a report; signed for S3, the path is that of an object."""
    return (
        request.method in ("GET", "HEAD")
        and request.raw_path == PATH
        and routing.scope_service(request) == own_signature.SERVICE
    )


def answer(house: House, request: HttpRequest) -> HttpResponse:
    """Raises a refusal for who may not know, NotFound where there is no report, Invalid for no ARN."""
    from outcrop.deployments import parity_reports

    asked = parse_qs(request.raw_query).get("deployment", [])
    wanted = asked[0] if len(asked) == 1 else ""
    own_signature.check_signed(house, request, RequiredPermission(action=ACTION, resource=wanted or "*"))
    if not wanted:
        raise Invalid(f"deployment: give the ARN of one deployment: {PATH}?deployment=ARN.")
    row = house.deployments.find(wanted)
    if row is None:
        raise NotFound(f"deployment: there is none with the ARN {wanted}.")
    told = parity_reports.report_of(row)
    if told is None:
        raise NotFound(f"deployment: {parity_reports.why_none(row)}")
    headers = {"content-type": "application/json"}
    return HttpResponse(status=200, headers=headers, body=json.dumps(told).encode())
