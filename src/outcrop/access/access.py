"""The entry point of access control: who may do what.

The door asks it for secrets and permissions, jobs ask it what their role may do.

access = Access.open(store, settings, clock)          # makes the account at the first start
credential = access.secret_for("AKIA…")               # to check a signature
access.authorize(call)                                # raises Denied in AWS's sentence
access.assert_passable(role_arn, source_arn=job_arn)  # raises Invalid: a job could not run under this role
access.role_may(role_arn, "s3:GetObject", "arn:aws:s3:::bucket/train.jsonl")
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Self

from sqlalchemy.engine import Connection

from outcrop import arn as arns
from outcrop.access import installation
from outcrop.access.aliases import Aliases
from outcrop.access.caller import Asker, AuthorizableRequest, Caller, Credential
from outcrop.access.credentials import Credentials, Issued
from outcrop.access.decision_cache import DecisionCache, PolicyVerdict
from outcrop.access.decisions import BucketRulesOf, Decisions, ObjectTagsOf, refused
from outcrop.access.identities import ADMINISTRATOR, Identities
from outcrop.access.installation import Installation
from outcrop.access.last_used import Use, Uses
from outcrop.access.names import Kind, is_temporary_key
from outcrop.access.needs import bedrock as actions_bedrock
from outcrop.access.needs.actions import needs, tag_keys_in, tags_in
from outcrop.access.needs.iam import ACCESS_KEY
from outcrop.access.needs.kms import of_service as through_service
from outcrop.access.needs.named import (
    ENDS_ARN,
    FOUNDATION,
    FindFoundation,
    Foundation,
    FoundRow,
    Named,
    named,
)
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission
from outcrop.access.policies.attachments import Attachments
from outcrop.access.policies.documents import Policy, PolicyForm, parse
from outcrop.access.policies.evaluation import Context, Decision
from outcrop.access.policies.key_policy import MENDING as MENDING_OF_KEYS
from outcrop.access.policies.key_policy import KeyRules
from outcrop.access.policies.trust import Principal, Trust, trust
from outcrop.access.policies.vector_bucket_policy import MENDING
from outcrop.access.records.identities import Identity
from outcrop.access.records.records import Records
from outcrop.access.request_context import circumstances, of_service
from outcrop.access.service_credentials import ServiceCredentials
from outcrop.access.sessions import Sessions, caller_is_session
from outcrop.clock import Clock
from outcrop.errors import Denied, Invalid, ServiceRefusal
from outcrop.keys.grants import KeyUse
from outcrop.keys.key import KEY, find_key, key_arn
from outcrop.settings import Settings
from outcrop.store.database import is_writing
from outcrop.store.resources import Row
from outcrop.store.store import Store

BEDROCK = "bedrock.amazonaws.com"
_IAM = "arn:aws:iam:"
PolicyOf = Callable[[str], Policy | None]
"The policy of a resource itself, by its ARN."
KeyRulesOf = Callable[[str], KeyRules | None]
"The policy and grants of a KMS key, by its ARN; None where there is no such key."
_NOTHING: Mapping[str, str] = {}
_RESOURCES = ("", "resources")
"Where a call keeps the ARNs that it was decided on."
_IDENTITIES = tuple(kind.value for kind in Kind)
_NAMED_IN_IAM = (*_IDENTITIES, ACCESS_KEY)
_DECIDED_LATER = {("sts", "AssumeRole"), ("s3", "DeleteObjects")}
"""By Sessions.assume_role, together with the role's trust policy; object by object, by `Access.refusals`."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """The users, roles and policies of one installation, and the decisions over them."""

    account: str
    identities: Identities
    attachments: Attachments
    credentials: Credentials
    sessions: Sessions
    decisions: Decisions
    uses: Uses
    aliases: Aliases
    store: Store
    foundation: FindFoundation
    rooms: installation.AccountRooms
    service_credentials: ServiceCredentials
    resource_policy: PolicyOf
    key_rules: KeyRulesOf

    @classmethod
    def open(
        cls,
        store: Store,
        settings: Settings,
        clock: Clock,
        *,
        object_tags: ObjectTagsOf = lambda _arn, _version: {},
        foundation: FindFoundation = lambda _identifier: None,
        resource_policy: PolicyOf = lambda _arn: None,
        key_rules: KeyRulesOf = lambda _arn: None,
        bucket_rules: BucketRulesOf = lambda _bucket: None,
    ) -> Self:
        """The access of this home; the first to open it makes the account. Raises MachineTrouble, see installation.

        `object_tags` is asked where a policy speaks of the tags of an object in a bucket, `foundation` for models of
        the catalogue, `resource_policy` for the policy of a vector bucket, `key_rules` for a KMS key's, `bucket_rules`
        for those of a bucket of S3: whoever opens it to decide about requests has to give all five.
        """
        records = Records(store.engine)
        rooms = installation.ensure(records, settings, clock)
        decisions = Decisions(
            records=records,
            attachments=rooms.attachments,
            marks=rooms.credentials.marks,
            remembered=DecisionCache(records.changes, lambda: is_writing(store.engine)),
            tags_of=lambda arn: records.tags_of(arn) if arn.startswith(_IAM) else store.tags.get(arns.tagged(arn)),
            object_tags=object_tags,
            bucket_rules=bucket_rules,
            clock=clock,
            account=rooms.account,
            administrator=arns.iam(rooms.account, f"user/{ADMINISTRATOR}"),
        )
        sessions = Sessions(
            records=records, attachments=rooms.attachments, credentials=rooms.credentials, decisions=decisions
        )
        return cls(
            account=rooms.account,
            identities=rooms.identities,
            attachments=rooms.attachments,
            credentials=rooms.credentials,
            sessions=sessions,
            decisions=decisions,
            uses=Uses(records),
            aliases=Aliases(records),
            store=store,
            foundation=foundation,
            rooms=rooms,
            service_credentials=ServiceCredentials(records, rooms.identities, rooms.account, clock),
            resource_policy=resource_policy,
            key_rules=key_rules,
        )

    @property
    def installation(self) -> Installation:
        """The account, access key and service role that a person needs here, the administrator's secret included."""
        return installation.describe(self.rooms)

    def secret_for(self, key_id: str) -> Credential | None:
        """The credential that a signature with this key is checked against; None when there is no such key."""
        return self.decisions.remembered.now().credentials.get(key_id, self.credentials.find)

    def secret_at_hand(self, key_id: str) -> Credential | None:
        """The credential of this key if it is in memory: never waits. None means: ask `secret_for`, in a thread."""
        return self.decisions.remembered.now().credentials.at_hand(key_id)

    def authorize(self, call: AuthorizableRequest) -> None:
        """Raises Denied at the first permission that the call needs and its caller lacks."""
        self._note_use(call)
        _check_session_kind(call)
        if (call.service, call.operation) in _DECIDED_LATER:
            return
        memory = self.decisions.remembered.now(since=call.started)
        again = None if call.line is None else (call.caller.user_id, call.region, call.line)
        known = None if again is None else memory.permitted.at_hand(again)
        if known is not None:
            call.found[_RESOURCES] = known
            return
        looked_up: list[str] = []
        asked = self._asked(call, looked_up)
        context, needed = _context(call, asked), needs(asked)
        call.found[_RESOURCES] = resources = _resources(needed)
        for need in needed:
            rules = self._rules_on(call.caller, need)
            if rules is not None:
                verdict = self.decisions.of_key(call.caller, need, context, rules, memory=memory)
            else:
                policy = self._policy_on(call.caller, need)
                verdict = self.decisions.of_caller(call.caller, need, context, memory=memory, policy=policy)
            if verdict.decision is not Decision.ALLOWED:
                raise refused(call.caller, need, verdict)
        if any(need.policy_of or need.key_use for need in needed):
            return  # that policy is no part of what the memory is held against
        for need in needed:
            rules_of_bucket = self.decisions.rules_of_bucket(memory, need)
            if rules_of_bucket is not None and rules_of_bucket.keys:
                return
        if again is not None and not looked_up and self.decisions.reads_policies_only(memory, call.caller):
            memory.permitted.keep(again, resources)

    def _policy_on(self, caller: Asker, need: RequiredPermission) -> Policy | None:
        """The policy of the resource itself. None of them keeps the administrator from mending it."""
        if not need.policy_of or (need.action in MENDING and caller.arn == self.decisions.administrator):
            return None
        return self.resource_policy(need.policy_of)

    def _rules_on(self, caller: Asker, need: RequiredPermission) -> KeyRules | None:
        """The rules of the key. None of them keeps the administrator from mending it."""
        if need.key_use is None or (need.action in MENDING_OF_KEYS and caller.arn == self.decisions.administrator):
            return None
        return self.key_rules(need.key_use.key_arn)

    def authorize_key(
        self, call: AuthorizableRequest, operation: str, key: str, *, service: str, pairs: Mapping[str, str]
    ) -> None:
        """Raises Denied where the caller may not do this with a key of KMS through a service. A key that is not there
        is nobody's to use."""
        need = self._through(operation, key, service, pairs)
        rules = self.key_rules(key)
        if rules is None:
            verdict = PolicyVerdict(decision=Decision.DENIED_IMPLICITLY, by="resource-based")
        else:
            context = _context(call, self._asked(call, []))
            verdict = self.decisions.of_key(call.caller, need, context, rules)
        if verdict.decision is not Decision.ALLOWED:
            raise refused(call.caller, need, verdict)

    def role_may_use_key(
        self,
        role_arn: str,
        operation: str,
        key: str,
        *,
        service: str,
        pairs: Mapping[str, str],
        context: Context = _NOTHING,
    ) -> Decision:
        """The decision about a key of KMS for a job under a role, which uses it through a service."""
        role, rules = self._role(role_arn), self.key_rules(key)
        if role is None or rules is None:
            return Decision.DENIED_IMPLICITLY
        asker = Caller(arn=role.arn, account=self.account, user_id=role.id, key_id="")
        need = self._through(operation, key, service, pairs)
        return self.decisions.of_key(asker, need, context, rules).decision

    def service_may_use_key(
        self,
        principal: str,
        operation: str,
        key: str,
        *,
        service: str,
        pairs: Mapping[str, str],
        about: Context = _NOTHING,
    ) -> bool:
        """Whether the policy of a key lets a service use it in its own name, such as `bedrock.amazonaws.com`.

        `service` is the one through which it does. `about` are the condition keys about what it does that for, such as
        aws:SourceArn.
        """
        rules = self.key_rules(key)
        if rules is None:
            return False
        need = self._through(operation, key, service, pairs)
        said = trust(
            rules.policy,
            Principal(service=principal),
            action=need.action,
            resources=(key,),
            context={**of_service(principal), **about, **self.decisions.moment(), **rules.known, **need.context},
        )
        return said is Trust.NAMED

    def _through(self, operation: str, key: str, service: str, pairs: Mapping[str, str]) -> RequiredPermission:
        named = arns.parse(key)
        region = named.region if named is not None else ""
        return through_service(operation, key, account=self.account, service=service, region=region, pairs=pairs)

    def may_put_policy(self, call: AuthorizableRequest, rules: KeyRules) -> bool:
        """Whether the caller could put a policy on a key that has these rules."""
        action = "PutKeyPolicy"
        arn = key_arn(call.region, self.account, str(call.params.get("KeyId", "new")).rpartition("/")[2])
        need = RequiredPermission(
            action=f"kms:{action}",
            resource=arn,
            context={"kms:CallerAccount": self.account},
            key_use=KeyUse(key_arn=arn, operation=action),
        )
        context = _context(call, self._asked(call, []))
        return self.decisions.of_key(call.caller, need, context, rules).decision is Decision.ALLOWED

    def refusals(self, call: AuthorizableRequest) -> list[Denied | None]:
        """A refusal for every permission that the call needs, in order; None where its caller has the permission."""
        asked = self._asked(call, [])
        context, found = _context(call, asked), list[Denied | None]()
        for need in needs(asked):
            verdict = self.decisions.of_caller(call.caller, need, context)
            allowed = verdict.decision is Decision.ALLOWED
            found.append(None if allowed else refused(call.caller, need, verdict))
        return found

    def resources(self, call: AuthorizableRequest) -> tuple[str, ...]:
        """The ARNs of what the call names, which was decided on.

        What it would make is left out: nobody knows those ids yet.
        """
        if _RESOURCES not in call.found:
            call.found[_RESOURCES] = _resources(needs(self._asked(call, [])))
        found: tuple[str, ...] = call.found[_RESOURCES]
        return found

    def role_may(self, role_arn: str, action: str, resource: str, context: Context = _NOTHING) -> Decision:
        """The decision of a role's policies about an action of a job under it. A role that is gone may nothing."""
        role = self._role(role_arn)
        if role is None:
            return Decision.DENIED_IMPLICITLY
        return self.decisions.of_role(role, RequiredPermission(action=action, resource=resource), context)

    def check_role_may_ask(
        self, role_arn: str, service: str, operation: str, params: Mapping[str, Any], *, region: str
    ) -> None:
        """Raises Denied at the first permission that an operation needs and the role lacks under which it is asked."""
        role = self._role(role_arn)
        asked = RequestedOperation(
            service=service,
            operation=operation,
            params=params,
            region=region,
            account=self.account,
            find=lambda kind, name: self._find(region, kind, name),
            foundation=self.foundation,
            caller_arn=role_arn,
        )
        context = {
            "aws:RequestedRegion": region,
            "aws:SecureTransport": "true",
            "aws:ViaAWSService": "false",
            "aws:PrincipalIsAWSService": "false",
            **_about_tags(asked),
        }
        for need in needs(asked):
            if role is None or self.decisions.of_role(role, need, context) is not Decision.ALLOWED:
                raise Denied(
                    f"The role {role_arn} is not authorized to perform: {need.action} on resource: {need.resource}. "
                    "Allow it in a policy of the role."
                )

    def assert_passable(self, role_arn: str, service: str = BEDROCK, *, source_arn: str = "") -> None:
        """Raises Invalid unless the role exists and trusts the service.

        `source_arn` is the ARN of what the service would take the role on for: trust policies of Bedrock's own pages
        demand that it is, say, a customization job of this account.
        """
        role = self._role(role_arn)
        if role is None or role.trust is None:
            raise Invalid(
                f"roleArn: there is no role {role_arn} in account {self.account}. Create it with iam.create_role first."
            )
        source = {"aws:SourceAccount": self.account, **({"aws:SourceArn": source_arn} if source_arn else {})}
        context = {**of_service(service), **self.decisions.moment(), **source}
        policy = parse(role.trust, PolicyForm.TRUST)
        principal = Principal(service=service)
        if trust(policy, principal, context=context) is Trust.NAMED:
            return
        if trust(_without_conditions(policy), principal, context=context) is Trust.NAMED:
            given = ", ".join(f"{key} {value}" for key, value in source.items())
            raise Invalid(
                f"roleArn: the trust policy of {role_arn} names {service}, but its conditions do not hold for {given}. "
                "Correct them with iam.update_assume_role_policy."
            )
        raise Invalid(
            f"roleArn: {service} cannot assume {role_arn}. Allow sts:AssumeRole to "
            f'{{"Service": "{service}"}} in its trust policy with iam.update_assume_role_policy.'
        )

    def session_of_service(
        self, role_arn: str, service: str, *, name: str, lasting: timedelta, source_arn: str = ""
    ) -> Issued:
        """Temporary credentials of a role that a service takes on, for a program that it runs. Raises Invalid."""
        self.assert_passable(role_arn, service, source_arn=source_arn)
        role = self._role(role_arn)
        assert role is not None, "it is passable"
        return self.credentials.start_session(role, name=name, lasting=lasting)

    def _role(self, role_arn: str) -> Identity | None:
        memory = self.decisions.remembered.now()
        identity = memory.identities.get(role_arn, self.identities.records.identities.with_arn)
        return identity if identity is not None and identity.kind == Kind.ROLE.value else None

    def named(self, call: AuthorizableRequest, member: str) -> Named:
        """The resource that an identifier of a request of Bedrock stands for: the one that was decided on."""
        return actions_bedrock.named(self._asked(call, []), member)

    def row(self, call: AuthorizableRequest, member: str) -> Row | None:
        """The row that the identifier stands for, as it was when found; None when there is no such thing."""
        thing = self.named(call, member)
        if not thing.is_known or thing.foundation is not None:
            return None
        key = thing.kind, call.params.get(member, thing.arn)  # what stands deeper in a request is found by its ARN
        if key not in call.found:  # an ARN says by itself what it stands for
            call.found[key] = self._find(call.region, *key)
        row = call.found[key]
        return row if isinstance(row, Row) else None

    def find_named(self, region: str, identifier: str, kinds: Sequence[str]) -> tuple[Named, Row | None]:
        """The resource that an identifier stands for among these kinds, with its row.

        For what a job under a role is to use: the permission of its caller is not about that.
        """
        asked = RequestedOperation(
            service="bedrock",
            operation="",
            params={},
            region=region,
            account=self.account,
            find=lambda kind, name: self._find(region, kind, name),
            foundation=self.foundation,
        )
        thing = named(identifier, kinds, asked)
        if not thing.is_known or thing.foundation is not None:
            return thing, None
        found = self._find(region, thing.kind, thing.arn)
        return thing, found if isinstance(found, Row) else None

    def assert_same(self, call: AuthorizableRequest) -> None:
        """Raises ConcurrentModification when a name of IAM means something else than when it was decided on."""
        for (kind, name), found in call.found.items():
            if kind not in _NAMED_IN_IAM:
                continue
            now = self._find(call.region, kind, name)
            if (now and now.arn) != (found and found.arn):
                sentence = f"The {kind} {name} was changed by another request meanwhile. Send this one again."
                raise ServiceRefusal("ConcurrentModification", sentence, http_status=409)

    def _asked(self, call: AuthorizableRequest, looked_up: list[str]) -> RequestedOperation:
        """`looked_up` takes the names of other rooms' rows that the needs of this call depend on."""

        def find(kind: str, name: str) -> FoundRow | None:
            looked_up.append(name)
            if (kind, name) not in call.found:
                call.found[kind, name] = self._find(call.region, kind, name)
            found: FoundRow | None = call.found[kind, name]
            return found

        def foundation(identifier: str) -> Foundation | None:
            looked_up.append(identifier)
            if (FOUNDATION, identifier) not in call.found:
                call.found[FOUNDATION, identifier] = self.foundation(identifier)
            found: Foundation | None = call.found[FOUNDATION, identifier]
            return found

        return RequestedOperation(
            service=call.service,
            operation=call.operation,
            params=call.params,
            region=call.region,
            account=self.account,
            find=find,
            foundation=foundation,
            caller_arn=call.caller.arn,
        )

    def admits_strangers(self, bucket: str) -> bool:
        """Whether anything may be done in a bucket without a signature."""
        rules = self.decisions.remembered.now().buckets.get(bucket, self.decisions.bucket_rules)
        return rules is not None and rules.admits_strangers

    def note_change(self, connection: Connection) -> None:
        """Within the transaction that changes the rules of a bucket: what is remembered of them is void then."""
        self.decisions.records.changes.note(connection)

    def knows(self, arn: str) -> bool:
        """Whether the user or role with this ARN is there."""
        return self.identities.records.identities.with_arn(arn) is not None

    def _note_use(self, call: AuthorizableRequest) -> None:
        if not call.caller.key_id:  # a stranger has none
            return
        use = Use(at=self.decisions.clock.now(), service=call.service, region=call.region)
        if not is_temporary_key(call.caller.key_id):
            self.uses.note(call.caller.key_id, use)
        elif caller_is_session(call.caller):
            self.uses.note(call.caller.user_id.partition(":")[0], use)

    def _find(self, region: str, kind: str, name: str) -> FoundRow | None:
        """The identity or resource that a spelling stands for.

        A resource of the region is found by ARN, name or the ARN's end.
        """
        if kind in _IDENTITIES:
            return self.identities.records.identities.named(Kind(kind), name)
        if kind == ACCESS_KEY:
            key = self.identities.records.keys.find(name)
            return self.identities.records.identities.with_id(key.identity_id) if key else None
        resources = self.store.resources
        if kind == KEY:
            return find_key(resources, region, self.account, name)
        if name.startswith("arn:"):
            row = resources.row(name)
        else:
            row = resources.row_named(kind, region, name)
            if row is None and ENDS_ARN.search(name):
                row = resources.row(arns.bedrock(region, self.account, f"{kind}/{name}"))
        return row if row is not None and (row.kind, row.region) == (kind, region) else None


