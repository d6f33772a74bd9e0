"""What the door and the jobs ask: may this caller, may this role, and in which words not."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from outcrop.access.access import Access
from outcrop.access.caller import Caller
from outcrop.access.credentials import Issued
from outcrop.access.names import Kind
from outcrop.access.policies.evaluation import Decision
from outcrop.clock import MovableClock
from outcrop.errors import Denied, Invalid, OutcropError, ServiceRefusal
from outcrop.store.resources import Resource
from outcrop.store.store import Store
from tests.support.policies import policy, trusting

REGION = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A call, as far as authorization looks at one."""

    service: str
    operation: str
    caller: Caller
    params: Mapping[str, Any] = field(default_factory=dict)
    region: str = REGION
    headers: Mapping[str, str] = field(default_factory=dict)
    source_ip: str = "127.0.0.1"
    secure: bool = False
    known: Mapping[str, str] = field(default_factory=dict)
    started: float = math.inf
    line: Hashable | None = None
    found: dict[tuple[str, str], Any] = field(default_factory=dict)


BEDROCK = trusting({"Service": "bedrock.amazonaws.com"})


def caller_with(access: Access, key_id: str) -> Caller:
    credential = access.secret_for(key_id)
    assert credential is not None
    return credential.caller


@pytest.fixture
def jane(access: Access) -> Caller:
    """A user without any policy."""
    access.identities.create_user("jane")
    return caller_with(access, access.credentials.create_key("jane").key_id)


def allow(access: Access, document: str, name: str = "p") -> None:
    access.attachments.put_inline(Kind.USER, "jane", name, document)


def refusal(access: Access, call: Asking) -> str:
    with pytest.raises(Denied) as denied:
        access.authorize(call)
    return denied.value.message


def may(access: Access, call: Asking) -> bool:
    try:
        access.authorize(call)
    except Denied:
        return False
    return True


def test_the_administrator_may_do_everything(access: Access, jane: Caller) -> None:
    admin = caller_with(access, access.installation.access_key_id)
    for service, operation, params in (
        ("iam", "CreateUser", {"UserName": "x"}),
        ("bedrock", "ListCustomModels", {}),
        ("s3", "DeleteBucket", {"Bucket": "b"}),
    ):
        answers = [
            may(access, Asking(service=service, operation=operation, params=params, caller=each))
            for each in (admin, jane)
        ]
        assert answers == [True, False], operation


def test_who_has_no_policy_may_learn_who_he_is_and_nothing_else(access: Access, jane: Caller) -> None:
    access.authorize(Asking(service="sts", operation="GetCallerIdentity", caller=jane))
    allow(access, policy("Deny", "sts:*"))
    access.authorize(Asking(service="sts", operation="GetCallerIdentity", caller=jane))
    assert refusal(access, Asking(service="bedrock", operation="ListCustomModels", caller=jane)) == (
        f"User: arn:aws:iam::{access.account}:user/jane is not authorized to perform: bedrock:ListCustomModels "
        "because no identity-based policy allows the bedrock:ListCustomModels action"
    )


def test_a_refusal_names_the_resource(access: Access, jane: Caller) -> None:
    model = "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-express-v1"
    call = Asking(service="bedrock-runtime", operation="Converse", params={"modelId": model}, caller=jane)
    assert refusal(access, call) == (
        f"User: arn:aws:iam::{access.account}:user/jane is not authorized to perform: bedrock:InvokeModel "
        f"on resource: {model} because no identity-based policy allows the bedrock:InvokeModel action"
    )


def test_an_explicit_deny_is_said(access: Access, jane: Caller) -> None:
    allow(access, policy("Allow", "*"), "a")
    allow(access, policy("Deny", "s3:PutObject", "arn:aws:s3:::bucket/secret/*"), "b")
    call = Asking(service="s3", operation="PutObject", params={"Bucket": "bucket", "Key": "secret/x"}, caller=jane)
    assert refusal(access, call) == (
        f"User: arn:aws:iam::{access.account}:user/jane is not authorized to perform: s3:PutObject "
        'on resource: "arn:aws:s3:::bucket/secret/x" with an explicit deny in an identity-based policy'
    )
    access.authorize(Asking(service="s3", operation="PutObject", params={"Bucket": "bucket", "Key": "x"}, caller=jane))


