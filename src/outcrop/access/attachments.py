"""Policies of users and roles: inline ones, managed ones, and which managed policy is attached to whom."""

from collections.abc import Iterator
from dataclasses import dataclass

from outcrop import arn as arns
from outcrop.access import refusals
from outcrop.access.documents import Policy, parse
from outcrop.access.identities import ADMINISTRATOR, Identities, check_tags, size_of
from outcrop.access.managed import ADMINISTRATOR as ADMINISTRATOR_POLICY
from outcrop.access.managed import AWS_MANAGED
from outcrop.access.names import Kind, arn_of, check_name, check_path, new_identity_id
from outcrop.access.records import Identity, ManagedPolicy, Records
from outcrop.clock import Clock
from outcrop.errors import ServiceRefusal

MAX_POLICIES = 1500
MAX_ATTACHED = 10
MAX_POLICY_CHARACTERS = 6144
MAX_INLINE_CHARACTERS = {Kind.ROLE: 10240, Kind.USER: 2048}


@dataclass(frozen=True, kw_only=True)
class Attachments:
    """The policies of the account, and AWS's."""

    records: Records
    identities: Identities
    account: str
    clock: Clock

    # inline

    def put_inline(self, kind: Kind, owner: str, name: str, document: str) -> None:
        check_name("policy", name)
        parse(document)
        with self.records.alone():
            identity = self.identities.get(kind, owner)
            others = [size_of(text) for other, text in self.records.inline(identity.id).items() if other != name]
            limit = MAX_INLINE_CHARACTERS[kind]
            if sum(others) + size_of(document) > limit:
                sentence = f"Maximum policy size of {limit} bytes exceeded for {kind.value} {owner}"
                raise ServiceRefusal("LimitExceeded", sentence, http_status=409)
            self.records.put_inline(identity.id, name, document)

    def get_inline(self, kind: Kind, owner: str, name: str) -> str:
        document = self.inline(kind, owner).get(name)
        if document is None:
            raise refusals.no_such(f"{kind.value} policy", name)
        return document

    def inline(self, kind: Kind, owner: str) -> dict[str, str]:
        """Documents by name, in the order of the names."""
        return self.records.inline(self.identities.get(kind, owner).id)

    def delete_inline(self, kind: Kind, owner: str, name: str) -> None:
        if not self.records.remove_inline(self.identities.get(kind, owner).id, name):
            raise refusals.no_such(f"{kind.value} policy", name)

    # managed

    def create(
        self, name: str, *, document: str, path: str = "/", description: str = "", tags: dict[str, str] | None = None
    ) -> ManagedPolicy:
        check_name("policy", name)
        check_path(path)
        check_tags(tags or {}, "Policy")
        parse(document)
        if size_of(document) > MAX_POLICY_CHARACTERS:
            raise refusals.too_many("PolicySize", MAX_POLICY_CHARACTERS)
        policy = ManagedPolicy(
            arn=arn_of(self.account, "policy", path, name),
            id=new_identity_id("policy"),
            name=name,
            path=path,
            description=description,
            document=document,
            tags=tags or {},
            created=self.clock.now().replace(microsecond=0),
        )
        with self.records.alone():
            present = self.records.policies()
            if any(each.name.lower() == name.lower() for each in present):
                raise refusals.exists(f"A policy called {name} already exists. Duplicate names are not allowed.")
            if len(present) >= MAX_POLICIES:
                raise refusals.too_many("PoliciesPerAccount", MAX_POLICIES)
            self.records.add_policy(policy)
        return policy

    def get(self, arn: str) -> ManagedPolicy:
        """Raises NoSuchEntity."""
        policy = self._find(arn)
        if policy is None:
            raise refusals.no_such_policy(arn)
        return policy

    def delete(self, arn: str) -> None:
        with self.records.alone():
            self.get(arn)
            if arn in AWS_MANAGED:
                raise ServiceRefusal("AccessDenied", "Policy is outside your own account.", http_status=403)
            if self.records.num_attachments().get(arn):
                raise refusals.in_use("Cannot delete a policy attached to entities.")
            self.records.remove_policy(arn)

    def attach(self, kind: Kind, owner: str, arn: str) -> None:
        """Attaching twice is once."""
        if arns.parse(arn) is None:
            raise refusals.invalid_input(f"ARN {arn} is not valid.")
        with self.records.alone():
            identity = self.identities.get(kind, owner)
            if self._find(arn) is None:
                raise refusals.not_attachable(arn)
            attached = self.records.attached(identity.id)
            if arn in attached:
                return
            if len(attached) >= MAX_ATTACHED:
                raise refusals.too_many(f"PoliciesPer{kind.value.capitalize()}", MAX_ATTACHED)
            self.records.attach(identity.id, arn)

    def detach(self, kind: Kind, owner: str, arn: str) -> None:
        identity = self.identities.get(kind, owner)
        if (kind, owner, arn) == (Kind.USER, ADMINISTRATOR, ADMINISTRATOR_POLICY):
            raise refusals.unmodifiable("The administrator of this installation keeps AdministratorAccess.")
        if not self.records.detach(identity.id, arn):
            raise refusals.no_such_policy(arn)

    def attached(self, kind: Kind, owner: str, *, path_prefix: str = "/") -> list[ManagedPolicy]:
        """In the order of their names."""
        policies = map(self.get, self.records.attached(self.identities.get(kind, owner).id))
        return sorted((each for each in policies if each.path.startswith(path_prefix)), key=lambda each: each.name)

    # what they all say together

    def of(self, identity: Identity) -> Iterator[Policy]:
        """Every policy of an identity, parsed: what its decisions are made from; those of a user's groups too."""
        for document in self.records.inline(identity.id).values():
            yield parse(document)
        for arn in self.records.attached(identity.id):
            yield parse(self.get(arn).document)

    def boundary_of(self, identity: Identity) -> Policy | None:
        """What an identity may do at most; None where nothing limits it."""
        arn = identity.document.get("boundary")
        return None if arn is None else parse(self.get(arn).document)

    def _find(self, arn: str) -> ManagedPolicy | None:
        return AWS_MANAGED.get(arn) or self.records.policy(arn)
