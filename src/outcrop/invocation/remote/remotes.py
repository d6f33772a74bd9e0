"""The remote models of an installation: who speaks to each, with its credentials, while the administrator allows it."""

import threading
from typing import NamedTuple

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.engines.orders import Engines
from outcrop.errors import Denied, Invalid
from outcrop.invocation.admission import Allowance
from outcrop.invocation.remote.bedrock import BedrockEngine, BedrockRelay
from outcrop.invocation.remote.credentials import BearerKey, RemoteCredentials, RemoteKey
from outcrop.invocation.remote.https import RemoteHttp
from outcrop.invocation.remote.openai import OpenAiEngine
from outcrop.invocation.remote.openai_encoder import OpenAiEncoder
from outcrop.invocation.remote.openai_server import OpenAiServer
from outcrop.invocation.target import EncoderTarget, RemoteTarget, TextEngine
from outcrop.network.model_task import ModelTask


class _Opened(NamedTuple):
    """A remote model in use, and what it was opened with."""

    remote: RemoteModel
    key: RemoteKey | None
    engine: TextEngine
    relay: BedrockRelay | None = None
    encoder: OpenAiEncoder | None = None


class Remotes:
    """Speaks to remote models; `aclose` ends all connections. For one event loop; targets are found in threads."""

    def __init__(self, credentials: RemoteCredentials, engines: Engines, *, allowed: bool) -> None:
        """`allowed`: whether anything may leave this installation at all."""
        self._credentials = credentials
        self._engines = engines
        self._allowed = allowed
        self._opened: dict[str, _Opened] = {}
        self._left: list[TextEngine] = []
        self._lock = threading.Lock()

    def target(self, model_id: str, base: BaseModel, allowance: Allowance) -> RemoteTarget | EncoderTarget:
        """The target of a remote model, whose use is noted. Nothing is sent. Raises Denied, Invalid, ModelFailed."""
        assert base.remote is not None, "the entry of a remote model"
        self._check_allowed(base)
        self._engines.order(base)
        opened = self._open(base, base.remote)
        if base.task is not ModelTask.TEXT and opened.relay is None:
            return _encoder(model_id, base, base.remote, opened, allowance)
        return RemoteTarget(
            model_id=model_id,
            base_id=base.id,
            engine=opened.engine,
            relay=opened.relay,
            host=base.remote.host,
            dialect=base.dialect,
            allowance=allowance,
        )

    async def aclose(self) -> None:
        for engine in (*self._left, *(each.engine for each in self._opened.values())):
            await engine.aclose()

    def _check_allowed(self, base: BaseModel) -> None:
        if not self._allowed:
            raise Denied(
                f"{base.id} is a remote model, and this installation sends nothing out (OUTCROP_REMOTE_MODELS=0). Name "
                "a model of this machine."
            )

    def _open(self, base: BaseModel, remote: RemoteModel) -> _Opened:
        key = self._credentials.of(base)
        with self._lock:
            found = self._opened.get(base.id)
            if found is None or (found.remote, found.key) != (remote, key):
                if found is not None:
                    self._left.append(found.engine)  # its last requests go on
                found = self._opened[base.id] = _new(remote, key)
            return found


def _new(remote: RemoteModel, key: RemoteKey | None) -> _Opened:
    http = RemoteHttp(remote.host)
    if remote.api is RemoteApi.OPENAI:
        assert key is None or isinstance(key, BearerKey), "keys of AWS are for Bedrock"
        server = OpenAiServer(remote, key, http)
        return _Opened(remote, key, OpenAiEngine(server), encoder=OpenAiEncoder(server))
    relay = BedrockRelay(remote, key, http)
    return _Opened(remote, key, BedrockEngine(relay), relay)


def _encoder(
    model_id: str, base: BaseModel, remote: RemoteModel, opened: _Opened, allowance: Allowance
) -> EncoderTarget:
    """The target of a remote embedding model. Raises Invalid for one that ranks."""
    if base.task is not ModelTask.EMBEDDING:
        raise Invalid(f"{base.id}: rankings by a model at {remote.host} are not built in Outcrop yet.")
    assert opened.encoder is not None, "a server of OpenAI's protocol has one"
    return EncoderTarget(
        model_id=model_id,
        base_id=base.id,
        client=opened.encoder,
        task=base.task,
        dialect=base.dialect,
        reader=None,
        width=None,
        remote=True,
        host=remote.host,
        allowance=allowance,
    )
