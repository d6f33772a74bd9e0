"""Key policy, IAM, grants and encryption context together, as AWS documents their evaluation.

https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
https://docs.aws.amazon.com/kms/latest/developerguide/policy-conditions.html
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from outcrop.access.caller import Caller
from outcrop.access.names import Kind
from outcrop.api.door.call import Call
from outcrop.clock import MovableClock
from outcrop.errors import Denied
from outcrop.house import House
from outcrop.keys.grants import GrantConstraints
from outcrop.keys.key import KmsKey
from outcrop.keys.specs import SPECS, KeyUsage
from outcrop.settings import Settings
from tests.support.policies import trusting

REGION = "us-east-1"
ALLOWED = "allowed"
NO_IDENTITY, NO_RESOURCE = "no identity-based policy allows", "no resource-based policy allows"
DENY_IDENTITY, DENY_RESOURCE = "explicit deny in an identity-based", "explicit deny in a resource-based"
NO_BOUNDARY, NO_SESSION = "no permissions boundary allows", "no session policy allows"
ROOT, JANE, JOE = "arn:aws:iam::{account}:root", "arn:aws:iam::{account}:user/jane", "arn:aws:iam::{account}:user/joe"
ROLE, SESSION = "arn:aws:iam::{account}:role/worker", "arn:aws:sts::{account}:assumed-role/worker/shift"
STRANGER = "arn:aws:iam::999999999999:root"

Statement = dict[str, Any]


def let(principal: Any, action: Any = "kms:*", *, effect: str = "Allow", **more: Any) -> Statement:
    """A statement of a key policy."""
    named = principal if principal == "*" or isinstance(principal, dict) else {"AWS": principal}
    condition = more.pop("when", None)
    found = {"Effect": effect, "Principal": named, "Action": action, "Resource": "*", **more}
    return {**found, "Condition": condition} if condition else found


def deny(principal: Any, action: Any = "kms:*", **more: Any) -> Statement:
    return let(principal, action, effect="Deny", **more)


def may(action: Any = "kms:*", resource: Any = "*", *, effect: str = "Allow", when: Any = None) -> Statement:
    """A statement of an identity's policy."""
    found = {"Effect": effect, "Action": action, "Resource": resource}
    return {**found, "Condition": when} if when else found


def may_not(action: Any = "kms:*", resource: Any = "*", *, when: Any = None) -> Statement:
    return may(action, resource, effect="Deny", when=when)


