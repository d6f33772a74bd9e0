"""Access keys of users and the temporary credentials of sessions; secrets leave here to be checked or shown once."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from outcrop import arn as arns
from outcrop.access import refusals
from outcrop.access.caller import Caller, Credential
from outcrop.access.identities import ADMINISTRATOR, Identities
from outcrop.access.names import Kind, is_temporary_key, new_key_id, new_secret
from outcrop.access.records.identities import Identity
from outcrop.access.records.keys import AccessKey, SessionRow
from outcrop.access.records.records import Records
from outcrop.access.session_marks import UNMARKED, MarkRecords, Marks
from outcrop.clock import Clock
from outcrop.errors import MachineTrouble, ServiceRefusal
from outcrop.keys.root_key import Sealer

MAX_KEYS = 2


@dataclass(frozen=True, kw_only=True)
class Issued:
    """Credentials just made: the only moment at which they are shown."""

    key_id: str
    secret: str
    created: datetime
    session_token: str = ""
    expires: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The keys and sessions of the account."""

    records: Records
    marks: MarkRecords
    identities: Identities
    sealer: Sealer
    account: str
    clock: Clock

    def create_key(self, user: str) -> Issued:
        with self.records.alone():
            owner = self.identities.get(Kind.USER, user)
            if len(self.records.keys.of(owner.id)) >= MAX_KEYS:
                raise refusals.too_many("AccessKeysPerUser", MAX_KEYS)
            issued = Issued(key_id=new_key_id(), secret=new_secret(), created=self.clock.now())
            sealed = self.sealer.seal(issued.secret, about=issued.key_id)
            self.records.keys.add(
                AccessKey(id=issued.key_id, identity_id=owner.id, secret=sealed, created=issued.created)
            )
        return issued

    def keys(self, user: str) -> list[AccessKey]:
        """Oldest first."""
        return self.records.keys.of(self.identities.get(Kind.USER, user).id)

    def delete_key(self, user: str, key_id: str) -> None:
        with self.records.alone():
            self._check_expendable(user, key_id)
            self.records.keys.remove(key_id)

    def set_status(self, user: str, key_id: str, *, active: bool) -> None:
        """An inactive key is unknown at the door until it is made active again."""
        with self.records.alone():
            if not active:
                self._check_expendable(user, key_id)
            elif key_id not in [key.id for key in self.keys(user)]:
                raise _no_such_key(key_id)
            self.records.keys.set_inactive(key_id, inactive=not active)

    def _check_expendable(self, user: str, key_id: str) -> None:
        keys = [key.id for key in self.keys(user)]
        if key_id not in keys:
            raise _no_such_key(key_id)
        left = [each for each in keys if each != key_id and not self.records.keys.is_inactive(each)]
        if user == ADMINISTRATOR and not left:
            raise refusals.in_use(
                "The administrator of this installation needs an access key. Create a new one before deleting this."
            )

    def start_session(
        self,
        identity: Identity,
        *,
        name: str | None,
        lasting: timedelta,
        policies: list[str] | None = None,
        marks: Marks = UNMARKED,
    ) -> Issued:
        """Temporary credentials of a role (under a session name) or of a user (without)."""
        now = self.clock.now().replace(microsecond=0)
        issued = Issued(
            key_id=new_key_id(temporary=True),
            secret=new_secret(),
            created=now,
            session_token=secrets.token_urlsafe(192),
            expires=now + lasting,
        )
        session = SessionRow(
            key_id=issued.key_id,
            identity_id=identity.id,
            name=name,
            secret=self.sealer.seal(issued.secret, about=issued.key_id),
            token=self.sealer.seal(issued.session_token, about=f"{issued.key_id} token"),
            policies=policies or [],
            expires=now + lasting,
        )
        with self.records.alone():
            # A day later nobody can still ask why; until then the door answers that the token expired.
            self.records.keys.remove_sessions(expired_before=now - timedelta(days=1))
            self.records.keys.add_session(session)
            self.marks.add(issued.key_id, marks)
        return issued

    def reseal(self, new: Sealer) -> None:
        """Seal the secrets of all keys and sessions with another key. The caller has a transaction open."""
        keys = self.records.keys
        for key_id, secret in keys.sealed_secrets():
            keys.set_secret(key_id, new.seal(self._opened(secret, about=key_id), about=key_id))
        for key_id, secret, token in keys.sealed_sessions():
            about = f"{key_id} token"
            keys.set_session_secrets(
                key_id,
                secret=new.seal(self._opened(secret, about=key_id), about=key_id),
                token=new.seal(self._opened(token, about=about), about=about),
            )

    def end_session(self, key_id: str) -> None:
        """Let the keys of a session be unknown from now on."""
        self.records.keys.remove_session(key_id)

    def find(self, key_id: str) -> Credential | None:
        """The credential that a signature with this key is checked against, or None when there is no such key."""
        if is_temporary_key(key_id):
            session = self.records.keys.session(key_id)
            return self._of_session(session) if session else None
        key = self.records.keys.find(key_id)
        owner = key and self.records.identities.with_id(key.identity_id)
        if not key or not owner or self.records.keys.is_inactive(key_id):
            return None
        return Credential(caller=caller_of(owner, key_id), secret=self._opened(key.secret, about=key_id))

    def _of_session(self, session: SessionRow) -> Credential | None:
        owner = self.records.identities.with_id(session.identity_id)
        if owner is None:
            return None
        return Credential(
            caller=caller_of(owner, session.key_id, session_name=session.name),
            secret=self._opened(session.secret, about=session.key_id),
            session_token=self._opened(session.token, about=f"{session.key_id} token"),
            expires=session.expires,
        )

    def _opened(self, sealed: bytes, *, about: str) -> str:
        text = self.sealer.open(sealed, about=about)
        if text is None:
            raise MachineTrouble(
                f"{about}: the secret in the database was not sealed with this home's service key. "
                "Put back keys/service.key and the database from the same backup."
            )
        return text


def _no_such_key(key_id: str) -> ServiceRefusal:
    sentence = f"The Access Key with id {key_id} cannot be found."
    return ServiceRefusal("NoSuchEntity", sentence, http_status=404)


def caller_of(identity: Identity, key_id: str, *, session_name: str | None = None) -> Caller:
    """The identity as the caller of a request. A session of a role has an ARN and an id of its own."""
    own = arns.parse(identity.arn)
    assert own is not None, f"{identity.arn} is no ARN"
    if session_name is None:
        return Caller(arn=identity.arn, account=own.account, user_id=identity.id, key_id=key_id)
    return Caller(
        arn=session_arn(own.account, identity.name, session_name),
        account=own.account,
        user_id=f"{identity.id}:{session_name}",
        key_id=key_id,
        session_name=session_name,
    )


def session_arn(account: str, role: str, session_name: str) -> str:
    return str(arns.Arn(service="sts", region="", account=account, resource=f"assumed-role/{role}/{session_name}"))
