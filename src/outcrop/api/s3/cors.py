"""S3 for pages in a browser: the preflight request (OPTIONS), and the headers that an answer needs to be read."""

from collections.abc import Mapping
from urllib.parse import unquote

from anyio import to_thread

from outcrop.api.door.visit import Visit
from outcrop.buckets import cors
from outcrop.errors import ServiceRefusal
from outcrop.house import House
from outcrop.protocol.http import HttpRequest, HttpResponse
from outcrop.protocol.serialize import request_id_headers, serialize_error
from outcrop.protocol.virtual_hosts import addressed

_NOT_ALLOWED = (
    "This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)


def is_preflight(request: HttpRequest) -> bool:
    """Browsers ask without a signature; what is signed is an operation, and none has this method."""
    return request.method == "OPTIONS" and "authorization" not in request.headers


class Preflights:
    """The entrance of browsers that ask before a request."""

    def __init__(self, house: House) -> None:
        self._house = house

    def is_asked(self, request: HttpRequest) -> bool:
        return is_preflight(request)

    async def answer(self, visit: Visit) -> HttpResponse:
        """Whether the bucket lets that page do that."""
        return await to_thread.run_sync(preflight, self._house, visit.request, visit.request_id)


def preflight(house: House, request: HttpRequest, request_id: str) -> HttpResponse:
    """Whether the bucket lets that page do that."""
    try:
        headers = _told(house, request)
    except ServiceRefusal as refusal:
        return serialize_error(
            "rest-xml",
            service="s3",
            code=refusal.code,
            message=refusal.message,
            status=refusal.http_status,
            members=refusal.members,
            request_id=request_id,
        )
    return HttpResponse(status=200, headers={**request_id_headers("rest-xml", request_id), **headers})


def headers_of_answer(house: House, request: HttpRequest) -> Mapping[str, str]:
    """The CORS headers of an answer to a page of this origin; nothing where no rule allows it."""
    origin = request.headers.get("origin")
    bucket, _ = _place(request)
    if origin is None or not bucket:
        return {}
    return cors.allowed(house.buckets.cors(bucket) or [], origin, request.method) or {}


def _told(house: House, request: HttpRequest) -> dict[str, str]:
    origin, asked = request.headers.get("origin"), request.headers.get("access-control-request-method")
    if not origin:
        raise ServiceRefusal("BadRequest", "Insufficient information. Origin request header needed.", http_status=400)
    bucket, key = _place(request)
    kind, method = "OBJECT" if key else "BUCKET", asked or "OPTIONS"
    if not bucket or not house.buckets.exists(bucket):
        raise cors.refused("Bucket not found", method, "BUCKET")
    rules = house.buckets.cors(bucket)
    if rules is None:
        raise cors.refused("CORS is not enabled for this bucket.", method, "BUCKET")
    if asked is None:
        text = "Invalid Access-Control-Request-Method: null"
        raise ServiceRefusal("BadRequest", text, http_status=400)
    listed = request.headers.get("access-control-request-headers", "").split(",")
    told = cors.allowed(rules, origin, asked, [name.strip().lower() for name in listed if name.strip()])
    if told is None:
        raise cors.refused(_NOT_ALLOWED, method, kind)
    return told


def _place(request: HttpRequest) -> tuple[str, str]:
    bucket, _, key = addressed(request).raw_path.removeprefix("/").partition("/")
    return unquote(bucket), unquote(key)
