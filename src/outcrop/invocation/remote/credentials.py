"""Credentials of remote models, sealed with the home's key as secret access keys are. They leave here to be sent, only.

Each is sealed for one model and one origin (scheme, host and port): whoever changes the address in the catalogue's file
gets no key sent there.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.remote_model import RemoteModel
from outcrop.clock import Clock
from outcrop.errors import ModelFailed
from outcrop.keys.root_key import Sealer
from outcrop.store.damage import understood
from outcrop.store.resources import Resource
from outcrop.store.store import Store

KIND = "remote-credential"
_EVERYWHERE = "local"
_SEALED = "Sealed"


@dataclass(frozen=True)
class BearerKey:
    """A key that is sent as it is."""

    key: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must stand in no sentence."""
        return (self.key,)


@dataclass(frozen=True, kw_only=True)
class AwsKeys:
    """An access key of AWS, with which requests are signed."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.secret_access_key, self.session_token)))


RemoteKey = BearerKey | AwsKeys


class RemoteCredentials:
    """The credentials of an installation's remote models, on record."""

    def __init__(self, store: Store, sealer: Sealer, clock: Clock) -> None:
        self._resources = store.resources
        self._sealer = sealer
        self._clock = clock

    def keep(self, model_id: str, remote: RemoteModel, key: RemoteKey | None) -> None:
        """Keep the credentials of a model, in the place of those it had; None: it has none."""
        self.forget(model_id)
        if key is None:
            return
        sealed = self._sealer.seal(json.dumps(_members(key)), about=_about(model_id, remote))
        now = self._clock.now()
        row = Resource(
            arn=_arn(model_id),
            kind=KIND,
            region=_EVERYWHERE,
            name=model_id,
            status=_SEALED,
            created=now,
            updated=now,
            document={"sealed": base64.b64encode(sealed).decode()},
        )
        self._resources.add(row)

    def forget(self, model_id: str) -> None:
        self._resources.remove(_arn(model_id))

    def has(self, model_id: str) -> bool:
        """Whether credentials of this model are kept."""
        return self._resources.row(_arn(model_id)) is not None

    def of(self, base: BaseModel) -> RemoteKey | None:
        """The credentials of a remote model; None for one that was registered without.

        Raises ModelFailed for credentials that were sealed for another address, or with another key.
        """
        assert base.remote is not None, "only remote models have credentials"
        row = self._resources.get(_arn(base.id))
        if row is None:
            return None
        with understood(row.arn):
            sealed = base64.b64decode(row.document["sealed"])
        text = self._sealer.open(sealed, about=_about(base.id, base.remote))
        if text is None:
            raise ModelFailed(
                f"The credentials of {base.id} were not given for {base.remote.origin}, so nothing was sent. Register "
                "the model again with `outcrop register`."
            )
        return _key(json.loads(text))

    def reseal(self, new: Sealer, remote_of: Callable[[str], RemoteModel | None]) -> list[str]:
        """Seal all credentials with another key. The caller has a transaction open.

        Returns the models whose credentials could not be opened: they were given for another address, and stay so.
        """
        left: list[str] = []
        for row in self._resources.all(KIND):
            with understood(row.arn):
                sealed, model_id = base64.b64decode(row.document["sealed"]), str(row.name)
            remote = remote_of(model_id)
            text = None if remote is None else self._sealer.open(sealed, about=_about(model_id, remote))
            if remote is None or text is None:
                left.append(model_id)
                continue
            again = base64.b64encode(new.seal(text, about=_about(model_id, remote))).decode()
            self._resources.replace(row, at=self._clock.now(), document={**row.document, "sealed": again})
        return left


def _members(key: RemoteKey) -> dict[str, str]:
    if isinstance(key, BearerKey):
        return {"key": key.key}
    return {
        "accessKeyId": key.access_key_id,
        "secretAccessKey": key.secret_access_key,
        "sessionToken": key.session_token,
    }


def _key(members: dict[str, str]) -> RemoteKey:
    if "key" in members:
        return BearerKey(members["key"])
    return AwsKeys(
        access_key_id=members["accessKeyId"],
        secret_access_key=members["secretAccessKey"],
        session_token=members["sessionToken"],
    )


def _about(model_id: str, remote: RemoteModel) -> str:
    return f"remote model {model_id} at {remote.origin}"


def _arn(model_id: str) -> str:
    return f"{KIND}/{model_id}"
