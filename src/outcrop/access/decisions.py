"""Whether an identity of this account may do something: its policies put together with what is known of the request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from outcrop import arn as arns
from outcrop.access.caller import Asker
from outcrop.access.decision_cache import (
    CachedDecisions,
    DecisionCache,
    PolicyVerdict,
    Subject,
    Terms,
)
from outcrop.access.names import is_temporary_key
from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.access.needs.s3 import EVERY_BUCKET, TAGGED_OBJECT_ACTIONS
from outcrop.access.policies.attachments import Attachments
from outcrop.access.policies.bucket_policy import (
    ANONYMOUS,
    MENDING,
    BucketRules,
    Visitor,
    Voice,
    bucket_in,
)
from outcrop.access.policies.bucket_policy import judge as judge_bucket
from outcrop.access.policies.documents import Effect, Matcher, Policy, Statement, parse
from outcrop.access.policies.evaluation import (
    SEVERITY,
    Context,
    Decision,
    decide,
    normalized,
)
from outcrop.access.policies.key_policy import KeyRules, judge
from outcrop.access.policies.patterns import Values
from outcrop.access.policies.trust import Principal, Trust, trust
from outcrop.access.records.identities import Identity
from outcrop.access.records.records import Records
from outcrop.access.session_marks import UNMARKED, MarkRecords
from outcrop.clock import Clock
from outcrop.errors import Denied

TagsOf = Callable[[str], dict[str, str]]
"The tags of a resource, by ARN."
ObjectTagsOf = Callable[[str, str | None], dict[str, str]]
"The tags of an object in a bucket, by ARN, and by version where one is named."
BucketRulesOf = Callable[[str], BucketRules | None]
"The policy and access block of a bucket, by name; None where there is no such bucket, or none can have a policy."


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Decisions over the identities on record."""

    records: Records
    attachments: Attachments
    marks: MarkRecords
    remembered: DecisionCache
    tags_of: TagsOf
    object_tags: ObjectTagsOf
    bucket_rules: BucketRulesOf
    clock: Clock
    account: str
    administrator: str
    "The ARN of who can mend any policy of a bucket."

    def identity_of(self, caller: Asker) -> Identity | None:
        """The user or role behind a caller; None when it was deleted meanwhile."""
        subject = self._subject(self.remembered.now(), caller.user_id.partition(":")[0])
        return None if subject is None else subject.identity

    def of_caller(
        self,
        caller: Asker,
        need: RequiredPermission,
        context: Context,
        *,
        memory: CachedDecisions | None = None,
        policy: Policy | None = None,
    ) -> PolicyVerdict:
        """The verdict of the caller's policies, and in a limited session of the session's too: both must allow.

        `policy` is the resource's own: what it denies is denied, and whom it names needs no policy of his own. The
        policy of a bucket of S3 is looked up here, so it counts wherever a decision about its objects is made.
        """
        memory = memory or self.remembered.now()
        if caller.user_id == ANONYMOUS:
            return self._of_stranger(memory, need, context)
        subject = self._subject(memory, caller.user_id.partition(":")[0])
        if subject is None:
            return PolicyVerdict(decision=Decision.DENIED_IMPLICITLY)
        terms = memory.terms.get(caller.key_id, self._terms) if is_temporary_key(caller.key_id) else _NO_TERMS
        if terms is None:  # a session that was swept away may nothing
            return PolicyVerdict(decision=Decision.DENIED_IMPLICITLY, by="session")
        who = caller.user_id + caller.key_id if terms.limits else subject.identity.id
        context = {"aws:userid": caller.user_id, **context}
        own = self._verdict(memory, who, subject, terms, need, context)
        if own.decision is Decision.DENIED_EXPLICITLY:
            return own
        mends = need.action in MENDING and caller.arn == self.administrator
        rules = None if mends else self.rules_of_bucket(memory, need)
        if rules is not None:
            arns_of_caller = tuple(dict.fromkeys((subject.identity.arn, caller.arn)))
            return self._with_bucket(own, subject, terms, need, context, rules, arns_of_caller)
        if policy is None:
            return own
        about = self._about_request(_known(subject, terms), policy.keys, need, context)
        principal = Principal(arns=tuple(dict.fromkeys((subject.identity.arn, caller.arn))))
        said = trust(policy, principal, action=need.action, resources=need.matter.resources, context=about)
        if said is Trust.DENIED:
            return PolicyVerdict(decision=Decision.DENIED_EXPLICITLY, by=_OF_RESOURCE)
        if said is not Trust.NAMED or own.decision is Decision.ALLOWED:
            return own
        return self._given(subject, terms, need, context)

    def of_key(
        self,
        caller: Asker,
        need: RequiredPermission,
        context: Context,
        rules: KeyRules,
        *,
        memory: CachedDecisions | None = None,
    ) -> PolicyVerdict:
        """The verdict on the use of a KMS key: its policy or a grant must let in, nothing deny.

        Whom they name needs no policy of his own; where they name the account, the caller's policies decide.
        """
        use = need.key_use
        assert use is not None, "the permission is about a key"
        need = replace(need, context={**need.context, **rules.known})
        memory = memory or self.remembered.now()
        own = self.of_caller(caller, need, context, memory=memory)
        subject = self._subject(memory, caller.user_id.partition(":")[0])
        terms = memory.terms.get(caller.key_id, self._terms) if is_temporary_key(caller.key_id) else _NO_TERMS
        if subject is None or terms is None or own.decision is Decision.DENIED_EXPLICITLY:
            return own
        context = {"aws:userid": caller.user_id, **context}
        about = self._about_request(_known(subject, terms), rules.policy.keys, need, context)
        verdict = judge(
            rules,
            Principal(arns=tuple(dict.fromkeys((subject.identity.arn, caller.arn)))),
            action=need.action,
            resource=need.resource,
            use=use,
            context=about,
        )
        if verdict.said is Trust.DENIED:
            return PolicyVerdict(decision=Decision.DENIED_EXPLICITLY, by=_OF_RESOURCE)
        if verdict.said is Trust.NONE:
            return PolicyVerdict(decision=Decision.DENIED_IMPLICITLY, by=_OF_RESOURCE)
        if verdict.said is Trust.ACCOUNT or own.decision is Decision.ALLOWED:
            return own
        return _ALLOWED if verdict.is_named_itself else self._given(subject, terms, need, context)

    def rules_of_bucket(self, memory: CachedDecisions, need: RequiredPermission) -> BucketRules | None:
        """The rules of the bucket that a permission is about, where it has a policy; making a bucket asks none."""
        bucket = bucket_in(need.resource)
        if not bucket or need.action == _MAKING:
            return None
        rules = memory.buckets.get(bucket, self.bucket_rules)
        return None if rules is None or rules.policy is None else rules

    def _with_bucket(
        self,
        own: PolicyVerdict,
        subject: Subject,
        terms: Terms,
        need: RequiredPermission,
        context: Context,
        rules: BucketRules,
        arns_of_caller: tuple[str, ...],
    ) -> PolicyVerdict:
        """The verdict of the subject's own policies and the bucket's together."""
        assert rules.policy is not None, "rules without a policy say nothing"
        about = self._about_request(_known(subject, terms), rules.keys, need, context)
        visitor = Visitor(account=self.account, arns=arns_of_caller)
        said = judge_bucket(rules.policy, visitor, need.matter, about)
        if said is Voice.DENIED:
            return PolicyVerdict(decision=Decision.DENIED_EXPLICITLY, by=_OF_RESOURCE)
        if said not in (Voice.NAMED, Voice.ITSELF) or own.decision is Decision.ALLOWED:
            return own
        return _ALLOWED if said is Voice.ITSELF else self._given(subject, terms, need, context)

    def _of_stranger(self, memory: CachedDecisions, need: RequiredPermission, context: Context) -> PolicyVerdict:
        """The verdict on who signed nothing: only the policy of a bucket can let them in, unless its block forbids."""
        denied = PolicyVerdict(decision=Decision.DENIED_IMPLICITLY, by=_OF_RESOURCE)
        rules = self.rules_of_bucket(memory, need)
        if rules is None or rules.policy is None or not rules.admits_strangers:
            return denied
        known = {"aws:principaltype": ("Anonymous",), "aws:userid": (ANONYMOUS,)}
        about = self._about_request(known, rules.keys, need, context)
        said = judge_bucket(rules.policy, Visitor(), need.matter, about)
        if said is Voice.DENIED:
            return PolicyVerdict(decision=Decision.DENIED_EXPLICITLY, by=_OF_RESOURCE)
        return _ALLOWED if said is Voice.NAMED else denied

    def _given(self, subject: Subject, terms: Terms, need: RequiredPermission, context: Context) -> PolicyVerdict:
        """The verdict on what a resource gives to a principal by name: boundary and session still limit it."""
        granted = replace(subject, policies=(*subject.policies, _EVERYTHING))
        known = _known(subject, terms)
        return _decided(granted, terms.limits, need, self._about_request(known, _keys(subject, terms), need, context))

    def reads_policies_only(self, memory: CachedDecisions, caller: Asker) -> bool:
        """Whether no policy of this caller depends on more than action and resource: no condition, no session."""
        if is_temporary_key(caller.key_id):
            return False
        subject = self._subject(memory, caller.user_id)
        return subject is not None and not subject.keys

    def of_role(self, role: Identity, need: RequiredPermission, context: Context) -> Decision:
        """The decision of a role's policies about one permission, as of a job that runs under the role."""
        memory = self.remembered.now()
        subject = self._subject(memory, role.id)
        if subject is None:
            return Decision.DENIED_IMPLICITLY
        own = self._verdict(memory, role.id, subject, _NO_TERMS, need, context)
        rules = self.rules_of_bucket(memory, need)
        if rules is None or own.decision is Decision.DENIED_EXPLICITLY:
            return own.decision
        # Policies of buckets know the sessions of a role by its id and a name of their own: `AROA…:*`.
        of_session = {"aws:userid": f"{role.id}:{_JOB_SESSION}", **context}
        return self._with_bucket(own, subject, _NO_TERMS, need, of_session, rules, (role.arn,)).decision

    def known(self, identity: Identity, *, user_id: str = "") -> Context:
        """The condition keys about the one who asks and about the moment."""
        return {**_about(identity, self.account), "aws:userid": user_id or identity.id, **self.moment()}

    def known_of(self, caller: Asker, identity: Identity) -> Context:
        """The condition keys about a caller and about the moment, with those that its session is known by."""
        marks = self.marks.of(caller.key_id) if is_temporary_key(caller.key_id) else UNMARKED
        return normalized(self.known(identity, user_id=caller.user_id)) | normalized(marks.known)

    def _verdict(
        self,
        memory: CachedDecisions,
        who: str,
        subject: Subject,
        terms: Terms,
        need: RequiredPermission,
        context: Context,
    ) -> PolicyVerdict:
        keys = _keys(subject, terms)
        about = self._about_request(_known(subject, terms), keys, need, context) if keys else {}
        question = (who, need.matter, tuple(about.items()))
        verdict = memory.verdicts.get(question, lambda _question: _decided(subject, terms.limits, need, about))
        assert verdict is not None, "every question has an answer"
        return verdict

    def _about_request(
        self, known: Mapping[str, Values], keys: frozenset[str], need: RequiredPermission, context: Context
    ) -> dict[str, Values]:
        """The values of the request for these condition keys, and nothing else. `known`: about who asks."""
        known = {**known}
        known |= normalized(context) | normalized(need.context)
        if not _MOMENT.isdisjoint(keys):
            known |= normalized(self.moment())
        if need.resource not in ("*", EVERY_BUCKET):
            own = arns.parse(need.resource)
            # Buckets and foundation models have no account in their ARN; another's ARN has that of its owner.
            owner = own.account if own is not None and arns.is_account(own.account) else self.account
            known.setdefault("aws:resourceaccount", (owner,))
            if need.action.startswith("s3:"):
                known.setdefault("s3:resourceaccount", (owner,))
            if any("resourcetag/" in key for key in keys):
                tags = self.tags_of(need.resource)
                # A service may have the key under its own prefix too: iam:ResourceTag/…
                for prefix in ("aws", need.action.partition(":")[0]):
                    known |= {f"{prefix}:resourcetag/{key.lower()}": (value,) for key, value in tags.items()}
            if need.action in TAGGED_OBJECT_ACTIONS and any(key.startswith(_OBJECT_TAG) for key in keys):
                version = normalized(need.context).get("s3:versionid", (None,))[0]
                tags = self.object_tags(need.resource, version)
                known |= {f"{_OBJECT_TAG}{key.lower()}": (value,) for key, value in tags.items()}
        return {key: known[key] for key in sorted(keys) if key in known}

    def moment(self) -> dict[str, str]:
        """The condition keys about the time."""
        now = self.clock.now()
        return {"aws:CurrentTime": now.isoformat(), "aws:EpochTime": str(int(now.timestamp()))}

    def _subject(self, memory: CachedDecisions, identity_id: str) -> Subject | None:
        return memory.subjects.get(identity_id, self._read_subject)

    def _read_subject(self, identity_id: str) -> Subject | None:
        identity = self.records.identities.with_id(identity_id)
        if identity is None:
            return None
        policies, boundary = tuple(self.attachments.of(identity)), self.attachments.boundary_of(identity)
        return Subject(
            identity=identity,
            policies=policies,
            boundary=boundary,
            known=normalized(_about(identity, self.account)),
            keys=frozenset().union(*(each.keys for each in policies), boundary.keys if boundary else ()),
        )

    def _terms(self, key_id: str) -> Terms | None:
        session = self.records.keys.session(key_id)
        if session is None:
            return None
        limits = tuple(parse(each) for each in session.policies)
        return Terms(limits=limits, known=normalized(self.marks.of(key_id).known))