def test_a_job_needs_permission_to_pass_its_role(access: Access, jane: Caller) -> None:
    role = access.installation.service_role_arn
    params = {"baseModelIdentifier": "titan", "roleArn": role, "jobName": "j", "customModelName": "m"}
    call = Asking(service="bedrock", operation="CreateModelCustomizationJob", params=params, caller=jane)
    access.attachments.attach(Kind.USER, "jane", "arn:aws:iam::aws:policy/AmazonBedrockFullAccess")
    assert refusal(access, call) == (
        f"User: arn:aws:iam::{access.account}:user/jane is not authorized to perform: iam:PassRole "
        f"on resource: {role} because no identity-based policy allows the iam:PassRole action"
    )
    passing = {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}
    allow(access, policy("Allow", "iam:PassRole", role, **passing))
    access.authorize(call)
    allow(access, policy("Allow", "iam:PassRole", role, StringEquals={"iam:PassedToService": "lambda.amazonaws.com"}))
    assert "iam:PassRole" in refusal(access, call)


def test_a_definition_for_a_pipeline_needs_permission_to_pass_the_role_that_it_has(
    access: Access, jane: Caller, store: Store, clock: MovableClock
) -> None:
    arn = f"arn:aws:sagemaker:{REGION}:{access.account}:pipeline/chain"
    role = f"arn:aws:iam::{access.account}:role/of-others"
    document = {"RoleArn": role, "definition": "{}"}
    row = Resource(
        arn=arn, kind="pipeline", region=REGION, name="chain", status="Active", created=clock.now(),
        updated=clock.now(), document=document,
    )  # fmt: skip
    store.resources.add(row)
    allow(access, policy("Allow", "sagemaker:*"))

    def update(**members: Any) -> Asking:
        params = {"PipelineName": "chain", **members}
        return Asking(service="sagemaker", operation="UpdatePipeline", params=params, caller=jane)

    for members in ({"PipelineDefinition": "{}"}, {"PipelineDefinitionS3Location": {"Bucket": "b", "ObjectKey": "k"}}):
        assert f"iam:PassRole on resource: {role} because" in refusal(access, update(**members))
    access.authorize(update(PipelineDescription="what runs under the role stays as it is"))
    passed = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    allow(access, policy("Allow", "iam:PassRole", role, **passed), "pass")
    access.authorize(update(PipelineDefinition="{}"))


def test_conditions_know_the_user_the_region_the_time_and_the_tags(
    access: Access, jane: Caller, clock: MovableClock
) -> None:
    call = Asking(
        service="bedrock",
        operation="CreateProvisionedModelThroughput",
        params={"modelId": "titan", "tags": [{"key": "team", "value": "blue"}]},
        caller=jane,
    )
    for condition, holds in (
        ({"StringEquals": {"aws:username": "jane"}}, True),
        ({"StringEquals": {"aws:userid": jane.user_id}}, True),
        ({"StringEquals": {"aws:PrincipalAccount": access.account}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/j*"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": REGION}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2026-01-02T00:00:00Z"}}, True),
        ({"NumericEquals": {"aws:EpochTime": str(int(clock.now().timestamp()))}}, True),
        ({"StringEquals": {"aws:RequestTag/team": "blue"}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]}}, False),
        ({"StringEquals": {"aws:ResourceAccount": access.account}}, True),
    ):
        allow(access, policy("Allow", "bedrock:*", **condition))
        assert may(access, call) is holds, condition
    allow(access, policy("Allow", "bedrock:*", DateLessThan={"aws:CurrentTime": "2026-01-02T00:00:00Z"}))
    assert may(access, call)
    clock.move(timedelta(days=2))
    assert not may(access, call)


