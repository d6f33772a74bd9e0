"""The table of OpenAI's endpoints that are served, by area, and the names of those that are not.

An area's handlers are imported when it is first asked for, as those of AWS's services are.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache

from outcrop.api.openai import refusals
from outcrop.api.openai.endpoint import Endpoint
from outcrop.protocol.http import HttpRequest

_PATH = re.compile(r"/(?P<prefix>openai/)?v1(?P<below>(?:/.*)?)")
_UNBUILT = {
    "assistants": "assistants",
    "audio": "audio endpoints",
    "batch": "batches",
    "batches": "batches",
    "chatkit": "ChatKit endpoints",
    "containers": "containers",
    "conversations": "conversations",
    "edits": "edits",
    "engines": "engines",
    "evals": "evals",
    "images": "images",
    "moderations": "moderations",
    "organization": "administration endpoints",
    "projects": "administration endpoints",
    "realtime": "realtime endpoints",
    "skills": "skills",
    "threads": "threads",
    "uploads": "uploads in parts",
    "vector_stores": "vector stores",
    "videos": "videos",
}
"Areas of OpenAI's API that are not served, and their names in the plural."


def claims(request: HttpRequest) -> bool:
    """Whether a request is one of OpenAI's clients, or of a browser that asks for such a one."""
    found = _PATH.fullmatch(request.raw_path)
    if found is None:
        return False
    authorization = request.headers.get("authorization", "")
    if authorization.startswith("Bearer "):
        return True
    if authorization or "X-Amz-Credential=" in request.raw_query or "AWSAccessKeyId=" in request.raw_query:
        return False  # signed, so AWS's
    # A name of two characters is no bucket's. `openai` may be one, so there the key that it asks for must tell.
    asks_with_key = "authorization" in request.headers.get("access-control-request-headers", "").lower()
    return found["prefix"] is None or (request.method == "OPTIONS" and asks_with_key)


def find(request: HttpRequest) -> tuple[Endpoint, str]:
    """The endpoint asked for, and the label in its path. Raises what tells why there is none."""
    found = _PATH.fullmatch(request.raw_path)
    assert found is not None, "only what is claimed is looked for"
    method, below = request.method, found["below"].rstrip("/")
    shown = request.raw_path[:200]
    area = below[1:].partition("/")[0]
    if area in _UNBUILT:
        raise refusals.unbuilt(method, shown, _UNBUILT[area])
    endpoints = _AREAS[area]() if area in _AREAS else ()
    matching = [(each, label) for each in endpoints if (label := each.label(below)) is not None]
    if not matching:
        raise refusals.no_url(method, shown)
    for endpoint, label in matching:
        if endpoint.method == method:
            return endpoint, label
    raise refusals.no_method(method, shown, sorted({each.method for each, _ in matching}))


@cache
def _chat() -> Sequence[Endpoint]:
    from outcrop.api.openai import chat

    return chat.ENDPOINTS


@cache
def _completions() -> Sequence[Endpoint]:
    from outcrop.api.openai import completions

    return completions.ENDPOINTS


@cache
def _embeddings() -> Sequence[Endpoint]:
    from outcrop.api.openai import embeddings

    return embeddings.ENDPOINTS


@cache
def _models() -> Sequence[Endpoint]:
    from outcrop.api.openai import models

    return models.ENDPOINTS


@cache
def _responses() -> Sequence[Endpoint]:
    from outcrop.api.openai import responses

    return responses.ENDPOINTS


@cache
def _files() -> Sequence[Endpoint]:
    from outcrop.api.openai import files

    return files.ENDPOINTS


@cache
def _fine_tuning() -> Sequence[Endpoint]:
    from outcrop.api.openai import fine_tuning

    return fine_tuning.ENDPOINTS


_AREAS: dict[str, Callable[[], Sequence[Endpoint]]] = {
    "chat": _chat,
    "completions": _completions,
    "embeddings": _embeddings,
    "models": _models,
    "responses": _responses,
    "files": _files,
    "fine_tuning": _fine_tuning,
}
