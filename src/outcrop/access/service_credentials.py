"""Credentials of users that open one service only: the long-term API keys of Bedrock.

The key is a text that is shown once, when it is made or reset; the database holds its digest. The key has 256 random
bits, so a plain SHA-256 cannot be searched, and finding its row by the digest tells a stranger nothing by its time.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from outcrop.access import refusals
from outcrop.access.caller import Caller
from outcrop.access.credentials import caller_of
from outcrop.access.identities import Identities
from outcrop.access.names import Kind
from outcrop.access.records.identities import Identity
from outcrop.access.records.keys import ServiceCredential
from outcrop.access.records.records import Records
from outcrop.clock import Clock
from outcrop.errors import ServiceRefusal

BEDROCK = "bedrock.amazonaws.com"
MAX_CREDENTIALS = 2
_PREFIX = "ABSK"


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Whose key it is."""

    caller: Caller
    expires: datetime | None


class ServiceCredentials:
    """IAM's rules over them."""

    def __init__(self, records: Records, identities: Identities, account: str, clock: Clock) -> None:
        self._records = records
        self._identities = identities
        self._rows = identities.service_credentials
        self._account = account
        self._clock = clock

    def create(self, user: str, service: str, *, age_days: int | None) -> tuple[ServiceCredential, str]:
        """The credential and its key, which is never shown again."""
        _check_service(service)
        with self._records.alone():
            owner = self._identities.get(Kind.USER, user)
            others = self._rows.of(owner.id)
            if len(others) >= MAX_CREDENTIALS:
                raise refusals.too_many("ServiceSpecificCredentialsPerUser", MAX_CREDENTIALS)
            now = self._clock.now()
            alias = self._free_alias(owner, {other.alias for other in others})
            key = _new_key(alias)
            made = ServiceCredential(
                id=_new_id(),
                identity_id=owner.id,
                service=service,
                alias=alias,
                digest=_digest(key),
                active=True,
                created=now,
                expires=None if age_days is None else now + timedelta(days=age_days),
            )
            self._rows.add(made)
        return made, key

    def of_user(self, user: str, *, service: str | None = None) -> list[ServiceCredential]:
        """The service credentials of a user, in the order of their ids."""
        if service is not None:
            _check_service(service)
        return self._rows.of(self._identities.get(Kind.USER, user).id)

    def of_everyone(self, *, service: str | None = None) -> list[tuple[str, ServiceCredential]]:
        """The service credentials of all users, with the names of their users, in the order of their ids."""
        if service is not None:
            _check_service(service)
        names = {user.id: user.name for user in self._records.identities.all(Kind.USER)}
        return [(names[each.identity_id], each) for each in self._rows.all() if each.identity_id in names]

    def reset(self, user: str, credential_id: str) -> tuple[ServiceCredential, str]:
        """The credential with a new key; the one before opens nothing any more."""
        with self._records.alone():
            found = self._get(user, credential_id)
            key = _new_key(found.alias)
            renewed = replace(found, digest=_digest(key))
            self._rows.change(found.id, digest=renewed.digest)
        return renewed, key

    def set_active(self, user: str, credential_id: str, *, active: bool) -> None:
        with self._records.alone():
            found = self._get(user, credential_id)
            self._rows.change(found.id, active=active)

    def delete(self, user: str, credential_id: str) -> None:
        with self._records.alone():
            found = self._get(user, credential_id)
            self._rows.remove(found.id)

    def find(self, key: str) -> Opened | None:
        """Whose key this is; None when it is nobody's, or when it is inactive."""
        found = self._rows.with_digest(_digest(key))
        owner = self._records.identities.with_id(found.identity_id) if found is not None and found.active else None
        if found is None or owner is None:
            return None
        return Opened(caller=caller_of(owner, found.id), expires=found.expires)

    def _get(self, user: str, credential_id: str) -> ServiceCredential:
        found = [each for each in self.of_user(user) if each.id == credential_id]
        if not found:
            sentence = f"No such credential {credential_id} exists"
            raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)
        return found[0]

    def _free_alias(self, owner: Identity, taken: set[str]) -> str:
        names = (f"{owner.name}{f'+{n}' if n else ''}-at-{self._account}" for n in range(MAX_CREDENTIALS))
        return next(name for name in names if name not in taken)


def _new_id() -> str:
    """ACCA and 17 characters, as IAM names credentials for one service."""
    return "ACCA" + base64.b32encode(secrets.token_bytes(11))[:17].decode()


def _new_key(alias: str) -> str:
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    return _PREFIX + base64.b64encode(f"{alias}:{secret}".encode()).decode()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _check_service(service: str) -> None:
    if service != BEDROCK:
        sentence = f"Service {service} is not supported for service specific credentials here. Use {BEDROCK}."
        raise ServiceRefusal("NotSupportedService", sentence, http_status=404)
