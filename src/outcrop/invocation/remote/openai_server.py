"""A server that speaks OpenAI's protocol: requests put to it with the key, and its refusals as ours."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from outcrop.catalog.remote_model import RemoteModel
from outcrop.errors import ModelFailed, OutcropError
from outcrop.invocation.remote import failures
from outcrop.invocation.remote.credentials import BearerKey
from outcrop.invocation.remote.https import RemoteAnswer, RemoteBroken, RemoteHttp


class OpenAiServer:
    """The server of one remote model."""

    def __init__(self, remote: RemoteModel, key: BearerKey | None, http: RemoteHttp) -> None:
        self.remote = remote
        self._http = http
        self._secrets = key.secrets if key is not None else ()
        self._headers = {"content-type": "application/json", "user-agent": "outcrop"}
        if key is not None:
            self._headers["authorization"] = f"Bearer {key.key}"

    @property
    def host(self) -> str:
        return self._http.host

    @asynccontextmanager
    async def posted(self, path: str, body: dict[str, Any]) -> AsyncGenerator[RemoteAnswer, None]:
        """The answer to a request that was taken. Raises what stands for a refusal."""
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        async with self._http.post(self.remote.url + path, self._headers, content) as response:
            if response.status != 200:
                raise await self._refusal(response)
            yield response

    async def whole(self, path: str, body: dict[str, Any]) -> bytes:
        """The body of the answer to a request. Raises as `posted`, and ModelFailed for one that breaks off."""
        async with self.posted(path, body) as response:
            try:
                return await response.read()
            except RemoteBroken as broken:
                raise ModelFailed(f"The remote model went away in the middle of its answer. {broken}") from broken

    def hidden(self, text: str) -> str:
        """A text of the server's without what it was sent in secret."""
        return failures.hidden(text, self._secrets)

    def strange(self) -> ModelFailed:
        """The error for an answer in another form than OpenAI's."""
        return ModelFailed(f"{self.host} answered in another form than OpenAI's. Is that the address of its API?")

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _refusal(self, response: RemoteAnswer) -> OutcropError:
        try:
            body = await response.read()
        except RemoteBroken:
            body = b""
        return failures.refusal(self.host, response.status, response.headers, body, self._secrets)