_NO_TERMS = Terms()
_OF_RESOURCE = "resource-based"
_JOB_SESSION = "outcrop"
_MAKING = "s3:CreateBucket"
_ALLOWED = PolicyVerdict(decision=Decision.ALLOWED, by=_OF_RESOURCE)
_EVERYTHING = Policy(
    statements=(Statement(effect=Effect.ALLOW, actions=Matcher(patterns=("*",)), resources=Matcher(patterns=("*",))),)
)
"Of a subject that is given what it asks for; a Deny of its own policies still holds."
_OBJECT_TAG = "s3:existingobjecttag/"
_MOMENT = frozenset(("aws:currenttime", "aws:epochtime"))


def _known(subject: Subject, terms: Terms) -> dict[str, Values]:
    """The condition keys about who asks."""
    return {"aws:userid": (subject.identity.id,), **subject.known, **terms.known}


def _keys(subject: Subject, terms: Terms) -> frozenset[str]:
    """The condition keys that any policy of the subject or its session reads."""
    return subject.keys.union(*(policy.keys for policy in terms.limits)) if terms.limits else subject.keys


def _decided(subject: Subject, limits: tuple[Policy, ...], need: RequiredPermission, about: Context) -> PolicyVerdict:
    """The whole of it: an explicit deny anywhere refuses, and each kind of policy that is there must allow."""
    kinds = [("identity-based", subject.policies)]
    kinds += [("permissions boundary", (subject.boundary,))] if subject.boundary is not None else []
    kinds += [("session", limits)] if limits else []
    verdicts = [PolicyVerdict(decision=decide(policies, need.matter, about), by=by) for by, policies in kinds]
    return min(verdicts, key=lambda each: SEVERITY[each.decision])


