"""The other end of an engine's socket: HTTP in vLLM's dialect, token ids in and out. No tensor is touched here.

One `EngineClient` serves many requests at once, on one event loop. An engine is a process that may die and come back:
whatever breaks the connection is `EngineAway`, and the caller decides whether to ask again.
"""

import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.errors import Invalid, ModelDamaged, ModelFailed, NotReady
from outcrop.inference import dialect, encoder_requests
from outcrop.inference.dialect import DAMAGED
from outcrop.inference.encoder_requests import EmbeddingRequest, RankingRequest, Vector
from outcrop.inference.request import Sampling, TokenLogprob
from outcrop.inference.unix_client import ConnectionBroken, UnixClient
from outcrop.inference.usage import num_cached_of

_SECONDS_TO_CONNECT = 5.0
# The first answer waits for the whole prompt to be read and for other requests before it; on a CPU that takes a while.
_SECONDS_BETWEEN_ANSWERS = 600.0


class EngineAway(NotReady):
    """The engine's process is not there, or went away while it answered."""


class UnknownAdapter(NotReady):
    """The engine does not hold this adapter: not yet, or not again since it was restarted."""


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """The parameters of one generation; with temperature 0, or the same seed, it gives the same ids again."""

    model: str
    "The base model's id, or the name of a loaded adapter."
    prompt_ids: list[int]
    max_tokens: int
    sampling: Sampling
    stop_token_ids: tuple[int, ...] = ()
    logprobs: int | None = None
    "How many of the likeliest tokens are told with each that is taken; None: no log probabilities."
    background: bool = False
    "Never slows a request of the foreground by more than a step; gives way to them, and goes on later."
    grammar: str | None = None
    """A Lark grammar in the words of llguidance (`start: %json {…}`), whose texts are the possible answers.

    On the wire it is vLLM's `structured_outputs: {"grammar": …}`.
    """


class Delta(NamedTuple):
    """Some more ids of a generation; the last one says why it ended."""

    token_ids: list[int]
    finish_reason: str | None
    "None while it goes on; `stop` after one of the stop ids, perhaps among `token_ids`; `length` after max_tokens."
    logprobs: tuple[TokenLogprob, ...] = ()
    "Of the ids, where they were asked for."
    num_cached: int = 0
    "Of the first and the last: tokens of the prompt that the engine had read before, for others."


class GreedyAnswer(NamedTuple):
    """A whole greedy generation."""

    token_ids: list[int]
    logprobs: list[float]
    "Of each of the ids, in nats."


