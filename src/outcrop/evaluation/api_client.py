"""A client of the API for evaluations: OpenAI's door over plain HTTP, many requests at once, and boto3 beside it.

What passes (an engine that is being started, a quota that is used up) is waited for.
"""

import asyncio
import json
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpcore

from outcrop.errors import Denied, Invalid, MachineTrouble, ModelFailed, NotFound, NotReady, OutcropError, Throttled
from outcrop.settings import DEFAULT_REGION

_SECONDS_TO_CONNECT = 10.0
_SECONDS_TO_ANSWER = 600.0
_PATIENCE_S = 900.0
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_MOST_FAILURES = 3
"Times that a model may break over one question before that question has no answer."
_REFUSALS: dict[int, type[OutcropError]] = {401: Denied, 403: Denied, 404: NotFound, 503: NotReady}
_UNREACHABLE = (httpcore.ConnectError, httpcore.ConnectTimeout)
_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


@dataclass(frozen=True, kw_only=True)
class ApiAddress:
    """Where the API answers, and the key that opens it."""

    endpoint: str
    key: str
    "ACCESS_KEY_ID:SECRET_ACCESS_KEY, or a key of Bedrock's."
    client: Callable[[str], Any]
    "Makes a boto3 client of a service there."
    region: str = DEFAULT_REGION
    trusted: str | None = None
    "A file of certificates to trust beside those that everybody does, for an endpoint with TLS."


def address_of_environment() -> ApiAddress:
    """The address that `outcrop env` prints, from the environment. Raises MachineTrouble where it is not there."""
    try:
        endpoint = os.environ["AWS_ENDPOINT_URL"]
        key_id, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    except KeyError as missing:
        raise MachineTrouble(
            f"{missing.args[0]}: not in the environment. Export what `outcrop env` prints, or start the program with "
            "`outcrop run -- python PROGRAM`."
        ) from missing
    token, region = os.environ.get("AWS_SESSION_TOKEN"), os.environ.get("AWS_DEFAULT_REGION", DEFAULT_REGION)

    def client(service: str) -> Any:
        import boto3

        return boto3.client(service, endpoint_url=endpoint, region_name=region)

    key = ":".join([key_id, secret, *([token] if token else [])])
    trusted = os.environ.get("AWS_CA_BUNDLE")
    return ApiAddress(endpoint=endpoint.rstrip("/"), key=key, client=client, region=region, trusted=trusted)


@dataclass
class ApiClient:
    """Requests to one installation; `aclose` it. For one event loop."""

    address: ApiAddress
    sleep: Callable[[float], Any] = asyncio.sleep
    _pool: httpcore.AsyncConnectionPool = field(init=False)
    _clients: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        context = ssl.create_default_context() if self.address.endpoint.startswith("https:") else None
        if context is not None and self.address.trusted:
            context.load_verify_locations(self.address.trusted)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context, max_connections=None, max_keepalive_connections=64
        )

    async def aclose(self) -> None:
        await self._pool.aclose()

    def client(self, service: str) -> Any:
        """The boto3 client of a service, made once."""
        if service not in self._clients:
            self._clients[service] = self.address.client(service)
        return self._clients[service]

    async def get(self, path: str) -> dict[str, Any]:
        """The answer of a path below /v1. Raises as `post`."""
        return await self._patiently("GET", path, b"")

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a body, waited for. Raises Invalid, NotFound, Denied, ModelFailed, MachineTrouble."""
        return await self._patiently("POST", path, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))

    async def model(self, name: str) -> dict[str, Any]:
        """The facts that the API tells of a model by its name, id or ARN. Raises NotFound."""
        return await self.get(f"/models/{quote(name, safe='/:')}")

    async def _patiently(self, method: str, path: str, content: bytes) -> dict[str, Any]:
        ends, failures, pauses = time.monotonic() + _PATIENCE_S, 0, 0
        while True:
            try:
                return await self._once(method, path, content)
            except ModelFailed:
                failures += 1
                if failures == _MOST_FAILURES:
                    raise
                pause = _PAUSES_S[1]
            except (NotReady, Throttled) as passing:
                pause = passing.retry_after_s if isinstance(passing, Throttled) else _pause(pauses)
                pauses += 1
                if time.monotonic() + pause > ends:
                    raise
            await self.sleep(pause)

    async def _once(self, method: str, path: str, content: bytes) -> dict[str, Any]:
        headers = [(b"authorization", f"Bearer {self.address.key}".encode()), (b"content-type", b"application/json")]
        timeout = {"connect": _SECONDS_TO_CONNECT, "read": _SECONDS_TO_ANSWER, "write": _SECONDS_TO_ANSWER}
        try:
            answer = await self._pool.request(
                method, f"{self.address.endpoint}/v1{path}", headers=headers, content=content,
                extensions={"timeout": timeout},
            )  # fmt: skip
        except _UNREACHABLE as problem:
            raise MachineTrouble(
                f"{self.address.endpoint}: nothing answers there. `outcrop up` starts it; what was answered is kept."
            ) from problem
        except _BROKEN as problem:
            raise NotReady(f"The server hung up ({type(problem).__name__}). Ask again in a moment.") from problem
        if answer.status == 200:
            return dict(json.loads(answer.content))
        raise _refusal(answer)


def _pause(number: int) -> float:
    return _PAUSES_S[min(number, len(_PAUSES_S) - 1)]


def _refusal(answer: httpcore.Response) -> OutcropError:
    try:
        said = str(json.loads(answer.content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = answer.content[:500].decode(errors="replace")
    status = answer.status
    if status == 429:
        return Throttled(said, retry_after_s=_retry_after_s(answer))
    if status in (424, 500) or (status > 500 and status != 503):
        return ModelFailed(said)
    return _REFUSALS.get(status, Invalid)(said)


def _retry_after_s(answer: httpcore.Response) -> float:
    told = next((value.decode() for name, value in answer.headers if name.lower() == b"retry-after"), "")
    return float(told) if told.replace(".", "", 1).isdecimal() else 1.0