def _about(identity: Identity, account: str) -> dict[str, str | tuple[str, ...]]:
    about: dict[str, str | tuple[str, ...]] = {
        "aws:PrincipalAccount": account,
        "aws:PrincipalArn": identity.arn,
        "aws:PrincipalType": "User" if identity.kind == "user" else "AssumedRole",
        **{f"aws:PrincipalTag/{key}": value for key, value in identity.tags.items()},
    }
    if identity.kind == "user":
        about["aws:username"] = identity.name
    return about


_POLICY = {"permissions boundary": ""}
"""What follows a kind of policy in AWS's sentence: `no permissions boundary allows`, `no session policy allows`."""


def refused(caller: Asker, need: RequiredPermission, verdict: PolicyVerdict) -> Denied:
    """The refusal in AWS's sentence: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    if caller.user_id == ANONYMOUS:
        return Denied("Access Denied")
    where = ""
    if need.resource not in ("*", EVERY_BUCKET):
        shown = need.shown or need.resource
        where = f' on resource: "{shown}"' if need.action.startswith("s3:") else f" on resource: {shown}"
    if verdict.decision is Decision.DENIED_EXPLICITLY:
        article = "an" if verdict.by[0] in "aeiou" else "a"
        why = f"with an explicit deny in {article} {verdict.by}{_POLICY.get(verdict.by, ' policy')}"
    else:
        why = f"because no {verdict.by}{_POLICY.get(verdict.by, ' policy')} allows the {need.action} action"
    return Denied(f"User: {caller.arn} is not authorized to perform: {need.action}{where} {why}")