class EngineClient:
    """A client of one engine, with a connection for each call."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._http = UnixClient(socket, connect_s=_SECONDS_TO_CONNECT)

    async def __aenter__(self) -> "EngineClient":
        return self

    async def __aexit__(self, *_problem: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Does nothing, since nothing is held between calls; other engines' clients hold connections."""

    async def health(self) -> bool:
        """Whether the engine is there and has its base model in memory."""
        try:
            answer = await self._http.request("GET", "/health", read_s=_SECONDS_TO_CONNECT)
        except ConnectionBroken:
            return False
        return answer.status == 200

    async def models(self) -> list[str]:
        """The base model's id and the names of the adapters the engine holds."""
        answer = json.loads(await self._send("GET", "/v1/models"))
        return [entry["id"] for entry in answer["data"]]

    async def dtype(self) -> str | None:
        """The dtype in which the engine computes, by torch's name; None when it does not say."""
        answer = json.loads(await self._send("GET", "/v1/models"))
        told = answer["data"][0].get("dtype")
        return None if told is None else str(told)

    async def load_adapter(self, name: str, path: Path, *, keys: str = "") -> None:
        """Brings an adapter into the engine; nothing happens when it is there already.

        `keys` are those of a sealed one (`OpenedKeys.to_text`).
        """
        opening = {"outcrop_keys": keys} if keys else {}
        try:
            await self._send("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path), **opening})
        except Invalid as refused:
            if "already" not in refused.message:
                raise

    async def unload_adapter(self, name: str) -> None:
        """Takes an adapter out of the engine. Raises UnknownAdapter when it is not there."""
        await self._send("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """Ids as they are made; the last item says why it ended.

        Closing the iterator closes the connection, and that aborts the generation.
        """
        last: Delta | None = None
        body = json.dumps(_body_of(request)).encode()
        try:
            async with self._http.stream("POST", "/v1/completions", body, read_s=_SECONDS_BETWEEN_ANSWERS) as answer:
                if answer.status != 200:
                    raise _refusal(answer.status, await answer.body())
                async with aclosing(_events(answer.pieces)) as events:
                    async for event in events:
                        if event == b"[DONE]":
                            if last is not None:
                                yield last
                            return
                        delta = _delta(event)
                        if last is not None:  # vLLM tells the usage behind the end
                            last = last._replace(num_cached=max(last.num_cached, delta.num_cached))
                        elif delta.finish_reason is not None:
                            last = delta
                        else:
                            yield delta
        except ConnectionBroken as problem:
            raise _away(problem) from problem
        raise EngineAway("The engine ended its answer in the middle. Ask again.")

    async def answer_greedily(
        self, model: str, prompts: list[list[int]], *, num_tokens: int, prompt_tokens_per_step: int | None = None
    ) -> list[GreedyAnswer]:
        """The `num_tokens` likeliest tokens after each of the prompts, which begin in one step.

        No id ends an answer.
        """
        body: dict[str, Any] = {
            "model": model, "prompt": prompts, "max_tokens": num_tokens, "temperature": 0.0, "ignore_eos": True,
            "logprobs": 0, "return_token_ids": True,
            # Whoever compares answers wants the prompt read anew, however often it was read before.
            "cache_salt": secrets.token_hex(8),
        }  # fmt: skip
        if prompt_tokens_per_step is not None:
            body["prompt_tokens_per_step"] = prompt_tokens_per_step
        choices = json.loads(await self._send("POST", "/v1/completions", body))["choices"]
        return [GreedyAnswer(choice["token_ids"], choice["logprobs"]["token_logprobs"]) for choice in choices]

    async def score(self, model: str, ids: list[int]) -> list[float]:
        """Log probabilities (nats) of ids[1:], each given all ids before it."""
        return [one.logprob for one in await self.score_tokens(model, ids)]

    async def score_tokens(self, model: str, ids: list[int], *, likeliest: int = 0) -> list[TokenLogprob]:
        """Log probabilities of ids[1:] with so many of the likeliest tokens in the place of each."""
        body = {"model": model, "prompt": ids, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": likeliest}
        answer = await self._send("POST", "/v1/completions", body)
        return dialect.prompt_logprobs_of(json.loads(answer)["choices"][0], ids, likeliest=likeliest)

    async def embed(self, request: EmbeddingRequest) -> list[Vector]:
        """A vector for each row of the request, of the network's whole width and not normalized."""
        body = encoder_requests.body_of(request.model, request.rows, hidden_states=request.hidden_states)
        return encoder_requests.vectors_of(await self._send("POST", "/v1/embeddings", body))

    async def rank(self, request: RankingRequest) -> list[float]:
        """The relevance of each row of the request, between 0 and 1."""
        body = encoder_requests.body_of(request.model, request.rows)
        return encoder_requests.scores_of(await self._send("POST", "/v1/score", body))

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = await self._http.request(method, path, content, read_s=_SECONDS_BETWEEN_ANSWERS)
        except ConnectionBroken as problem:
            raise _away(problem) from problem
        if answer.status != 200:
            raise _refusal(answer.status, answer.body)
        return answer.body


async def _events(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The data of server-sent events, however the connection cuts them."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                yield line.removeprefix(b"data: ").rstrip(b"\r")


def _body_of(request: GenerationRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": request.model,
        "prompt": request.prompt_ids,
        "max_tokens": request.max_tokens,
        **dialect.sampling_fields(request.sampling),
        "stop_token_ids": list(request.stop_token_ids),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_token_ids": True,
    }
    if request.background:
        body["priority"] = dialect.BACKGROUND
    if request.grammar is not None:
        body["structured_outputs"] = {"grammar": request.grammar}
    if request.logprobs is not None:
        body |= {"logprobs": request.logprobs, "return_tokens_as_token_ids": True}
    return body


def _delta(text: bytes) -> Delta:
    event = json.loads(text)
    if "error" in event:
        raise ModelFailed(f"The engine broke off: {event['error']['message']}")
    num_cached = num_cached_of(event)
    if not event["choices"]:  # vLLM tells the usage in an event of its own
        return Delta([], None, num_cached=num_cached)
    choice = event["choices"][0]
    ids = choice.get("token_ids") or []
    return Delta(ids, choice["finish_reason"], dialect.logprobs_of(choice), num_cached)


def _away(problem: ConnectionBroken) -> EngineAway:
    return EngineAway(f"The engine is not there ({problem}). It is started again; ask again in a moment.")


def _refusal(status: int, body: bytes) -> Exception:
    """The engine's refusal as one of ours, with the engine's own words."""
    try:
        said = str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = body[:500].decode(errors="replace")
    if status == 404:
        return UnknownAdapter(f"The engine does not hold this model: {said}")
    if status == 503:
        return EngineAway(f"The engine is not ready: {said}")
    if status == DAMAGED:
        return ModelDamaged(said)
    if status < 500:
        return Invalid(f"The engine refused the request: {said}")
    return ModelFailed(f"The engine failed: {said}")
