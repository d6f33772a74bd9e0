"""Users, roles and groups: made, found, renamed, tagged and removed by IAM's rules."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from outcrop.access import refusals
from outcrop.access.names import Kind, arn_of, check_name, check_path, new_identity_id
from outcrop.access.policies.documents import PolicyForm
from outcrop.access.policies.new_documents import parse_new
from outcrop.access.records.identities import GroupRecords, Identity
from outcrop.access.records.keys import ServiceCredentialRecords
from outcrop.access.records.records import Records
from outcrop.clock import Clock
from outcrop.errors import ServiceRefusal

ADMINISTRATOR = "admin"
MAX_GROUPS, MAX_ROLES, MAX_USERS, MAX_TAGS = 300, 1000, 5000, 50
MAX_GROUPS_OF_USER = 10
MAX_TRUST_CHARACTERS = 2048
DEFAULT_SESSION_S = 3600
LINKED_PATH = "/aws-service-role/"
_QUOTAS = {
    Kind.GROUP: ("GroupsPerAccount", MAX_GROUPS),
    Kind.ROLE: ("RolesPerAccount", MAX_ROLES),
    Kind.USER: ("UsersPerAccount", MAX_USERS),
}


@dataclass(frozen=True, kw_only=True)
class Identities:
    """The users, roles and groups of the account."""

    records: Records
    groups: GroupRecords
    service_credentials: ServiceCredentialRecords
    account: str
    clock: Clock

    def create_user(
        self, name: str, *, path: str = "/", tags: dict[str, str] | None = None, boundary: str | None = None
    ) -> Identity:
        check_tags(tags or {}, "User")
        return self._add(Kind.USER, name, path, trust=None, document=_document(tags, boundary))

    def create_group(self, name: str, *, path: str = "/") -> Identity:
        return self._add(Kind.GROUP, name, path, trust=None, document={"tags": {}})

    def create_role(
        self,
        name: str,
        *,
        trust: str,
        path: str = "/",
        description: str | None = None,
        max_session_s: int = DEFAULT_SESSION_S,
        tags: dict[str, str] | None = None,
        boundary: str | None = None,
        linked: bool = False,
    ) -> Identity:
        """Raises MalformedPolicyDocument when `trust` is no trust policy. `linked`: made for a service."""
        check_trust(trust)
        check_tags(tags or {}, "Role")
        if path.startswith(LINKED_PATH) and not linked:
            sentence = f"The path {LINKED_PATH} is kept for roles of services. Use CreateServiceLinkedRole."
            raise refusals.invalid_input(sentence)
        document = {"description": description, "max_session_s": max_session_s, **_document(tags, boundary)}
        return self._add(Kind.ROLE, name, path, trust=trust, document=document)

    def get(self, kind: Kind, name: str) -> Identity:
        """Raises NoSuchEntity."""
        identity = self.records.identities.named(kind, name)
        if identity is None:
            raise refusals.no_such(kind.value, name)
        return identity

    def changeable(self, kind: Kind, name: str) -> Identity:
        """The identity, unless only its service may change it."""
        identity = self.get(kind, name)
        if kind is Kind.ROLE and identity.path.startswith(LINKED_PATH):
            raise refusals.unmodifiable(
                f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
            )
        return identity

    def set_trust(self, name: str, trust: str) -> None:
        check_trust(trust)
        with self.records.alone():
            self.records.identities.replace(replace(self.changeable(Kind.ROLE, name), trust=trust))

    def update_role(self, name: str, *, description: str | None, max_session_s: int | None) -> Identity:
        """Change a role's description or maximum session duration; None leaves a part as it is."""
        with self.records.alone():
            role = self.changeable(Kind.ROLE, name)
            given = {"description": description, "max_session_s": max_session_s}
            changed = {key: value for key, value in given.items() if value is not None}
            role = replace(role, document={**role.document, **changed})
            self.records.identities.replace(role)
        return role

    def rename(self, kind: Kind, name: str, *, new_name: str | None, new_path: str | None) -> Identity:
        """A user or group under another name or path; its keys, policies and memberships stay."""
        with self.records.alone():
            identity = self.get(kind, name)
            if kind is Kind.USER and name == ADMINISTRATOR and new_name not in (None, name):
                raise refusals.unmodifiable("The administrator of this installation keeps its name.")
            to, path = new_name or name, new_path or identity.path
            check_name(kind.value, to)
            check_path(path)
            other = self.records.identities.named_like(kind, to)
            if other is not None and other.id != identity.id:
                raise refusals.exists(f"{kind.value.capitalize()} with name {to} already exists.")
            renamed = replace(identity, name=to, path=path, arn=arn_of(self.account, kind.value, path, to))
            self.records.identities.replace(renamed)
        return renamed

    def tag(self, kind: Kind, name: str, tags: dict[str, str]) -> None:
        with self.records.alone():
            identity = self.get(kind, name)
            self._set_tags(identity, together(identity.tags, tags), kind)

    def untag(self, kind: Kind, name: str, keys: list[str]) -> None:
        """A key that is not there is no error."""
        with self.records.alone():
            identity = self.get(kind, name)
            self._set_tags(identity, without(identity.tags, keys), kind)

    def set_boundary(self, kind: Kind, name: str, arn: str | None) -> None:
        """`arn` of a policy that exists, or None to take the limit away."""
        with self.records.alone():
            identity = self.changeable(kind, name)
            if kind is Kind.USER and name == ADMINISTRATOR and arn is not None:
                raise refusals.unmodifiable("The administrator of this installation has no permissions boundary.")
            if arn is None and identity.document.get("boundary") is None:
                sentence = f"The {kind.value} {name} does not have a permissions boundary."
                raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)
            document = {key: value for key, value in identity.document.items() if key != "boundary"}
            self.records.identities.replace(
                replace(identity, document=document if arn is None else {**document, "boundary": arn})
            )

    def _set_tags(self, identity: Identity, tags: dict[str, str], kind: Kind) -> None:
        check_tags(tags, kind.value.capitalize())
        self.records.identities.replace(replace(identity, document={**identity.document, "tags": tags}))

    # membership

    def join(self, group: str, user: str) -> None:
        """Joining twice is once."""
        with self.records.alone():
            joined, member = self.get(Kind.GROUP, group), self.get(Kind.USER, user)
            present = [each.id for each in self.groups.groups_of(member.id)]
            if joined.id in present:
                return
            if len(present) >= MAX_GROUPS_OF_USER:
                raise refusals.too_many("GroupsPerUser", MAX_GROUPS_OF_USER)
            self.groups.add(joined.id, member.id)

    def leave(self, group: str, user: str) -> None:
        with self.records.alone():
            left, member = self.get(Kind.GROUP, group), self.get(Kind.USER, user)
            if not self.groups.remove(left.id, member.id):
                sentence = f"The user with name {user} cannot be found in group {group}."
                raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)

    def delete(self, kind: Kind, name: str) -> None:
        """Raises DeleteConflict while anything hangs on it, naming what does."""
        with self.records.alone():
            identity = self.changeable(kind, name)
            if kind is Kind.USER and name == ADMINISTRATOR:
                raise refusals.unmodifiable("The administrator of this installation cannot be deleted.")
            for first, left in self._hanging_on(identity):
                if left:
                    sentence = f"Cannot delete entity, must {first} first."
                    raise refusals.in_use(f"{sentence} Left of {kind.value} {name}: {', '.join(left)}.")
            self.records.identities.remove(identity.id)

    def _hanging_on(self, identity: Identity) -> Iterator[tuple[str, list[str]]]:
        """The steps due before an identity is deleted, and on what, in the order in which IAM asks for them."""
        yield "detach all policies", self.records.policies.attached(identity.id)
        yield "delete policies", list(self.records.policies.inline(identity.id))
        yield "delete access keys", [key.id for key in self.records.keys.of(identity.id)]
        yield "delete service specific credentials", [each.id for each in self.service_credentials.of(identity.id)]
        joined = self.groups.members(identity.id) or self.groups.groups_of(identity.id)
        yield "remove users from group", [each.name for each in joined]

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
            if self.records.identities.named_like(kind, name) is not None:
                raise refusals.exists(f"{kind.value.capitalize()} with name {name} already exists.")
            quota, limit = _QUOTAS[kind]
            if len(self.records.identities.all(kind)) >= limit:
                raise refusals.too_many(quota, limit)
            self.records.identities.add(identity)
        return identity


