"""Bucket policy, IAM and public access block together, as AWS documents their evaluation for one account.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from outcrop.access.caller import Caller
from outcrop.access.names import Kind
from outcrop.access.policies.bucket_policy import ANONYMOUS, check_bucket_policy
from outcrop.access.policies.evaluation import Decision
from outcrop.access.policies.public_access import BLOCKS, DELETED
from outcrop.api.door.call import Call
from outcrop.buckets.settings_records import POLICY, PUBLIC_ACCESS
from outcrop.clock import MovableClock
from outcrop.errors import Denied, ServiceRefusal
from outcrop.house import House
from outcrop.settings import Settings
from tests.support.policies import trusting

BUCKET, KEY = "papers", "drafts/one.txt"
ALLOWED = "allowed"
NO_IDENTITY = "no identity-based policy allows"
DENY_IDENTITY, DENY_RESOURCE = "explicit deny in an identity-based", "explicit deny in a resource-based"
NO_BOUNDARY, NO_SESSION = "no permissions boundary allows", "no session policy allows"
STRANGER_DENIED = "Access Denied"
OBJECTS, ITSELF = f"arn:aws:s3:::{BUCKET}/*", f"arn:aws:s3:::{BUCKET}"
BOTH = [OBJECTS, ITSELF]
ROOT, JANE, JOE = "arn:aws:iam::{account}:root", "arn:aws:iam::{account}:user/jane", "arn:aws:iam::{account}:user/joe"
ROLE, SESSION = "arn:aws:iam::{account}:role/worker", "arn:aws:sts::{account}:assumed-role/worker/shift"
ELSEWHERE = "arn:aws:iam::999999999999:root"
OPEN: Mapping[str, Any] = DELETED
RESTRICTED = {"RestrictPublicBuckets": True}
Statement = dict[str, Any]


def let(principal: Any, action: Any = "s3:GetObject", resource: Any = OBJECTS, *, when: Any = None) -> Statement:
    """A statement of the bucket's policy."""
    named = principal if principal == "*" or isinstance(principal, dict) else {"AWS": principal}
    found = {"Effect": "Allow", "Principal": named, "Action": action, "Resource": resource}
    return {**found, "Condition": when} if when else found


def deny(principal: Any, action: Any = "s3:*", resource: Any = BOTH, *, when: Any = None) -> Statement:
    return {**let(principal, action, resource, when=when), "Effect": "Deny"}


def but(principal: Any, statement: Statement) -> Statement:
    """The statement about everybody but these."""
    return {**{name: value for name, value in statement.items() if name != "Principal"}, "NotPrincipal": principal}


def may(action: Any = "s3:*", resource: Any = "*", *, effect: str = "Allow", when: Any = None) -> Statement:
    """A statement of an identity's policy."""
    found = {"Effect": effect, "Action": action, "Resource": resource}
    return {**found, "Condition": when} if when else found


