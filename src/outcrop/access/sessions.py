"""Temporary credentials: who may take on a role, for how long, and what a session is limited to.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from dataclasses import dataclass
from datetime import timedelta

from outcrop import arn as arns
from outcrop.access.caller import Asker, Caller
from outcrop.access.credentials import Credentials, Issued, caller_of
from outcrop.access.decisions import Decisions
from outcrop.access.identities import DEFAULT_SESSION_S
from outcrop.access.names import is_temporary_key
from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.access.policies.arn_forms import is_role
from outcrop.access.policies.attachments import Attachments
from outcrop.access.policies.documents import PolicyForm, parse
from outcrop.access.policies.evaluation import Context, Decision, normalized
from outcrop.access.policies.new_documents import parse_new
from outcrop.access.policies.trust import (
    ASSUME_ROLE,
    Principal,
    Trust,
    trust,
)
from outcrop.access.records.identities import Identity
from outcrop.access.records.records import Records
from outcrop.access.session_marks import UNMARKED, Marks
from outcrop.errors import Denied, ServiceRefusal

CHAINED_SESSION_S = 3600
USER_SESSION_S = 43200


@dataclass(frozen=True, kw_only=True)
class Session:
    """Credentials of a role's session, and who they make the holder."""

    issued: Issued
    caller: Caller
    source_identity: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Sessions of the account's roles and users."""

    records: Records
    attachments: Attachments
    credentials: Credentials
    decisions: Decisions

    def assume_role(
        self,
        caller: Asker,
        *,
        role_arn: str,
        session_name: str,
        duration_s: int | None = None,
        policy: str | None = None,
        policy_arns: list[str] | None = None,
        external_id: str | None = None,
        asked: Marks = UNMARKED,
        context: Context,
    ) -> Session:
        """A new session of a role for the caller.

        Raises Denied unless the role's trust policy names the caller, or its account and the caller's own policies
        allow it: sts:AssumeRole, and what the session's marks need beside it, inherited ones included.
        """
        if not is_role(role_arn):
            raise _invalid(
                f"Request ARN is invalid: {role_arn} is none of a role, arn:aws:iam::123456789012:role/NAME."
            )
        marks = self._marks_of(caller).next(asked)
        role = self.records.identities.with_arn(role_arn)
        about = {**context, **asked.asked, "sts:RoleSessionName": session_name}
        if marks.source_identity is not None:
            about["sts:SourceIdentity"] = marks.source_identity
        if external_id is not None:
            about["sts:ExternalId"] = external_id
        for action in (ASSUME_ROLE, *marks.actions):
            if role is None or not self._may(caller, action, role, about):
                raise Denied(f"User: {caller.arn} is not authorized to perform: {action} on resource: {role_arn}")
        assert role is not None, "the first action asks for it"
        lasting = _lasting(role, duration_s, chained=caller_is_session(caller))
        limits = self._limits(policy, policy_arns or [])
        issued = self.credentials.start_session(role, name=session_name, lasting=lasting, policies=limits, marks=marks)
        holder = caller_of(role, issued.key_id, session_name=session_name)
        return Session(issued=issued, caller=holder, source_identity=marks.source_identity)

    def session_of_user(self, caller: Asker, *, duration_s: int | None = None) -> Issued:
        user = self.decisions.identity_of(caller)
        if user is None or is_temporary_key(caller.key_id):
            raise Denied("Cannot call GetSessionToken with session credentials")
        lasting = timedelta(seconds=duration_s or USER_SESSION_S)
        return self.credentials.start_session(user, name=None, lasting=lasting)

    def _marks_of(self, caller: Asker) -> Marks:
        return self.credentials.marks.of(caller.key_id) if is_temporary_key(caller.key_id) else UNMARKED

    def _may(self, caller: Asker, action: str, role: Identity, context: Context) -> bool:
        asking = self.decisions.identity_of(caller)
        if asking is None or role.trust is None:
            return False
        verdict = self.decisions.of_caller(caller, RequiredPermission(action=action, resource=role.arn), context)
        allowed = verdict.decision is Decision.ALLOWED
        # What a session's own policies leave out, no trust of another role gives back.
        if verdict.decision is Decision.DENIED_EXPLICITLY or (verdict.by == "session" and not allowed):
            return False
        principal = Principal(arns=tuple(dict.fromkeys((asking.arn, caller.arn))))
        about = {**self.decisions.known_of(caller, asking), **normalized(context)}
        found = trust(parse(role.trust, PolicyForm.TRUST), principal, action=action, context=about)
        return found is Trust.NAMED or (found is Trust.ACCOUNT and allowed)

    def _limits(self, policy: str | None, policy_arns: list[str]) -> list[str]:
        limits = [self.attachments.get(each).document for each in policy_arns]
        if policy is not None:
            parse_new(policy)
            limits.append(policy)
        return limits


def caller_is_session(caller: Asker) -> bool:
    """Whether the caller is a role already, and assuming another one chains them."""
    own = arns.parse(caller.arn)
    return own is not None and own.service == "sts"


def _lasting(role: Identity, duration_s: int | None, *, chained: bool) -> timedelta:
    seconds = duration_s or DEFAULT_SESSION_S
    if chained and seconds > CHAINED_SESSION_S:
        raise _invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    if seconds > int(role.document["max_session_s"]):
        raise _invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return timedelta(seconds=seconds)


def _invalid(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("ValidationError", sentence, http_status=400)