def check_trust(text: str) -> None:
    parse_new(text, PolicyForm.TRUST)
    if size_of(text) > MAX_TRUST_CHARACTERS:
        raise refusals.too_many("ACLSizePerRole", MAX_TRUST_CHARACTERS)


def size_of(document: str) -> int:
    """The size that counts against quotas: white space is free."""
    return len("".join(document.split()))


def _document(tags: dict[str, str] | None, boundary: str | None) -> dict[str, Any]:
    return {"tags": tags or {}, **({"boundary": boundary} if boundary is not None else {})}


def together(tags: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    """Tags with more of them: keys that differ in case only are the same key, written as it came last."""
    new = {key.lower() for key in more}
    return {**{key: value for key, value in tags.items() if key.lower() not in new}, **more}


def without(tags: dict[str, str], keys: list[str]) -> dict[str, str]:
    gone = {key.lower() for key in keys}
    return {key: value for key, value in tags.items() if key.lower() not in gone}


def check_tags(tags: dict[str, str], owner: str) -> None:
    if len(tags) > MAX_TAGS:
        raise refusals.too_many(f"TagsPer{owner}", MAX_TAGS)
    for key in tags:
        if key.lower().startswith("aws:"):
            raise refusals.invalid_input(f"Tag keys may not begin with aws:, which belongs to AWS; found {key!r}.")
