"""Headers that let pages in a browser ask, from any origin, as OpenAI's own.

A key is needed all the same, and no browser sends one by itself.
"""

from outcrop.protocol.http import HttpRequest, HttpResponse
from outcrop.protocol.serialize import request_id_headers
from outcrop.protocol.unbuilt import OPENAI

_METHODS = "GET, POST, DELETE, OPTIONS"
_AGE_S = "600"
_EXPOSED = (
    "x-request-id, retry-after, retry-after-ms, openai-processing-ms, x-ratelimit-limit-requests, "
    "x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, "
    "x-ratelimit-reset-requests, x-ratelimit-reset-tokens"
)


def is_preflight(request: HttpRequest) -> bool:
    """Browsers ask without a key before a request that has one."""
    return request.method == "OPTIONS"


def preflight(request: HttpRequest, request_id: str) -> HttpResponse:
    """Allow any page to ask; whether it is answered, its key decides."""
    wanted = request.headers.get("access-control-request-headers", "authorization, content-type")
    headers = {
        **request_id_headers(OPENAI, request_id),
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": wanted,
        "Access-Control-Max-Age": _AGE_S,
    }
    return HttpResponse(status=200, headers=headers)


def headers_of_answer() -> dict[str, str]:
    """The headers by which a page may read an answer."""
    return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}
