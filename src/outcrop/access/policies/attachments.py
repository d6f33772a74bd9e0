"""Policies of users, roles and groups: inline ones, managed ones with their versions, and what is attached to whom."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from outcrop.access import refusals
from outcrop.access.identities import ADMINISTRATOR, Identities, check_tags, size_of, together, without
from outcrop.access.names import Kind, arn_of, check_name, check_path, new_identity_id
from outcrop.access.policies.arn_forms import check_policy_arn
from outcrop.access.policies.documents import Policy, parse
from outcrop.access.policies.managed import ADMINISTRATOR as ADMINISTRATOR_POLICY
from outcrop.access.policies.managed import AWS_MANAGED
from outcrop.access.policies.new_documents import parse_new, parse_new_managed
from outcrop.access.records.identities import Identity
from outcrop.access.records.policies import ManagedPolicy, Version, VersionRecords
from outcrop.access.records.records import Records
from outcrop.clock import Clock
from outcrop.errors import ServiceRefusal

MAX_POLICIES = 1500
MAX_ATTACHED = 10
MAX_POLICY_CHARACTERS = 6144
MAX_INLINE_CHARACTERS = {Kind.GROUP: 5120, Kind.ROLE: 10240, Kind.USER: 2048}
MAX_VERSIONS = 5


@dataclass(frozen=True, kw_only=True)
class Attachments:
    """The policies of the account, and AWS's."""

    records: Records
    versions: VersionRecords
    identities: Identities
    account: str
    clock: Clock

    # inline

    def put_inline(self, kind: Kind, owner: str, name: str, document: str) -> None:
        check_name("policy", name)
        parse_new(document)
        with self.records.alone():
            identity = self.identities.changeable(kind, owner)
            others = [
                size_of(text) for other, text in self.records.policies.inline(identity.id).items() if other != name
            ]
            limit = MAX_INLINE_CHARACTERS[kind]
            if sum(others) + size_of(document) > limit:
                sentence = f"Maximum policy size of {limit} bytes exceeded for {kind.value} {owner}"
                raise ServiceRefusal("LimitExceeded", sentence, http_status=409)
            self.records.policies.put_inline(identity.id, name, document)

    def get_inline(self, kind: Kind, owner: str, name: str) -> str:
        document = self.inline(kind, owner).get(name)
        if document is None:
            raise refusals.no_such(f"{kind.value} policy", name)
        return document

    def inline(self, kind: Kind, owner: str) -> dict[str, str]:
        """Documents by name, in the order of the names."""
        return self.records.policies.inline(self.identities.get(kind, owner).id)

    def delete_inline(self, kind: Kind, owner: str, name: str) -> None:
        if not self.records.policies.remove_inline(self.identities.changeable(kind, owner).id, name):
            raise refusals.no_such(f"{kind.value} policy", name)

    # managed

    def create(
        self, name: str, *, document: str, path: str = "/", description: str = "", tags: dict[str, str] | None = None
    ) -> ManagedPolicy:
        check_name("policy", name)
        check_path(path)
        check_tags(tags or {}, "Policy")
        check_document(document)
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
            present = self.records.policies.all()
            if any(each.name.lower() == name.lower() for each in present):
                raise refusals.exists(f"A policy called {name} already exists. Duplicate names are not allowed.")
            if len(present) >= MAX_POLICIES:
                raise refusals.too_many("PoliciesPerAccount", MAX_POLICIES)
            self.records.policies.add(policy)
        return policy

    def get(self, arn: str) -> ManagedPolicy:
        """Raises NoSuchEntity, or InvalidInput for what is no ARN of a policy."""
        check_policy_arn(arn)
        policy = self._find(arn)
        if policy is None:
            raise refusals.no_such_policy(arn)
        return policy

    def delete(self, arn: str) -> None:
        with self.records.alone():
            policy = self.own(arn)
            holders = [*self.records.policies.attached_to(arn), *self.bounded().get(arn, ())]
            if holders:
                named = ", ".join(dict.fromkeys(f"{each.kind} {each.name}" for each in holders))
                raise refusals.in_use(f"Cannot delete a policy attached to entities. Attached to: {named}.")
            if len(self.versions_of(policy)) > 1:
                raise refusals.in_use(
                    "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                    "versions. The default version is deleted with the policy."
                )
            self.records.policies.remove(arn)

    def own(self, arn: str) -> ManagedPolicy:
        """A policy that this account may change. Raises NoSuchEntity, or AccessDenied for one of AWS's."""
        policy = self.get(arn)
        if arn in AWS_MANAGED:
            raise ServiceRefusal("AccessDenied", "Policy is outside your own account.", http_status=403)
        return policy

    def tag(self, arn: str, tags: dict[str, str]) -> None:
        with self.records.alone():
            self._set_tags(arn, together(self.own(arn).tags, tags))

    def untag(self, arn: str, keys: list[str]) -> None:
        with self.records.alone():
            self._set_tags(arn, without(self.own(arn).tags, keys))

    def _set_tags(self, arn: str, tags: dict[str, str]) -> None:
        check_tags(tags, "Policy")
        self.records.policies.set_tags(arn, tags)

    # versions of managed policies

    def versions_of(self, policy: ManagedPolicy) -> list[Version]:
        """Newest first, as IAM lists them."""
        return [each for each in reversed(self.versions.all(policy)) if each.document is not None]

    def version(self, arn: str, version_id: str) -> Version:
        """Raises NoSuchEntity."""
        found = [each for each in self.versions_of(self.get(arn)) if each.id == version_id]
        if not found:
            sentence = f"Policy {arn} version {version_id} does not exist or is not attachable."
            raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)
        return found[0]

    def add_version(self, arn: str, document: str, *, is_default: bool) -> Version:
        check_document(document)
        with self.records.alone():
            policy = self.own(arn)
            known = self.versions.all(policy)
            if len(self.versions_of(policy)) >= MAX_VERSIONS:
                raise ServiceRefusal(
                    "LimitExceeded",
                    "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
                    "existing version.",
                    http_status=409,
                )
            for each in known:  # the first version has had no row so far
                self.versions.put(each)
            now = self.clock.now().replace(microsecond=0)
            version = Version(
                policy_arn=arn, number=known[-1].number + 1, document=document, created=now, is_default=False
            )
            self.versions.put(version)
            return self.set_default(arn, version.id) if is_default else version

    def set_default(self, arn: str, version_id: str) -> Version:
        """Make this version the policy's default: from now on the policy says what it says."""
        with self.records.alone():
            policy, chosen = self.own(arn), replace(self.version(arn, version_id), is_default=True)
            assert chosen.document is not None, "a deleted version was found"
            for each in self.versions.all(policy):
                if each.is_default and each.number != chosen.number:
                    self.versions.put(replace(each, is_default=False))
            self.versions.put(chosen)
            self.records.policies.set_document(arn, chosen.document)
        return chosen

    def delete_version(self, arn: str, version_id: str) -> None:
        with self.records.alone():
            self.own(arn)
            version = self.version(arn, version_id)
            if version.is_default:
                raise refusals.in_use("Cannot delete the default version of a policy.")
            self.versions.put(replace(version, document=None))

    # attaching

    def bounded(self) -> dict[str, list[Identity]]:
        """Users and roles by the policy that is their permissions boundary."""
        found: dict[str, list[Identity]] = {}
        for each in (*self.records.identities.all(Kind.USER), *self.records.identities.all(Kind.ROLE)):
            if "boundary" in each.document:
                found.setdefault(each.document["boundary"], []).append(each)
        return found

    def check_boundary(self, arn: str | None) -> None:
        if arn is None:
            return
        check_policy_arn(arn)
        if self._find(arn) is None:
            sentence = f"Scope ARN: {arn} does not exist or is not attachable."
            raise ServiceRefusal("NoSuchEntity", sentence, http_status=404)

    def attach(self, kind: Kind, owner: str, arn: str) -> None:
        """Attaching twice is once."""
        check_policy_arn(arn)
        with self.records.alone():
            identity = self.identities.changeable(kind, owner)
            if self._find(arn) is None:
                raise refusals.not_attachable(arn)
            attached = self.records.policies.attached(identity.id)
            if arn in attached:
                return
            if len(attached) >= MAX_ATTACHED:
                raise refusals.too_many(f"PoliciesPer{kind.value.capitalize()}", MAX_ATTACHED)
            self.records.policies.attach(identity.id, arn)

    def detach(self, kind: Kind, owner: str, arn: str) -> None:
        check_policy_arn(arn)
        identity = self.identities.changeable(kind, owner)
        if (kind, owner, arn) == (Kind.USER, ADMINISTRATOR, ADMINISTRATOR_POLICY):
            raise refusals.unmodifiable("The administrator of this installation keeps AdministratorAccess.")
        if not self.records.policies.detach(identity.id, arn):
            raise refusals.no_such_policy(arn)

    def attached(self, kind: Kind, owner: str, *, path_prefix: str = "/") -> list[ManagedPolicy]:
        """The managed policies attached to an identity, in the order of their names."""
        policies = map(self.get, self.records.policies.attached(self.identities.get(kind, owner).id))
        return sorted((each for each in policies if each.path.startswith(path_prefix)), key=lambda each: each.name)

    # what they all say together

    def of(self, identity: Identity) -> Iterator[Policy]:
        """Every policy of an identity, parsed: what its decisions are made from; those of a user's groups too."""
        for document in self.documents_of(identity).values():
            yield parse(document)

    def documents_of(self, identity: Identity) -> dict[str, str]:
        """The texts of the same, by where each stands: `user_jane_inline`, or the ARN of a managed policy."""
        found: dict[str, str] = {}
        for each in (identity, *self.identities.groups.groups_of(identity.id)):
            for name, document in self.records.policies.inline(each.id).items():
                found[f"{each.kind}_{each.name}_{name}"] = document
            for arn in self.records.policies.attached(each.id):
                found[arn] = self.get(arn).document
        return found

    def boundary_of(self, identity: Identity) -> Policy | None:
        """The permissions boundary of an identity, what it may do at most; None where nothing limits it."""
        arn = identity.document.get("boundary")
        return None if arn is None else parse(self.get(arn).document)

    def _find(self, arn: str) -> ManagedPolicy | None:
        return AWS_MANAGED.get(arn) or self.records.policies.with_arn(arn)


def check_document(document: str) -> None:
    """Raises MalformedPolicyDocument, or LimitExceeded for one that is too long for a managed policy."""
    parse_new_managed(document)
    if size_of(document) > MAX_POLICY_CHARACTERS:
        raise refusals.too_many("PolicySize", MAX_POLICY_CHARACTERS)
