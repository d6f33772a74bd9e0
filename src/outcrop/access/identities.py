"""Users and roles: made, found, tagged and removed by IAM's rules."""

from dataclasses import dataclass, replace
from typing import Any

from outcrop.access import refusals
from outcrop.access.documents import Form, parse
from outcrop.access.names import Kind, arn_of, check_name, check_path, new_identity_id
from outcrop.access.records import Identity, Records
from outcrop.clock import Clock

ADMINISTRATOR = "admin"
MAX_ROLES, MAX_USERS, MAX_TAGS = 1000, 5000, 50
MAX_TRUST_CHARACTERS = 2048
DEFAULT_SESSION_S = 3600
_QUOTAS = {Kind.ROLE: ("RolesPerAccount", MAX_ROLES), Kind.USER: ("UsersPerAccount", MAX_USERS)}


@dataclass(frozen=True, kw_only=True)
class Identities:
    """The users and roles of the account."""

    records: Records
    account: str
    clock: Clock

    def create_user(self, name: str, *, path: str = "/", tags: dict[str, str] | None = None) -> Identity:
        check_tags(tags or {}, "User")
        return self._add(Kind.USER, name, path, trust=None, document={"tags": tags or {}})

    def create_role(
        self,
        name: str,
        *,
        trust: str,
        path: str = "/",
        description: str | None = None,
        max_session_s: int = DEFAULT_SESSION_S,
        tags: dict[str, str] | None = None,
    ) -> Identity:
        """Raises MalformedPolicyDocument when `trust` is no trust policy."""
        check_trust(trust)
        check_tags(tags or {}, "Role")
        document: dict[str, Any] = {"description": description, "max_session_s": max_session_s, "tags": tags or {}}
        return self._add(Kind.ROLE, name, path, trust=trust, document=document)

    def get(self, kind: Kind, name: str) -> Identity:
        """Raises NoSuchEntity."""
        identity = self.records.identity(kind, name)
        if identity is None:
            raise refusals.no_such(kind.value, name)
        return identity

    def set_trust(self, name: str, trust: str) -> None:
        check_trust(trust)
        with self.records.alone():
            self.records.replace_identity(replace(self.get(Kind.ROLE, name), trust=trust))

    def tag(self, kind: Kind, name: str, tags: dict[str, str]) -> None:
        with self.records.alone():
            identity = self.get(kind, name)
            together = {**identity.tags, **tags}
            check_tags(together, kind.value.capitalize())
            self.records.replace_identity(replace(identity, document={**identity.document, "tags": together}))

    def delete(self, kind: Kind, name: str) -> None:
        """Raises DeleteConflict while policies or access keys hang on it."""
        with self.records.alone():
            identity = self.get(kind, name)
            if kind is Kind.USER and name == ADMINISTRATOR:
                raise refusals.unmodifiable("The administrator of this installation cannot be deleted.")
            if self.records.attached(identity.id):
                raise refusals.in_use("Cannot delete entity, must detach all policies first.")
            if self.records.inline(identity.id):
                raise refusals.in_use("Cannot delete entity, must delete policies first.")
            if self.records.keys(identity.id):
                raise refusals.in_use("Cannot delete entity, must delete access keys first.")
            self.records.remove_identity(identity.id)

    def _add(self, kind: Kind, name: str, path: str, *, trust: str | None, document: dict[str, Any]) -> Identity:
        check_name(kind.value, name)
        check_path(path)
        identity = Identity(
            id=new_identity_id(kind.value),
            kind=kind.value,
            name=name,
            path=path,
            arn=arn_of(self.account, kind.value, path, name),
            created=self.clock.now().replace(microsecond=0),
            trust=trust,
            document=document,
        )
        with self.records.alone():
            if self.records.identity_named_like(kind, name) is not None:
                raise refusals.exists(f"{kind.value.capitalize()} with name {name} already exists.")
            quota, limit = _QUOTAS[kind]
            if len(self.records.identities(kind)) >= limit:
                raise refusals.too_many(quota, limit)
            self.records.add_identity(identity)
        return identity


def check_trust(text: str) -> None:
    parse(text, Form.TRUST)
    if size_of(text) > MAX_TRUST_CHARACTERS:
        raise refusals.too_many("ACLSizePerRole", MAX_TRUST_CHARACTERS)


def size_of(document: str) -> int:
    """The size that counts against quotas: white space is free."""
    return len("".join(document.split()))


def check_tags(tags: dict[str, str], owner: str) -> None:
    if len(tags) > MAX_TAGS:
        raise refusals.too_many(f"TagsPer{owner}", MAX_TAGS)
    for key in tags:
        if key.lower().startswith("aws:"):
            raise refusals.invalid_input(f"Tag keys may not begin with aws:, which belongs to AWS; found {key!r}.")
