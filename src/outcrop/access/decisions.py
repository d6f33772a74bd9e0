"""Whether an identity of this account may do something: its policies put together with what is known of the request."""

from collections.abc import Callable
from dataclasses import dataclass

from outcrop.access.attachments import Attachments
from outcrop.access.caller import Asker
from outcrop.access.documents import Policy, parse
from outcrop.access.evaluation import Context, Decision, evaluate
from outcrop.access.names import is_temporary_key
from outcrop.access.needs import Need
from outcrop.access.records import Identity, Records
from outcrop.clock import Clock
from outcrop.errors import Denied

TagsOf = Callable[[str], dict[str, str]]
"The tags of a resource, by ARN."


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A decision, and the kind of policy that made it: `identity-based` or `session`."""

    decision: Decision
    by: str = "identity-based"


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Decisions over the identities on record."""

    records: Records
    attachments: Attachments
    tags_of: TagsOf
    clock: Clock
    account: str

    def identity_of(self, caller: Asker) -> Identity | None:
        """The user or role behind a caller; None when it was deleted meanwhile."""
        return self.records.identity_with_id(caller.user_id.partition(":")[0])

    def of_caller(self, caller: Asker, need: Need, context: Context) -> Verdict:
        """What the caller's policies say, and in a limited session the session's policies too: both must allow."""
        identity = self.identity_of(caller)
        if identity is None:
            return Verdict(decision=Decision.DENIED_IMPLICITLY)
        known = {**self.known(identity, user_id=caller.user_id), **context}
        own = self.of_identity(identity, need, known)
        session = self.records.session(caller.key_id) if is_temporary_key(caller.key_id) else None
        if own is not Decision.ALLOWED or session is None or not session.policies:
            return Verdict(decision=own)
        limited = self._decide([parse(each) for each in session.policies], need, known)
        return Verdict(decision=limited, by="session")

    def of_identity(self, identity: Identity, need: Need, context: Context) -> Decision:
        return self._decide(list(self.attachments.of(identity)), need, {**self.known(identity), **context})

    def known(self, identity: Identity, *, user_id: str = "") -> dict[str, str | tuple[str, ...]]:
        """The condition keys about the one who asks and about the moment."""
        now = self.clock.now()
        about: dict[str, str | tuple[str, ...]] = {
            "aws:CurrentTime": now.isoformat(),
            "aws:EpochTime": str(int(now.timestamp())),
            "aws:PrincipalAccount": self.account,
            "aws:PrincipalArn": identity.arn,
            "aws:PrincipalType": "User" if identity.kind == "user" else "AssumedRole",
            "aws:userid": user_id or identity.id,
            **{f"aws:PrincipalTag/{key}": value for key, value in identity.tags.items()},
        }
        if identity.kind == "user":
            about["aws:username"] = identity.name
        return about

    def _decide(self, policies: list[Policy], need: Need, context: Context) -> Decision:
        """The policies' decision, with what is known about the resource put beside the context."""
        about = {**context, **need.context}
        if need.resource != "*":
            about.setdefault("aws:ResourceAccount", self.account)
            if any(policy.asks_for_tags for policy in policies):
                tags = self.tags_of(need.resource)
                about |= {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        return evaluate(policies, action=need.action, resource=need.resource, context=about)


def refused(caller: Asker, need: Need, verdict: Verdict) -> Denied:
    """The refusal in AWS's sentence: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    where = ""
    if need.resource != "*":
        where = (
            f' on resource: "{need.resource}"' if need.action.startswith("s3:") else f" on resource: {need.resource}"
        )
    if verdict.decision is Decision.DENIED_EXPLICITLY:
        article = "an" if verdict.by[0] in "aeiou" else "a"
        why = f"with an explicit deny in {article} {verdict.by} policy"
    else:
        why = f"because no {verdict.by} policy allows the {need.action} action"
    return Denied(f"User: {caller.arn} is not authorized to perform: {need.action}{where} {why}")