def _context(call: AuthorizableRequest, asked: RequestedOperation) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of the request itself, whichever permission it needs."""
    return circumstances(call) | _about_tags(asked)


def _about_tags(asked: RequestedOperation) -> dict[str, str | tuple[str, ...]]:
    """The condition keys about the tags that a request brings or takes away."""
    tags = tags_in(asked)
    context: dict[str, str | tuple[str, ...]] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    keys = tag_keys_in(asked, tags)
    if keys:
        context["aws:TagKeys"] = keys
    return context


def _resources(needed: Iterable[RequiredPermission]) -> tuple[str, ...]:
    named = dict.fromkeys(need.resource for need in needed)
    return tuple(each for each in named if each != "*" and not each.endswith((":*", "/*")))


def _check_session_kind(call: AuthorizableRequest) -> None:
    """Temporary credentials of a user reach neither IAM nor, but for two operations, STS."""
    if not is_temporary_key(call.caller.key_id) or caller_is_session(call.caller):
        return
    if call.service == "iam":
        sentence = "The security token included in the request is invalid"
        raise ServiceRefusal("InvalidClientTokenId", sentence, http_status=403)
    if call.service == "sts" and call.operation not in ("AssumeRole", "GetCallerIdentity"):
        raise Denied(f"Cannot call {call.operation} with session credentials")


def _without_conditions(policy: Policy) -> Policy:
    return replace(policy, statements=tuple(replace(each, conditions=()) for each in policy.statements))
