"""The other end of an engine's socket: HTTP in vLLM's dialect, token ids in and out. No tensor is touched here.

One `EngineClient` serves many requests at once, on one event loop. An engine is a process that may die and come back:
whatever breaks the connection is `EngineAway`, and the caller decides whether to ask again.
"""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from outcrop.errors import Invalid, ModelFailed, NotReady

_SECONDS_TO_CONNECT = 5.0
# The first answer waits for the whole prompt to be read and for other requests before it; on a CPU that takes a while.
_SECONDS_BETWEEN_ANSWERS = 600.0


class EngineAway(NotReady):
    """The engine's process is not there, or went away while it answered."""


class UnknownAdapter(NotReady):
    """The engine does not hold this adapter: not yet, or not again since it was restarted."""


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """What one generation needs to know; with temperature 0, or the same seed, it gives the same ids again."""

    model: str
    "The base model's id, or the name of a loaded adapter."
    prompt_ids: list[int]
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int = 0
    "0 leaves the choice among all ids."
    seed: int | None = None
    stop_token_ids: tuple[int, ...] = ()


class Delta(NamedTuple):
    """Some more ids of a generation; the last one says why it ended."""

    token_ids: list[int]
    finish_reason: str | None
    "None while it goes on; `stop` after one of the stop ids, perhaps among `token_ids`; `length` after max_tokens."


class EngineClient:
    """A client of one engine; `aclose` it, or use it as an async context manager."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=str(socket), verify=False, limits=httpx.Limits(max_connections=None, max_keepalive_connections=32)
            ),
            base_url="http://engine",
            timeout=httpx.Timeout(_SECONDS_BETWEEN_ANSWERS, connect=_SECONDS_TO_CONNECT),
            trust_env=False,
        )

    async def __aenter__(self) -> "EngineClient":
        return self

    async def __aexit__(self, *_problem: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def health(self) -> bool:
        """Whether the engine is there and has its base model in memory."""
        try:
            return (await self._http.get("/health", timeout=_SECONDS_TO_CONNECT)).is_success
        except httpx.TransportError:
            return False

    async def models(self) -> list[str]:
        """The base model's id and the names of the adapters the engine holds."""
        answer = await self._send("GET", "/v1/models")
        return [entry["id"] for entry in answer.json()["data"]]

    async def load_adapter(self, name: str, path: Path) -> None:
        """Brings an adapter into the engine; nothing happens when it is there already."""
        try:
            await self._send("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})
        except Invalid as refused:
            if "already" not in refused.message:
                raise

    async def unload_adapter(self, name: str) -> None:
        """Takes an adapter out of the engine. Raises UnknownAdapter when it is not there."""
        await self._send("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """Ids as they are made. Closing the iterator closes the connection, and that aborts the generation."""
        body = _body_of(request)
        try:
            async with self._http.stream("POST", "/v1/completions", json=body) as response:
                if not response.is_success:
                    await response.aread()
                    raise _refusal(response)
                async for line in response.aiter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        yield _delta(line.removeprefix("data: "))
                    elif line == "data: [DONE]":
                        return
        except httpx.TransportError as problem:
            raise _away(problem) from problem
        raise EngineAway("The engine ended its answer in the middle. Ask again.")

    async def score(self, model: str, ids: list[int]) -> list[float]:
        """Log probabilities (nats) of ids[1:], each given all ids before it."""
        body = {"model": model, "prompt": ids, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
        answer = await self._send("POST", "/v1/completions", body)
        positions = answer.json()["choices"][0]["prompt_logprobs"]
        return [
            float(position[str(token_id)]["logprob"]) for token_id, position in zip(ids[1:], positions[1:], strict=True)
        ]

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx.TransportError as problem:
            raise _away(problem) from problem
        if not response.is_success:
            raise _refusal(response)
        return response


def _body_of(request: GenerationRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": request.model,
        "prompt": request.prompt_ids,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop_token_ids": list(request.stop_token_ids),
        "stream": True,
        "return_token_ids": True,
    }
    return body if request.seed is None else body | {"seed": request.seed}


def _delta(text: str) -> Delta:
    event = json.loads(text)
    if "error" in event:
        raise ModelFailed(f"The engine broke off: {event['error']['message']}")
    choice = event["choices"][0]
    return Delta(token_ids=choice.get("token_ids") or [], finish_reason=choice["finish_reason"])


def _away(problem: httpx.TransportError) -> EngineAway:
    return EngineAway(
        f"The engine is not there ({type(problem).__name__}). It is started again; ask again in a moment."
    )


def _refusal(response: httpx.Response) -> Exception:
    """The engine's refusal as one of ours, with the engine's own words."""
    try:
        said = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = response.text[:500]
    if response.status_code == 404:
        return UnknownAdapter(f"The engine does not hold this model: {said}")
    if response.status_code == 503:
        return EngineAway(f"The engine is not ready: {said}")
    if response.status_code < 500:
        return Invalid(f"The engine refused the request: {said}")
    return ModelFailed(f"The engine failed: {said}")