def may_not(action: Any = "s3:*", resource: Any = "*", *, when: Any = None) -> Statement:
    return may(action, resource, effect="Deny", when=when)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question: who asks for what, under which rules, and the answer."""

    about: str
    verdict: str
    policy: tuple[Statement, ...] = ()
    own: tuple[Statement, ...] = ()
    block: Mapping[str, Any] | None = field(default_factory=lambda: OPEN)
    "None: as a new bucket has it."
    boundary: tuple[Statement, ...] = ()
    session: tuple[Statement, ...] = ()
    "Policies of the session itself."
    who: str = "jane"
    "jane; session, of the role worker; stranger; administrator."
    operation: str = "GetObject"
    params: Mapping[str, Any] = field(default_factory=dict)
    source_ip: str = "203.0.113.9"
    secure: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)


ALL = may("s3:*")
READ = (let("*"),)
HERE, THERE = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}
PLAIN_HTTP = {"Bool": {"aws:SecureTransport": "false"}}
LIST: dict[str, Any] = {"operation": "ListObjectsV2", "params": {"Prefix": "drafts/"}}
PUT: dict[str, Any] = {"operation": "PutObject"}
TAGGED = {"StringEquals": {"s3:ExistingObjectTag/stage": "done"}}

CASES = [
    # Within one account either side may allow.
    Case(about="neither", verdict=NO_IDENTITY),
    Case(about="IAM alone", own=(ALL,), verdict=ALLOWED),
    Case(about="policy alone names the user", policy=(let(JANE),), verdict=ALLOWED),
    Case(about="policy names another user", policy=(let(JOE),), verdict=NO_IDENTITY),
    Case(about="policy names another user, IAM allows", policy=(let(JOE),), own=(ALL,), verdict=ALLOWED),
    Case(about="policy names several", policy=(let([JOE, JANE]),), verdict=ALLOWED),
    Case(about="policy names the role", policy=(let(ROLE),), who="session", verdict=ALLOWED),
    Case(about="policy names the session", policy=(let(SESSION),), who="session", verdict=ALLOWED),
    Case(about="policy names another session", policy=(let(SESSION + "2"),), who="session", verdict=NO_IDENTITY),
    Case(about="policy names everyone", policy=READ, verdict=ALLOWED),
    Case(about="policy names everyone of AWS", policy=(let({"AWS": "*"}),), verdict=ALLOWED),
    Case(about="policy names a service", policy=(let({"Service": "bedrock.amazonaws.com"}),), verdict=NO_IDENTITY),
    Case(about="policy names another account", policy=(let(ELSEWHERE),), verdict=NO_IDENTITY),
    # The account in a policy hands the decision to IAM, and gives nothing itself.
    Case(about="root, no IAM", policy=(let(ROOT),), verdict=NO_IDENTITY),
    Case(about="root and IAM", policy=(let(ROOT),), own=(ALL,), verdict=ALLOWED),
    Case(about="account number, no IAM", policy=(let("{account}"),), verdict=NO_IDENTITY),
    Case(about="canonical user, no IAM", policy=(let({"CanonicalUser": "{canonical}"}),), verdict=NO_IDENTITY),
    # An explicit Deny anywhere holds.
    Case(about="IAM denies, policy allows", policy=(let(JANE),), own=(may_not(),), verdict=DENY_IDENTITY),
    Case(about="policy denies, IAM allows", policy=(deny(JANE),), own=(ALL,), verdict=DENY_RESOURCE),
    Case(about="policy denies and allows", policy=(let(JANE), deny(JANE)), own=(ALL,), verdict=DENY_RESOURCE),
    Case(about="policy denies everyone", policy=(deny("*"),), own=(ALL,), verdict=DENY_RESOURCE),
    Case(about="policy denies the account", policy=(deny(ROOT),), own=(ALL,), verdict=DENY_RESOURCE),
    Case(about="policy denies another user", policy=(deny(JOE),), own=(ALL,), verdict=ALLOWED),
    Case(about="policy denies the role", policy=(deny(ROLE),), own=(ALL,), who="session", verdict=DENY_RESOURCE),
    Case(about="policy denies the session", policy=(deny(SESSION),), own=(ALL,), who="session", verdict=DENY_RESOURCE),
    Case(about="policy denies another action", policy=(deny(JANE, "s3:PutObject", OBJECTS),), own=(ALL,), verdict=ALLOWED),
    Case(about="policy denies another prefix", policy=(deny("*", "s3:*", OBJECTS.replace("*", "secret/*")),), own=(ALL,),
         verdict=ALLOWED),
    Case(about="both deny", policy=(deny(JANE),), own=(may_not(),), verdict=DENY_IDENTITY),
    # Everybody but some: who escapes such a Deny is named whole, account and all.
    Case(about="all but jane whole", policy=(but({"AWS": [JANE, ROOT]}, deny("*")),), own=(ALL,), verdict=ALLOWED),
    Case(about="all but jane without her account", policy=(but({"AWS": JANE}, deny("*")),), own=(ALL,), verdict=DENY_RESOURCE),
    Case(about="all but the account", policy=(but({"AWS": ROOT}, deny("*")),), own=(ALL,), verdict=DENY_RESOURCE),
    Case(about="all but joe", policy=(but({"AWS": [JOE, ROOT]}, deny("*")),), own=(ALL,), verdict=DENY_RESOURCE),
    Case(about="all but a session whole", policy=(but({"AWS": [SESSION, ROLE, ROOT]}, deny("*")),), own=(ALL,), who="session",
         verdict=ALLOWED),
    Case(about="all but a role, its session asks", policy=(but({"AWS": [ROLE, ROOT]}, deny("*")),), own=(ALL,), who="session",
         verdict=DENY_RESOURCE),
    Case(about="allowed to all but joe", policy=(but({"AWS": JOE}, let("*")),), verdict=ALLOWED),
    Case(about="allowed to all but jane", policy=(but({"AWS": JANE}, let("*")),), verdict=NO_IDENTITY),
    # Actions and resources.
    Case(about="another action", policy=(let(JANE, "s3:PutObject"),), verdict=NO_IDENTITY),
    Case(about="actions with a star", policy=(let(JANE, "s3:Get*"),), verdict=ALLOWED),
    Case(about="actions in another case", policy=(let(JANE, "S3:getobject"),), verdict=ALLOWED),
    Case(about="another prefix", policy=(let(JANE, resource=OBJECTS.replace("*", "done/*")),), verdict=NO_IDENTITY),
    Case(about="the very object", policy=(let(JANE, resource=OBJECTS.replace("*", KEY)),), verdict=ALLOWED),
    Case(about="the bucket's ARN is not its objects'", policy=(let(JANE, "s3:*", ITSELF),), verdict=NO_IDENTITY),
    Case(about="listing needs the bucket's ARN", policy=(let(JANE, "s3:*", OBJECTS),), **LIST, verdict=NO_IDENTITY),
    Case(about="listing", policy=(let(JANE, "s3:ListBucket", ITSELF),), **LIST, verdict=ALLOWED),
    Case(about="a version is another action", policy=(let(JANE),), params={"VersionId": "0" * 32}, verdict=NO_IDENTITY),
    Case(about="reading versions", policy=(let(JANE, "s3:GetObjectVersion"),), params={"VersionId": "0" * 32},
         verdict=ALLOWED),
    Case(about="making a bucket asks no bucket", policy=(deny("*"),), own=(ALL,), operation="CreateBucket", params={},
         verdict=ALLOWED),
    # Conditions.
    Case(about="from this network", policy=(let(JANE, when=HERE),), verdict=ALLOWED),
    Case(about="from another network", policy=(let(JANE, when=THERE),), verdict=NO_IDENTITY),
    Case(about="denied over plain HTTP", policy=(deny("*", when=PLAIN_HTTP),), own=(ALL,), secure=False, verdict=DENY_RESOURCE),
    Case(about="not denied over TLS", policy=(deny("*", when=PLAIN_HTTP),), own=(ALL,), verdict=ALLOWED),
    Case(about="listing of a prefix", policy=(let(JANE, "s3:ListBucket", ITSELF, when={"StringLike": {"s3:prefix": "drafts/*"}}),),
         **LIST, verdict=ALLOWED),
    Case(about="listing of another prefix",
         policy=(let(JANE, "s3:ListBucket", ITSELF, when={"StringLike": {"s3:prefix": "done/*"}}),), **LIST,
         verdict=NO_IDENTITY),
    Case(about="listing of too many",
         policy=(let(JANE, "s3:ListBucket", ITSELF, when={"NumericLessThanEquals": {"s3:max-keys": "10"}}),),
         operation="ListObjectsV2", params={"MaxKeys": 11}, verdict=NO_IDENTITY),
    Case(about="by the ARN of the principal",
         policy=(let("*", when={"ArnEquals": {"aws:PrincipalArn": JANE}}),), verdict=ALLOWED),
    Case(about="by the ARN of another",
         policy=(let("*", when={"ArnEquals": {"aws:PrincipalArn": JOE}}),), verdict=NO_IDENTITY),
    Case(about="a session by the ARN of its role",
         policy=(let("*", when={"ArnEquals": {"aws:PrincipalArn": ROLE}}),), who="session", verdict=ALLOWED),
    Case(about="by the user's name", policy=(let("*", resource=OBJECTS.replace("*", "${aws:username}/*")),),
         params={"Key": "jane/a"}, verdict=ALLOWED),
    Case(about="by another user's name", policy=(let("*", resource=OBJECTS.replace("*", "${aws:username}/*")),),
         params={"Key": "joe/a"}, verdict=NO_IDENTITY),
    Case(about="unencrypted uploads denied",
         policy=(deny("*", "s3:PutObject", OBJECTS, when={"Null": {"s3:x-amz-server-side-encryption": "true"}}),),
         own=(ALL,), **PUT, verdict=DENY_RESOURCE),
    Case(about="encrypted uploads not denied",
         policy=(deny("*", "s3:PutObject", OBJECTS, when={"Null": {"s3:x-amz-server-side-encryption": "true"}}),),
         own=(ALL,), operation="PutObject", params={"ServerSideEncryption": "AES256"}, verdict=ALLOWED),
    Case(about="a storage class", policy=(let(JANE, "s3:PutObject", when={"StringEquals": {"s3:x-amz-storage-class": "STANDARD"}}),),
         operation="PutObject", params={"StorageClass": "GLACIER"}, verdict=NO_IDENTITY),
    Case(about="an object's tag", policy=(let(JANE, when=TAGGED),), verdict=ALLOWED),
    Case(about="another object's tag", policy=(let(JANE, when=TAGGED),), params={"Key": "drafts/two.txt"}, verdict=NO_IDENTITY),
    Case(about="presigned URLs denied",
         policy=(deny("*", when={"StringNotEquals": {"s3:authType": "REST-HEADER"}}),), own=(ALL,),
         known={"s3:authType": "REST-QUERY-STRING"}, verdict=DENY_RESOURCE),
    Case(about="old signatures denied",
         policy=(deny("*", when={"NumericGreaterThan": {"s3:signatureAge": "60000"}}),), own=(ALL,),
         known={"s3:signatureAge": "60001"}, verdict=DENY_RESOURCE),
    # What a policy gives, boundaries and sessions still limit, unless it names the very user or session.
    Case(about="boundary, user by ARN", policy=(let(JANE),), boundary=(may("s3:PutObject"),), verdict=ALLOWED),
    Case(about="boundary, everyone", policy=READ, boundary=(may("s3:PutObject"),), verdict=NO_BOUNDARY),
    Case(about="boundary denies, user by ARN", policy=(let(JANE),), boundary=(may_not(),),
         verdict="explicit deny in a permissions boundary"),
    Case(about="session's policy, role by ARN", policy=(let(ROLE),), who="session", session=(may("s3:PutObject"),),
         verdict=NO_SESSION),
    Case(about="session's policy, session by ARN", policy=(let(SESSION),), who="session", session=(may("s3:PutObject"),),
         verdict=ALLOWED),
    Case(about="session's policy denies", policy=(let(SESSION),), who="session", session=(may_not(),),
         verdict="explicit deny"),
    # Strangers: the policy alone, and only where the block leaves room.
    Case(about="stranger, no policy", who="stranger", verdict=STRANGER_DENIED),
    Case(about="stranger, everyone", policy=READ, who="stranger", verdict=ALLOWED),
    Case(about="stranger, new bucket", policy=READ, who="stranger", block=None, verdict=STRANGER_DENIED),
    Case(about="stranger, restricted", policy=READ, who="stranger", block=RESTRICTED, verdict=STRANGER_DENIED),
    Case(about="stranger, BlockPublicPolicy alone", policy=READ, who="stranger", block={"BlockPublicPolicy": True},
         verdict=ALLOWED),
    Case(about="stranger, blocks of access lists", policy=READ, who="stranger",
         block={"BlockPublicAcls": True, "IgnorePublicAcls": True}, verdict=ALLOWED),
    Case(about="own user, restricted", policy=READ, block=RESTRICTED, verdict=ALLOWED),
    Case(about="own user, new bucket", policy=READ, block=None, verdict=ALLOWED),
    Case(about="stranger, the account", policy=(let(ROOT),), who="stranger", verdict=STRANGER_DENIED),
    Case(about="stranger, a user", policy=(let(JANE),), who="stranger", verdict=STRANGER_DENIED),
    Case(about="stranger, a service", policy=(let({"Service": "bedrock.amazonaws.com"}),), who="stranger",
         verdict=STRANGER_DENIED),
    Case(about="stranger, another action", policy=READ, who="stranger", **PUT, verdict=STRANGER_DENIED),
    Case(about="stranger, putting", policy=(let("*", "s3:PutObject"),), who="stranger", **PUT, verdict=ALLOWED),
    Case(about="stranger, denied", policy=(let("*"), deny("*")), who="stranger", verdict=STRANGER_DENIED),
    Case(about="stranger, all but joe denied", policy=(let("*"), but({"AWS": [JOE, ROOT]}, deny("*"))), who="stranger",
         verdict=STRANGER_DENIED),
    Case(about="stranger, allowed to all but joe", policy=(but({"AWS": JOE}, let("*")),), who="stranger", verdict=ALLOWED),
    Case(about="stranger of the network, restricted", policy=(let("*", when=HERE),), who="stranger", block=RESTRICTED,
         verdict=ALLOWED),
    Case(about="stranger of another network", policy=(let("*", when=THERE),), who="stranger", verdict=STRANGER_DENIED),
    Case(about="stranger, broad network, restricted", policy=(let("*", when={"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}),),
         who="stranger", block=RESTRICTED, source_ip="9.9.9.9", verdict=STRANGER_DENIED),
    Case(about="stranger, by the ARN of a principal", policy=(let("*", when={"ArnLike": {"aws:PrincipalArn": "*"}}),),
         who="stranger", verdict=STRANGER_DENIED),
    Case(about="stranger, only signed requests denied to strangers",
         policy=(let("*"), deny("*", when={"StringEquals": {"aws:PrincipalType": "Anonymous"}})), who="stranger",
         verdict=STRANGER_DENIED),
    Case(about="stranger, a referer", policy=(let("*", when={"StringLike": {"aws:Referer": "https://a/*"}}),),
         who="stranger", headers={"referer": "https://a/b"}, verdict=ALLOWED),
    # Nobody is locked out for good.
    Case(about="administrator denied", policy=(deny("*"),), who="administrator", verdict=DENY_RESOURCE),
    Case(about="administrator mends", policy=(deny("*"),), who="administrator", operation="DeleteBucketPolicy",
         params={}, verdict=ALLOWED),
    Case(about="administrator looks", policy=(deny("*"),), who="administrator", operation="GetBucketPolicy", params={},
         verdict=ALLOWED),
    Case(about="administrator reads the status", policy=(deny("*"),), who="administrator",
         operation="GetBucketPolicyStatus", params={}, verdict=DENY_RESOURCE),
    Case(about="others cannot mend", policy=(deny("*"),), own=(ALL,), operation="DeleteBucketPolicy", params={},
         verdict=DENY_RESOURCE),
]  # fmt: skip


class BucketHouse:
    """A home with a bucket, users and a role, whose rules are the case's."""

    def __init__(self, house: House) -> None:
        self.house, self.access = house, house.access
        for name in ("jane", "joe"):
            self.access.identities.create_user(name)
        self.access.identities.create_role("worker", trust=trusting({"AWS": house.account}))
        self.key_id = self.access.credentials.create_key("jane").key_id
        house.buckets.create(BUCKET, "us-east-1")
        house.buckets.put_bytes(BUCKET, KEY, b"x")
        house.buckets.tag(BUCKET, KEY, {"stage": "done"})

    def document(self, statements: tuple[Statement, ...]) -> str:
        from outcrop import arn

        text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        account = self.house.account
        return text.replace("{account}", account).replace("{canonical}", arn.canonical_user(account))

    def caller(self, case: Case) -> Caller:
        if case.who == "stranger":
            return Caller(arn="", account=self.house.account, user_id=ANONYMOUS, key_id="")
        key_id = self.key_id
        if case.who == "administrator":
            key_id = self.access.installation.access_key_id
        elif case.who == "session":
            role = self.access.identities.get(Kind.ROLE, "worker")
            policies = [self.document(case.session)] if case.session else None
            lasting = timedelta(hours=1)
            key_id = self.access.credentials.start_session(
                role, name="shift", lasting=lasting, policies=policies
            ).key_id
        credential = self.access.secret_for(key_id)
        assert credential is not None
        return credential.caller

    def set_rules(self, case: Case) -> None:
        attachments, kind = self.access.attachments, Kind.ROLE if case.who == "session" else Kind.USER
        name = "worker" if case.who == "session" else "jane"
        for each in attachments.inline(kind, name):
            attachments.delete_inline(kind, name, each)
        if case.own:
            attachments.put_inline(kind, name, "own", self.document(case.own))
        self.set_policy(self.document(case.policy) if case.policy else None)
        self.house.buckets.set_setting(BUCKET, PUBLIC_ACCESS, case.block)

    def set_policy(self, text: str | None) -> None:
        if text is not None:
            exists = self.access.knows
            check_bucket_policy(text, BUCKET, account=self.house.account, exists=exists)
        self.house.buckets.set_setting(BUCKET, POLICY, text)

    def verdict(self, case: Case) -> str:
        self.set_rules(case)
        about_objects = "Object" in case.operation and case.operation != "ListObjectsV2"
        call = Call(
            service="s3",
            operation=case.operation,
            params={"Bucket": BUCKET, **({"Key": KEY} if about_objects else {}), **case.params},
            caller=self.caller(case),
            region="us-east-1",
            request_id="r",
            headers=case.headers,
            source_ip=case.source_ip,
            secure=case.secure,
            known=case.known,
        )
        try:
            self.access.authorize(call)
        except Denied as denied:
            return denied.message
        return ALLOWED