def test_a_resource_is_judged_by_its_own_arn_and_tags_when_it_is_called_by_name(
    access: Access, jane: Caller, store: Store, clock: MovableClock
) -> None:
    arn = f"arn:aws:bedrock:{REGION}:{access.account}:custom-model/titan/abcdefghijkl"
    now = clock.now()
    store.resources.add(Resource(arn=arn, kind="custom-model", region=REGION, name="poems", created=now, updated=now))
    store.tags.put(arn, {"team": "blue"})
    call = Asking(service="bedrock", operation="GetCustomModel", params={"modelIdentifier": "poems"}, caller=jane)
    for document, allowed in (
        (policy("Allow", "bedrock:GetCustomModel", arn), True),
        (policy("Allow", "bedrock:GetCustomModel", f"{arn}x"), False),
        (policy("Allow", "bedrock:*", StringEquals={"aws:ResourceTag/team": "blue"}), True),
        (policy("Allow", "bedrock:*", StringEquals={"aws:ResourceTag/team": "red"}), False),
    ):
        allow(access, document)
        assert may(access, call) is allowed, document


def test_a_user_who_was_deleted_meanwhile_may_nothing(access: Access, jane: Caller) -> None:
    access.credentials.delete_key("jane", jane.key_id)
    access.identities.delete(Kind.USER, "jane")
    access.identities.create_user("jane")
    access.attachments.attach(Kind.USER, "jane", "arn:aws:iam::aws:policy/AdministratorAccess")
    assert not may(access, Asking(service="bedrock", operation="ListCustomModels", caller=jane))
    again = caller_with(access, access.credentials.create_key("jane").key_id)
    assert may(access, Asking(service="bedrock", operation="ListCustomModels", caller=again))


# Roles of jobs


def test_a_role_may_what_its_policies_say(access: Access) -> None:
    role = access.identities.create_role("Tuning", trust=BEDROCK).arn
    key = "arn:aws:s3:::bucket/train.jsonl"
    assert access.role_may(role, "s3:GetObject", key) is Decision.DENIED_IMPLICITLY
    access.attachments.attach(Kind.ROLE, "Tuning", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    assert access.role_may(role, "s3:GetObject", key) is Decision.ALLOWED
    access.attachments.put_inline(Kind.ROLE, "Tuning", "never", policy("Deny", "s3:*", key))
    assert access.role_may(role, "s3:GetObject", key) is Decision.DENIED_EXPLICITLY
    assert access.role_may(f"{role}2", "s3:GetObject", key) is Decision.DENIED_IMPLICITLY
    user = f"arn:aws:iam::{access.account}:user/admin"
    assert access.role_may(user, "s3:GetObject", key) is Decision.DENIED_IMPLICITLY, "a user is no role"


def test_the_conditions_of_a_roles_policy_are_kept(access: Access) -> None:
    role = access.identities.create_role("Tuning", trust=BEDROCK).arn
    listing = policy("Allow", "s3:ListBucket", StringEquals={"aws:ResourceAccount": access.account, "s3:prefix": "a/"})
    access.attachments.put_inline(Kind.ROLE, "Tuning", "list", listing)
    assert access.role_may(role, "s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": "a/"}) is Decision.ALLOWED
    assert access.role_may(role, "s3:ListBucket", "arn:aws:s3:::b") is Decision.DENIED_IMPLICITLY


def invalid(access: Access, role: str, **more: str) -> str:
    with pytest.raises(Invalid) as refused:
        access.assert_passable(role, **more)
    return refused.value.message


def test_a_job_cannot_run_under_a_role_that_does_not_exist(access: Access) -> None:
    role = f"arn:aws:iam::{access.account}:role/none"
    assert invalid(access, role) == (
        f"roleArn: there is no role {role} in account {access.account}. Create it with iam.create_role first."
    )


def test_a_job_cannot_run_under_a_role_that_does_not_trust_bedrock(access: Access) -> None:
    role = access.identities.create_role("Tuning", trust=trusting({"Service": "sagemaker.amazonaws.com"})).arn
    assert invalid(access, role) == (
        f"roleArn: bedrock.amazonaws.com cannot assume {role}. Allow sts:AssumeRole to "
        '{"Service": "bedrock.amazonaws.com"} in its trust policy with iam.update_assume_role_policy.'
    )
    access.identities.set_trust("Tuning", BEDROCK)
    access.assert_passable(role)