def grant(grantee: str, *operations: str, retiring: str = "", within: Any = None) -> dict[str, Any]:
    """A grant, for an encryption context where `within` gives its constraints."""
    return {"grantee": grantee, "operations": operations, "retiring": retiring, "constraints": within}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question: who asks for what, under which rules, and the answer."""

    about: str
    verdict: str
    key: tuple[Statement, ...] = (let(ROOT),)
    own: tuple[Statement, ...] = ()
    grants: tuple[Mapping[str, Any], ...] = ()
    boundary: tuple[Statement, ...] = ()
    session: tuple[Statement, ...] = ()
    "Policies of the session itself."
    is_role: bool = False
    "A session of the role asks, and not the user."
    operation: str = "Encrypt"
    params: Mapping[str, Any] = field(default_factory=dict)
    alias: str = ""
    "Another name of the key, by which it is asked for."
    tags: Mapping[str, str] = field(default_factory=dict)


CONTEXT = {"EncryptionContext": {"tenant": "jane", "stage": "test"}}
OF_JANE = {"StringEquals": {"kms:EncryptionContext:tenant": "jane"}}
OF_JOE = {"StringEquals": {"kms:EncryptionContext:tenant": "joe"}}
ONLY_KEYS = {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant", "stage"]}}
SUBSET, EQUAL = {"EncryptionContextSubset": {"tenant": "jane"}}, {"EncryptionContextEquals": {"tenant": "jane"}}
ALL = may("kms:*")

CASES = [
    # The account in the key policy lets IAM decide; without it IAM says nothing about the key.
    Case(about="root and IAM", own=(ALL,), verdict=ALLOWED),
    Case(about="root, no IAM", verdict=NO_IDENTITY),
    Case(about="root, IAM on the key's ARN", own=(may("kms:Encrypt", "{key}"),), verdict=ALLOWED),
    Case(about="root, IAM on every key", own=(may("kms:Encrypt", "arn:aws:kms:*:*:key/*"),), verdict=ALLOWED),
    Case(about="root, IAM on another key", own=(may("kms:Encrypt", "{key}0"),), verdict=NO_IDENTITY),
    Case(about="root, IAM on an alias", own=(may("kms:Encrypt", "arn:aws:kms:*:*:alias/a"),), verdict=NO_IDENTITY),
    Case(about="root, another action", own=(may("kms:Decrypt"),), verdict=NO_IDENTITY),
    Case(about="root for one action only", key=(let(ROOT, "kms:Decrypt"),), own=(ALL,), verdict=NO_RESOURCE),
    Case(about="account number", key=(let("{account}"),), own=(ALL,), verdict=ALLOWED),
    Case(about="IAM alone", key=(let(JOE),), own=(ALL,), verdict=NO_RESOURCE),
    Case(about="neither", key=(let(JOE),), verdict=NO_RESOURCE),
    Case(about="administrator's policy alone", key=(let(JOE),), own=(may("*"),), verdict=NO_RESOURCE),
    Case(about="another account's root", key=(let(STRANGER),), own=(ALL,), verdict=NO_RESOURCE),
    Case(about="a service", key=(let({"Service": "s3.amazonaws.com"}),), own=(ALL,), verdict=NO_RESOURCE),
    # The key policy that names the principal is enough.
    Case(about="named user", key=(let(JANE),), verdict=ALLOWED),
    Case(about="named user, one action", key=(let(JANE, "kms:Encrypt"),), verdict=ALLOWED),
    Case(about="named user, another action", key=(let(JANE, "kms:Decrypt"),), verdict=NO_RESOURCE),
    Case(about="named among others", key=(let([JOE, JANE]),), verdict=ALLOWED),
    Case(about="everyone", key=(let("*"),), verdict=ALLOWED),
    Case(about="everyone of AWS", key=(let({"AWS": "*"}),), verdict=ALLOWED),
    Case(about="actions with a star", key=(let(JANE, "kms:Enc*"),), verdict=ALLOWED),
    Case(about="actions in another case", key=(let(JANE, "KMS:encrypt"),), verdict=ALLOWED),
    Case(about="all but an action", key=({**let(JANE), "NotAction": "kms:Encrypt"},), verdict=NO_RESOURCE),
    Case(about="second statement", key=(let(JOE), let(JANE)), verdict=ALLOWED),
    # An explicit deny anywhere holds.
    Case(about="IAM denies", key=(let(JANE),), own=(may_not("kms:Encrypt"),), verdict=DENY_IDENTITY),
    Case(about="key denies", key=(let(ROOT), deny(JANE)), own=(ALL,), verdict=DENY_RESOURCE),
    Case(about="key denies everyone", key=(let(JANE), deny("*", "kms:Encrypt")), verdict=DENY_RESOURCE),
    Case(about="key denies another", key=(let(JANE), deny(JOE)), verdict=ALLOWED),
    Case(about="key denies the account", key=(let(JANE), deny(ROOT)), verdict=DENY_RESOURCE),
    Case(about="key denies another action", key=(let(JANE), deny(JANE, "kms:Decrypt")), verdict=ALLOWED),
    Case(about="both deny", key=(deny(JANE),), own=(may_not(),), verdict=DENY_IDENTITY),
    # Grants.
    Case(about="granted", key=(let(JOE),), grants=(grant(JANE, "Encrypt"),), verdict=ALLOWED),
    Case(about="granted beside root", grants=(grant(JANE, "Encrypt"),), verdict=ALLOWED),
    Case(about="granted another operation", grants=(grant(JANE, "Decrypt"),), verdict=NO_IDENTITY),
    Case(about="granted to another", grants=(grant(JOE, "Encrypt"),), verdict=NO_IDENTITY),
    Case(about="a second grant", grants=(grant(JANE, "Sign"), grant(JANE, "Encrypt")), verdict=ALLOWED),
    Case(about="granted, IAM denies", grants=(grant(JANE, "Encrypt"),), own=(may_not(),), verdict=DENY_IDENTITY),
    Case(about="granted, key denies", key=(deny(JANE),), grants=(grant(JANE, "Encrypt"),), verdict=DENY_RESOURCE),
    Case(about="granted to the account", key=(let(JOE),), grants=(grant(ROOT, "Encrypt"),), verdict=NO_IDENTITY),
    Case(
        about="granted to the account, IAM", key=(let(JOE),), own=(ALL,), grants=(grant(ROOT, "Encrypt"),),
        verdict=ALLOWED,
    ),
    Case(about="granted to the role", grants=(grant(ROLE, "Encrypt"),), is_role=True, verdict=ALLOWED),
    Case(about="granted to the session", grants=(grant(SESSION, "Encrypt"),), is_role=True, verdict=ALLOWED),
    # Constraints of grants.
    Case(about="subset", grants=(grant(JANE, "Encrypt", within=SUBSET),), params=CONTEXT, verdict=ALLOWED),
    Case(about="subset, no context", grants=(grant(JANE, "Encrypt", within=SUBSET),), verdict=NO_IDENTITY),
    Case(
        about="subset, another value", grants=(grant(JANE, "Encrypt", within=SUBSET),),
        params={"EncryptionContext": {"tenant": "joe"}}, verdict=NO_IDENTITY,
    ),
    Case(
        about="subset, another case", grants=(grant(JANE, "Encrypt", within=SUBSET),),
        params={"EncryptionContext": {"Tenant": "jane"}}, verdict=NO_IDENTITY,
    ),
    Case(
        about="equal", grants=(grant(JANE, "Encrypt", within=EQUAL),), params={"EncryptionContext": {"tenant": "jane"}},
        verdict=ALLOWED,
    ),
    Case(about="equal, more", grants=(grant(JANE, "Encrypt", within=EQUAL),), params=CONTEXT, verdict=NO_IDENTITY),
    Case(
        about="constraints and an operation without context", grants=(grant(JANE, "DescribeKey", within=EQUAL),),
        operation="DescribeKey", verdict=ALLOWED,
    ),
    # Grants that make grants, and their end.
    Case(
        about="hand on what one has", grants=(grant(JANE, "CreateGrant", "Encrypt"),), operation="CreateGrant",
        params={"GranteePrincipal": JOE, "Operations": ["Encrypt"]}, verdict=ALLOWED,
    ),
    Case(
        about="hand on more than one has", grants=(grant(JANE, "CreateGrant", "Encrypt"),), operation="CreateGrant",
        params={"GranteePrincipal": JOE, "Operations": ["Encrypt", "Decrypt"]}, verdict=NO_IDENTITY,
    ),
    Case(
        about="hand on without the constraint", grants=(grant(JANE, "CreateGrant", "Encrypt", within=SUBSET),),
        operation="CreateGrant", params={"GranteePrincipal": JOE, "Operations": ["Encrypt"]}, verdict=NO_IDENTITY,
    ),
    Case(
        about="hand on with a stricter constraint", grants=(grant(JANE, "CreateGrant", "Encrypt", within=SUBSET),),
        operation="CreateGrant",
        params={
            "GranteePrincipal": JOE, "Operations": ["Encrypt"],
            "Constraints": {"EncryptionContextEquals": {"tenant": "jane", "stage": "test"}},
        },
        verdict=ALLOWED,
    ),
    Case(
        about="the retiring principal retires", grants=(grant(JOE, "Encrypt", retiring=JANE),),
        operation="RetireGrant", params={"GrantId": "{grant}"}, verdict=ALLOWED,
    ),
    Case(
        about="the grantee retires", grants=(grant(JANE, "Encrypt", "RetireGrant"),), operation="RetireGrant",
        params={"GrantId": "{grant}"}, verdict=ALLOWED,
    ),
    Case(
        about="the grantee may not", grants=(grant(JANE, "Encrypt"),), operation="RetireGrant",
        params={"GrantId": "{grant}"}, verdict=NO_IDENTITY,
    ),
    Case(
        about="the retiring principal of another grant", grants=(grant(JOE, "Encrypt", retiring=JANE),),
        operation="RetireGrant", params={"GrantId": "0" * 64}, verdict=NO_IDENTITY,
    ),
    # Conditions of the request.
    Case(about="context", key=(let(JANE, when=OF_JANE),), params=CONTEXT, verdict=ALLOWED),
    Case(about="context, another", key=(let(JANE, when=OF_JOE),), params=CONTEXT, verdict=NO_RESOURCE),
    Case(about="context, none", key=(let(JANE, when=OF_JANE),), verdict=NO_RESOURCE),
    Case(about="context keys", key=(let(JANE, when=ONLY_KEYS),), params=CONTEXT, verdict=ALLOWED),
    Case(
        about="context keys, one more", key=(let(JANE, when=ONLY_KEYS),),
        params={"EncryptionContext": {"tenant": "jane", "more": "1"}}, verdict=NO_RESOURCE,
    ),
    Case(about="context in IAM", own=(may("kms:Encrypt", when=OF_JANE),), params=CONTEXT, verdict=ALLOWED),
    Case(about="another in IAM", own=(may("kms:Encrypt", when=OF_JOE),), params=CONTEXT, verdict=NO_IDENTITY),
    Case(
        about="deny without a context", own=(ALL,), verdict=DENY_RESOURCE,
        key=(let(ROOT), deny("*", "kms:Encrypt", when={"Null": {"kms:EncryptionContextKeys": "true"}})),
    ),
    Case(
        about="caller's account", verdict=ALLOWED,
        key=(let("*", when={"StringEquals": {"kms:CallerAccount": "{account}"}}),),
    ),
    Case(
        about="another account", verdict=NO_RESOURCE,
        key=(let("*", when={"StringEquals": {"kms:CallerAccount": "999999999999"}}),),
    ),
    Case(
        about="through a service", verdict=NO_RESOURCE,
        key=(let(JANE, when={"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}),),
    ),
    Case(
        about="by the alias", alias="alias/a", verdict=ALLOWED,
        key=(let(JANE, when={"StringEquals": {"kms:RequestAlias": "alias/a"}}),),
    ),
    Case(
        about="not by the alias", verdict=NO_RESOURCE,
        key=(let(JANE, when={"StringEquals": {"kms:RequestAlias": "alias/a"}}),),
    ),
    Case(
        about="an alias of the key", verdict=ALLOWED,
        own=(may(when={"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/a"}}),),
    ),
    Case(
        about="spec of the key", own=(may(when={"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}),),
        verdict=ALLOWED,
    ),
    Case(
        about="usage of the key", own=(may(when={"StringEquals": {"kms:KeyUsage": "SIGN_VERIFY"}}),),
        verdict=NO_IDENTITY,
    ),
    Case(
        about="algorithm", verdict=ALLOWED,
        own=(may(when={"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}),),
    ),
    Case(
        about="a tag of the key", own=(may(when={"StringEquals": {"aws:ResourceTag/team": "a"}}),),
        tags={"team": "a"}, verdict=ALLOWED,
    ),
    Case(
        about="another tag", own=(may(when={"StringEquals": {"aws:ResourceTag/team": "a"}}),),
        tags={"team": "b"}, verdict=NO_IDENTITY,
    ),
    Case(
        about="operations of a grant", operation="CreateGrant",
        own=(may(when={"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt"]}}),),
        params={"GranteePrincipal": JOE, "Operations": ["Encrypt", "Decrypt"]}, verdict=NO_IDENTITY,
    ),
    Case(
        about="days of waiting", operation="ScheduleKeyDeletion", params={"PendingWindowInDays": 7},
        own=(may(when={"NumericGreaterThanEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": "14"}}),),
        verdict=NO_IDENTITY,
    ),
    # Boundaries, and sessions with policies of their own.
    Case(about="boundary", own=(ALL,), boundary=(may("s3:*"),), verdict=NO_BOUNDARY),
    Case(about="boundary that allows", own=(ALL,), boundary=(may("kms:Encrypt"),), verdict=ALLOWED),
    Case(about="the user named past a boundary", key=(let(JANE),), boundary=(may("s3:*"),), verdict=ALLOWED),
    Case(about="boundary that denies", key=(let(JANE),), boundary=(may_not(),), verdict="explicit deny"),
    Case(about="role", key=(let(ROLE),), is_role=True, verdict=ALLOWED),
    Case(about="role through IAM", own=(ALL,), is_role=True, verdict=ALLOWED),
    Case(about="role, not the user", key=(let(JANE),), is_role=True, verdict=NO_RESOURCE),
    Case(about="session by its ARN", key=(let(SESSION),), is_role=True, verdict=ALLOWED),
    Case(about="session's policy", own=(ALL,), is_role=True, session=(may("kms:Decrypt"),), verdict=NO_SESSION),
    Case(
        about="role named, session's policy", key=(let(ROLE),), is_role=True, session=(may("kms:Decrypt"),),
        verdict=NO_SESSION,
    ),
    Case(
        about="session named, session's policy", key=(let(SESSION),), is_role=True, session=(may("kms:Decrypt"),),
        verdict=ALLOWED,
    ),
    Case(
        about="session's policy denies", key=(let(SESSION),), is_role=True, session=(may_not(),),
        verdict="explicit deny",
    ),
]  # fmt: skip


class KeyHouse:
    """A home with a key, a user and a role, whose rules are the case's."""

    def __init__(self, house: House) -> None:
        self.house, self.access = house, house.access
        self.access.identities.create_user("jane")
        self.access.identities.create_user("joe")
        self.access.identities.create_role("worker", trust=trusting({"AWS": house.account}))
        self.key_id = self.access.credentials.create_key("jane").key_id
        self.key: KmsKey = house.keys.create(
            region=REGION, spec=SPECS["SYMMETRIC_DEFAULT"], usage=KeyUsage.ENCRYPT_DECRYPT, description="", policy="{}",
            tags={},
        )  # fmt: skip
        house.key_aliases.create("alias/a", self.key)

    def filled(self, value: Any, **more: str) -> Any:
        """The value with the account and the key written in."""
        text = json.dumps(value).replace("{account}", self.house.account).replace("{key}", self.key.arn)
        for name, written in more.items():
            text = text.replace(f"{{{name}}}", written)
        return json.loads(text)

    def document(self, statements: tuple[Statement, ...]) -> str:
        for statement in statements:
            if "NotAction" in statement:
                statement.pop("Action", None)
        return json.dumps({"Version": "2012-10-17", "Statement": self.filled(list(statements))})

    def caller(self, case: Case) -> Caller:
        if not case.is_role:
            credential = self.access.secret_for(self.key_id)
        else:
            role = self.access.identities.get(Kind.ROLE, "worker")
            policies = [self.document(case.session)] if case.session else None
            lasting = timedelta(hours=1)
            issued = self.access.credentials.start_session(role, name="shift", lasting=lasting, policies=policies)
            credential = self.access.secret_for(issued.key_id)
        assert credential is not None
        return credential.caller

    def set_rules(self, case: Case) -> str:
        """Let the rules be those of the case; returns the id of its first grant."""
        attachments, kind = self.access.attachments, Kind.ROLE if case.is_role else Kind.USER
        name = "worker" if case.is_role else "jane"
        for each in attachments.inline(kind, name):
            attachments.delete_inline(kind, name, each)
        if case.own:
            attachments.put_inline(kind, name, "own", self.document(case.own))
        self.house.keys.set_policy(self.key.arn, self.document(case.key))
        self.house.store.tags.clear(self.key.arn)
        self.house.store.tags.put(self.key.arn, case.tags)
        for old in self.house.keys.records.grants(self.key.arn):
            self.house.keys.records.remove_grant(old.id)
        made = [
            self.house.key_grants.create(
                self.key, grantee=self.filled(given["grantee"]), retiring=self.filled(given["retiring"]),
                operations=given["operations"], constraints=GrantConstraints.of(given["constraints"]), name="",
            )
            for given in case.grants
        ]  # fmt: skip
        return made[0].id if made else ""

    def bound(self, case: Case) -> None:
        if not case.boundary:
            return
        arn = self.access.attachments.create("limit", document=self.document(case.boundary)).arn
        self.access.identities.set_boundary(Kind.USER, "jane", arn)

    def unbound(self, case: Case) -> None:
        if case.boundary:
            self.access.identities.set_boundary(Kind.USER, "jane", None)
            self.access.attachments.delete(f"arn:aws:iam::{self.house.account}:policy/limit")

    def verdict(self, case: Case) -> str:
        first = self.set_rules(case)
        call = Call(
            service="kms",
            operation=case.operation,
            params={"KeyId": case.alias or self.key.id, **self.filled(dict(case.params), grant=first)},
            caller=self.caller(case),
            region=REGION,
            request_id="r",
            headers={},
        )
        try:
            self.access.authorize(call)
        except Denied as denied:
            return denied.message
        return ALLOWED


@pytest.fixture(scope="module")
def key_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyHouse]:
    with House.open(Settings(home=tmp_path_factory.mktemp("keys") / "home"), MovableClock()) as house:
        yield KeyHouse(house)


def test_there_are_sixty_cases_at_least() -> None:
    assert len({case.about for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
def test_a_key_is_used_by_whom_policy_iam_and_grants_let_in(key_house: KeyHouse, case: Case) -> None:
    key_house.bound(case)
    try:
        assert case.verdict in key_house.verdict(case)
    finally:
        key_house.unbound(case)