@pytest.fixture(scope="module")
def bucket_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketHouse]:
    with House.open(Settings(home=tmp_path_factory.mktemp("papers") / "home"), MovableClock()) as house:
        yield BucketHouse(house)


def test_there_are_sixty_cases_at_least() -> None:
    assert len({case.about for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
def test_a_bucket_is_used_by_whom_policy_iam_and_block_let_in(bucket_house: BucketHouse, case: Case) -> None:
    house, arn = bucket_house.house, ""
    if case.boundary:
        arn = house.access.attachments.create("limit", document=bucket_house.document(case.boundary)).arn
        house.access.identities.set_boundary(Kind.USER, "jane", arn)
    try:
        assert case.verdict in bucket_house.verdict(case)
    finally:
        if arn:
            house.access.identities.set_boundary(Kind.USER, "jane", None)
            house.access.attachments.delete(arn)


OF_JOBS: list[tuple[str, tuple[Statement, ...], tuple[Statement, ...], Decision]] = [
    ("role alone", (), (ALL,), Decision.ALLOWED),
    ("neither", (), (), Decision.DENIED_IMPLICITLY),
    ("policy alone", (let(ROLE),), (), Decision.ALLOWED),
    ("policy denies", (deny(ROLE),), (ALL,), Decision.DENIED_EXPLICITLY),
    ("policy denies everyone but it", (but({"AWS": [ROLE, ROOT]}, deny("*")),), (ALL,), Decision.ALLOWED),
    ("role denies", (let(ROLE),), (may_not(),), Decision.DENIED_EXPLICITLY),
    ("by the id of the role", (deny("*", when={"StringNotLike": {"aws:userid": "{role_id}:*"}}),), (ALL,), Decision.ALLOWED),
    ("not by TLS", (deny("*", when=PLAIN_HTTP),), (ALL,), Decision.ALLOWED),
]  # fmt: skip


@pytest.mark.parametrize(("about", "policy", "own", "decision"), OF_JOBS, ids=[row[0] for row in OF_JOBS])
def test_a_job_under_a_role_obeys_the_policy_too(
    bucket_house: BucketHouse, about: str, policy: tuple[Statement, ...], own: tuple[Statement, ...], decision: Decision
) -> None:
    bucket_house.set_rules(Case(about=about, policy=(), own=own, who="session", verdict=""))
    role = bucket_house.access.identities.get(Kind.ROLE, "worker")
    if policy:
        bucket_house.set_policy(bucket_house.document(policy).replace("{role_id}", role.id))
    context = {"aws:SecureTransport": "true"}
    assert bucket_house.access.role_may(role.arn, "s3:GetObject", f"{ITSELF}/{KEY}", context) is decision


def test_a_changed_policy_counts_at_once_although_decisions_are_remembered(bucket_house: BucketHouse) -> None:
    allowed = Case(about="", own=(ALL,), verdict=ALLOWED)
    assert bucket_house.verdict(allowed) == ALLOWED
    assert DENY_RESOURCE in bucket_house.verdict(Case(about="", own=(ALL,), policy=(deny(JANE),), verdict=""))
    assert bucket_house.verdict(allowed) == ALLOWED


def test_a_policy_that_cannot_be_read_lets_nobody_in_but_can_be_taken_away(bucket_house: BucketHouse) -> None:
    bucket_house.set_rules(Case(about="", own=(ALL,), verdict=""))
    bucket_house.house.buckets.set_setting(BUCKET, POLICY, "{")
    caller = bucket_house.caller(Case(about="", verdict="", who="administrator"))

    def ask(operation: str) -> None:
        params = {"Bucket": BUCKET, "Key": KEY}
        call = Call(
            service="s3",
            operation=operation,
            params=params,
            caller=caller,
            region="us-east-1",
            request_id="r",
            headers={},
        )
        bucket_house.access.authorize(call)

    with pytest.raises(Denied, match=DENY_RESOURCE):
        ask("GetObject")
    ask("DeleteBucketPolicy")


# What is a policy of a bucket at all, in S3's sentences

NO_JSON = "Policies must be valid JSON and the first byte must be '{'"
WHOLE = let(JANE)


def written(**changes: Any) -> str:
    statement = {**WHOLE, **changes}
    return json.dumps({"Version": "2012-10-17", "Statement": [{k: v for k, v in statement.items() if v is not None}]})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", NO_JSON),
        ("nonsense", NO_JSON),
        (" {}", NO_JSON),
        ("[]", NO_JSON),
        ("{}", "Missing required field Statement"),
        ('{"Statement": []}', "Could not parse the policy: Statement is empty!"),
        ('{"Version": "2020-01-01", "Statement": []}', "The policy must contain a valid version string"),
        ('{"Statement": ["x"]}', "Invalid policy syntax."),
        ('{"Statement": [{}], "More": 1}', "Missing required field Effect"),
        (written(Effect=None), "Missing required field Effect"),
        (written(Principal=None), "Missing required field Principal"),
        (written(Action=None), "Missing required field Action"),
        (written(Resource=None), "Missing required field Resource"),
        (written(Effect="Perhaps"), "Invalid effect: Perhaps"),
        (written(Action="s3:Fly"), "Policy has invalid action"),
        (written(Action="ec2:RunInstances"), "Policy has invalid action"),
        (written(Action="GetObject"), "Invalid policy syntax."),
        (written(Resource="*"), "Policy has invalid resource"),
        (written(Resource="arn:aws:s3:::*"), "Policy has invalid resource"),
        (written(Resource="arn:aws:s3:::another/*"), "Policy has invalid resource"),
        (written(Resource=f"arn:aws:s3:::{BUCKET}2/*"), "Policy has invalid resource"),
        (written(Resource=ITSELF), "Action does not apply to any resource(s) in statement"),
        (written(Action="s3:ListBucket"), "Action does not apply to any resource(s) in statement"),
        (written(Action=["s3:GetObject", "s3:ListBucket"]), "Action does not apply to any resource(s) in statement"),
        (written(Principal={"AWS": "arn:aws:iam::{account}:user/nobody"}), "Invalid principal in policy"),
        (written(Principal={"AWS": "jane"}), "Invalid principal in policy"),
        (written(Principal={"AWS": "arn:aws:iam::{account}:user/*"}), "Invalid principal in policy"),
        (written(Principal={"Service": "nonsense"}), "Invalid principal in policy"),
        (written(Principal={"CanonicalUser": "0" * 64}), "Invalid principal in policy"),
        (written(Principal={"Federated": "accounts.google.com"}), "Invalid principal in policy"),
        (written(Principal={"Nobody": "x"}), "Invalid policy syntax."),
        (written(Condition={"StringEquals": {"s3:color": "red"}}), "Policy has an invalid condition key"),
        (written(Condition={"Perhaps": {"aws:SourceIp": "1.1.1.1"}}), "Invalid policy syntax."),
        (written(Colour="red"), "Invalid policy syntax."),
    ],
)
def test_what_is_no_policy_of_a_bucket_is_refused_in_s3s_words(
    bucket_house: BucketHouse, text: str, sentence: str
) -> None:
    account = bucket_house.house.account
    with pytest.raises(ServiceRefusal) as refused:
        check_bucket_policy(
            text.replace("{account}", account), BUCKET, account=account, exists=bucket_house.access.knows
        )
    assert (refused.value.code, refused.value.message, refused.value.http_status) == ("MalformedPolicy", sentence, 400)


def test_a_policy_is_no_longer_than_twenty_kilobytes(bucket_house: BucketHouse) -> None:
    account, exists = bucket_house.house.account, bucket_house.access.knows
    long = json.dumps({"Statement": [let("*", resource=f"{OBJECTS}{'x' * 20_400}")]})
    with pytest.raises(ServiceRefusal, match="exceeds the maximum allowed size of 20480 bytes") as refused:
        check_bucket_policy(long, BUCKET, account=account, exists=exists)
    assert refused.value.code == "PolicyTooLarge"


def test_a_condition_that_could_never_hold_here_is_refused_by_name(bucket_house: BucketHouse) -> None:
    text = written(Principal="*", Condition={"NumericLessThan": {"s3:TlsVersion": 1.2}})
    with pytest.raises(ServiceRefusal, match="TLS") as refused:
        check_bucket_policy(text, BUCKET, account=bucket_house.house.account, exists=bucket_house.access.knows)
    assert refused.value.code == "NotImplemented"


def test_every_block_is_named_as_s3_names_it() -> None:
    assert set(BLOCKS) == {"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"}