def test_a_trust_policy_may_ask_for_the_account_and_the_kind_of_job(access: Access) -> None:
    jobs = f"arn:aws:bedrock:{REGION}:{access.account}:model-customization-job/"
    conditions = {"StringEquals": {"aws:SourceAccount": access.account}, "ArnEquals": {"aws:SourceArn": f"{jobs}*"}}
    trust = trusting({"Service": "bedrock.amazonaws.com"}, **conditions)
    role = access.identities.create_role("Tuning", trust=trust).arn
    access.assert_passable(role, source_arn=f"{jobs}titan/abc")
    other = f"arn:aws:bedrock:{REGION}:{access.account}:model-import-job/abc"
    assert invalid(access, role, source_arn=other) == (
        f"roleArn: the trust policy of {role} names bedrock.amazonaws.com, but its conditions do not hold for "
        f"aws:SourceAccount {access.account}, aws:SourceArn {other}. "
        "Correct them with iam.update_assume_role_policy."
    )


# Sessions


def assume(access: Access, caller: Caller, role: str, **more: Any) -> Issued:
    return access.sessions.assume_role(caller, role_arn=role, session_name="today", context={}, **more).issued


def test_a_session_of_a_role_has_its_own_name_token_and_end(access: Access, jane: Caller, clock: MovableClock) -> None:
    role = access.identities.create_role("Work", trust=trusting({"AWS": jane.arn}))
    session = access.sessions.assume_role(jane, role_arn=role.arn, session_name="today", context={})
    assert session.issued.key_id.startswith("ASIA")
    credential = access.secret_for(session.issued.key_id)
    assert credential is not None
    assert credential.caller == session.caller
    assert credential.caller.arn == f"arn:aws:sts::{access.account}:assumed-role/Work/today"
    assert credential.caller.user_id == f"{role.id}:today"
    assert credential.secret == session.issued.secret
    assert credential.session_token == session.issued.session_token
    assert credential.expires == clock.now() + timedelta(hours=1)


def test_a_session_may_what_its_role_may_and_not_what_its_user_may(access: Access, jane: Caller) -> None:
    allow(access, policy("Allow", "s3:ListAllMyBuckets"))
    role = access.identities.create_role("Work", trust=trusting({"AWS": jane.arn})).arn
    access.attachments.put_inline(Kind.ROLE, "Work", "p", policy("Allow", "bedrock:ListCustomModels"))
    caller = caller_with(access, assume(access, jane, role).key_id)
    access.authorize(Asking(service="bedrock", operation="ListCustomModels", caller=caller))
    assert refusal(access, Asking(service="s3", operation="ListBuckets", caller=caller)) == (
        f"User: arn:aws:sts::{access.account}:assumed-role/Work/today is not authorized to perform: "
        "s3:ListAllMyBuckets because no identity-based policy allows the s3:ListAllMyBuckets action"
    )


def test_a_session_policy_narrows_and_never_widens(access: Access, jane: Caller) -> None:
    role = access.identities.create_role("Work", trust=trusting({"AWS": jane.arn})).arn
    access.attachments.put_inline(Kind.ROLE, "Work", "p", policy("Allow", "bedrock:*"))
    issued = assume(access, jane, role, policy=policy("Allow", ["bedrock:ListCustomModels", "s3:*"]))
    caller = caller_with(access, issued.key_id)
    access.authorize(Asking(service="bedrock", operation="ListCustomModels", caller=caller))
    assert refusal(access, Asking(service="bedrock", operation="ListGuardrails", caller=caller)).endswith(
        "because no session policy allows the bedrock:ListGuardrails action"
    )
    assert refusal(access, Asking(service="s3", operation="ListBuckets", caller=caller)).endswith(
        "because no identity-based policy allows the s3:ListAllMyBuckets action"
    )


def test_a_role_that_trusts_the_account_needs_the_users_policy_too(access: Access, jane: Caller) -> None:
    role = access.identities.create_role("Work", trust=trusting({"AWS": f"arn:aws:iam::{access.account}:root"})).arn
    with pytest.raises(Denied) as denied:
        assume(access, jane, role)
    assert denied.value.message == (
        f"User: {jane.arn} is not authorized to perform: sts:AssumeRole on resource: {role}"
    )
    allow(access, policy("Allow", "sts:AssumeRole", role))
    assume(access, jane, role)
    allow(access, policy("Deny", "sts:AssumeRole"))
    with pytest.raises(Denied):
        assume(access, jane, role)


def test_an_external_id_is_compared(access: Access, jane: Caller) -> None:
    trust = trusting({"AWS": jane.arn}, StringEquals={"sts:ExternalId": "7"})
    role = access.identities.create_role("Work", trust=trust).arn
    with pytest.raises(Denied):
        assume(access, jane, role)
    assume(access, jane, role, external_id="7")


def test_nobody_assumes_a_role_that_does_not_exist_or_does_not_know_him(access: Access, jane: Caller) -> None:
    allow(access, policy("Allow", "sts:AssumeRole"))
    for role in (f"arn:aws:iam::{access.account}:role/none", access.installation.service_role_arn):
        with pytest.raises(Denied):
            assume(access, jane, role)


def message_of(error: OutcropError) -> str:
    return error.message


def test_a_session_lasts_no_longer_than_its_role_allows(access: Access, jane: Caller, clock: MovableClock) -> None:
    trust = trusting({"AWS": access.account})
    allow(access, policy("Allow", "sts:AssumeRole"))
    role = access.identities.create_role("Work", trust=trust, max_session_s=7200).arn
    access.attachments.put_inline(Kind.ROLE, "Work", "p", policy("Allow", "sts:AssumeRole"))
    assert assume(access, jane, role, duration_s=7200).expires == clock.now() + timedelta(hours=2)
    with pytest.raises(ServiceRefusal) as refused:
        assume(access, jane, role, duration_s=7201)
    assert message_of(refused.value) == (
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    )
    chained = caller_with(access, assume(access, jane, role).key_id)
    with pytest.raises(ServiceRefusal) as refused:
        assume(access, chained, role, duration_s=3601)
    assert message_of(refused.value) == (
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
    )


def test_a_session_token_of_a_user_is_the_user_without_iam(access: Access, jane: Caller) -> None:
    access.attachments.attach(Kind.USER, "jane", "arn:aws:iam::aws:policy/AdministratorAccess")
    issued = access.sessions.session_of_user(jane)
    caller = caller_with(access, issued.key_id)
    assert (caller.arn, caller.user_id, caller.session_name) == (jane.arn, jane.user_id, None)
    access.authorize(Asking(service="bedrock", operation="ListCustomModels", caller=caller))
    access.authorize(Asking(service="sts", operation="GetCallerIdentity", caller=caller))
    with pytest.raises(ServiceRefusal) as refused:
        access.authorize(Asking(service="iam", operation="ListRoles", caller=caller))
    assert refused.value.code == "InvalidClientTokenId"
    with pytest.raises(Denied, match="Cannot call GetSessionToken with session credentials"):
        access.sessions.session_of_user(caller)


def test_sessions_end_with_their_role(access: Access, jane: Caller) -> None:
    role = access.identities.create_role("Work", trust=trusting({"AWS": jane.arn})).arn
    issued = assume(access, jane, role)
    access.identities.delete(Kind.ROLE, "Work")
    assert access.secret_for(issued.key_id) is None


def test_expired_sessions_are_swept_a_day_later(access: Access, jane: Caller, clock: MovableClock) -> None:
    role = access.identities.create_role("Work", trust=trusting({"AWS": jane.arn})).arn
    issued = assume(access, jane, role)
    clock.move(timedelta(hours=2))
    assume(access, jane, role)
    assert access.secret_for(issued.key_id) is not None, "the door can still say that it expired"
    clock.move(timedelta(days=1))
    assume(access, jane, role)
    assert access.secret_for(issued.key_id) is None
