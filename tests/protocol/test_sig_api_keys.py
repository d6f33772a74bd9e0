"""Bedrock API keys: made by IAM or presigned by their owner, sent by boto3 as bearer tokens."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from outcrop.clock import MovableClock
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.signing import bearer
from tests.support.servers import Running, running_server

SERVICE = "bedrock.amazonaws.com"
ALLOWED = ["bedrock:CallWithBearerToken", "bedrock:ListFoundationModels", "bedrock:ListCustomModels"]
INVALID = "Authentication failed: Please make sure your API Key is valid."
Listing = Callable[[str], Any]


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock(datetime.now(UTC))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, clock: MovableClock) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("house") / "home", clock=clock) as running:
        yield running


@pytest.fixture
def user(house: Running) -> Iterator[str]:
    """A user who may list models, with API keys too."""
    iam, name = house.client("iam"), "BedrockAPIKey-1"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="models", PolicyDocument=allowing(*ALLOWED))
    yield name
    for each in iam.list_service_specific_credentials(UserName=name)["ServiceSpecificCredentials"]:
        iam.delete_service_specific_credential(
            UserName=name, ServiceSpecificCredentialId=each["ServiceSpecificCredentialId"]
        )
    for each in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=each["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="models")
    iam.delete_user(UserName=name)


@pytest.fixture
def listing(house: Running, monkeypatch: pytest.MonkeyPatch) -> Listing:
    """The custom models that boto3 lists when all it has is an API key."""

    def ask(key: str) -> Any:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", key)
        config = Config(retries={"total_max_attempts": 1})
        session = boto3.Session()
        bedrock = session.client("bedrock", endpoint_url=house.endpoint, region_name="us-west-2", config=config)
        return bedrock.list_custom_models()["modelSummaries"]

    return ask


def allowing(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def create(house: Running, user: str, **more: Any) -> dict[str, Any]:
    made = house.client("iam").create_service_specific_credential(UserName=user, ServiceName=SERVICE, **more)
    credential: dict[str, Any] = made["ServiceSpecificCredential"]
    return credential


def short_term(keys: Credentials, *, region: str = "us-west-2", lasting: int = 3600, **bent: str) -> str:
    """As the token generators of AWS make it: a presigned request, the version behind its signed part, base64."""
    url = f"https://{bent.get('host', 'bedrock.amazonaws.com')}/"
    request = AWSRequest(method="POST", url=url, params={"Action": bent.get("action", "CallWithBearerToken")})
    SigV4QueryAuth(keys, bent.get("service", "bedrock"), region, expires=lasting).add_auth(request)
    text = request.url.removeprefix("https://") + "&Version=1"
    return "bedrock-api-key-" + base64.b64encode(text.encode()).decode()


def refused(listing: Listing, key: str) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        listing(key)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_long_term_key_opens_bedrock(house: Running, user: str, listing: Listing) -> None:
    made = create(house, user)
    assert made["ServiceCredentialSecret"].startswith("ABSK")
    assert made["ServiceCredentialAlias"] == f"{user}-at-{house.installation.account}"
    assert listing(made["ServiceCredentialSecret"]) == []


def test_a_key_is_shown_once_and_never_stored(house: Running, user: str) -> None:
    key = create(house, user)["ServiceCredentialSecret"]
    iam = house.client("iam")
    listed = iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"]
    assert [(each["Status"], "ServiceCredentialSecret" in each) for each in listed] == [("Active", False)]
    everyone = iam.list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"]
    assert [each["UserName"] for each in everyone] == [user]
    files = list(house.platform.settings.home.glob("outcrop.db*"))
    assert files
    inner = base64.b64decode(key.removeprefix("ABSK")).partition(b":")[2]
    assert all(key.encode() not in path.read_bytes() and inner not in path.read_bytes() for path in files)


def test_a_third_key_is_refused(house: Running, user: str) -> None:
    aliases = [create(house, user)["ServiceCredentialAlias"] for _ in range(2)]
    assert aliases[1] == f"{user}+1-at-{house.installation.account}"
    with pytest.raises(ClientError, match="LimitExceeded"):
        create(house, user)


def test_another_service_is_refused(house: Running, user: str) -> None:
    with pytest.raises(ClientError, match="NotSupportedService"):
        house.client("iam").create_service_specific_credential(UserName=user, ServiceName="codecommit.amazonaws.com")


def test_an_inactive_a_reset_and_a_deleted_key_open_nothing(house: Running, user: str, listing: Listing) -> None:
    iam, made = house.client("iam"), create(house, user)
    key, named = made["ServiceCredentialSecret"], {"ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
    iam.update_service_specific_credential(UserName=user, Status="Inactive", **named)
    assert refused(listing, key) == ("AccessDeniedException", INVALID)
    iam.update_service_specific_credential(UserName=user, Status="Active", **named)
    assert listing(key) == []
    again = iam.reset_service_specific_credential(UserName=user, **named)["ServiceSpecificCredential"]
    assert refused(listing, key) == ("AccessDeniedException", INVALID)
    assert listing(again["ServiceCredentialSecret"]) == []
    iam.delete_service_specific_credential(UserName=user, **named)
    assert refused(listing, again["ServiceCredentialSecret"]) == ("AccessDeniedException", INVALID)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.delete_service_specific_credential(UserName=user, **named)


def test_a_key_with_an_age_expires(house: Running, user: str, listing: Listing, clock: MovableClock) -> None:
    made = create(house, user, CredentialAgeDays=1)
    assert made["ExpirationDate"] - made["CreateDate"] == timedelta(days=1)
    clock.move(timedelta(days=1))
    heard = refused(listing, made["ServiceCredentialSecret"])
    clock.move(-timedelta(days=1))
    assert heard == ("AccessDeniedException", "Bearer Token has expired")


def test_a_key_needs_a_permission_of_its_own_beside_that_of_the_operation(
    house: Running, user: str, listing: Listing
) -> None:
    key, iam = create(house, user)["ServiceCredentialSecret"], house.client("iam")
    iam.put_user_policy(UserName=user, PolicyName="models", PolicyDocument=allowing("bedrock:ListCustomModels"))
    code, message = refused(listing, key)
    assert (code, "bedrock:CallWithBearerToken" in message) == ("AccessDeniedException", True)
    iam.put_user_policy(UserName=user, PolicyName="models", PolicyDocument=allowing("bedrock:CallWithBearerToken"))
    code, message = refused(listing, key)
    assert (code, "bedrock:ListCustomModels" in message) == ("AccessDeniedException", True)


def test_a_policy_may_forbid_keys_of_one_kind(house: Running, user: str, listing: Listing) -> None:
    keys = access_keys(house, user)
    deny = {
        "Effect": "Deny",
        "Action": "bedrock:CallWithBearerToken",
        "Resource": "*",
        "Condition": {"StringEquals": {"bedrock:bearerTokenType": "LONG_TERM"}},
    }
    allow = json.loads(allowing(*ALLOWED))["Statement"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [*allow, deny]})
    house.client("iam").put_user_policy(UserName=user, PolicyName="models", PolicyDocument=document)
    assert listing(short_term(keys)) == []
    assert refused(listing, create(house, user)["ServiceCredentialSecret"])[0] == "AccessDeniedException"


def access_keys(house: Running, user: str) -> Credentials:
    key = house.client("iam").create_access_key(UserName=user)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def test_a_short_term_key_opens_bedrock_until_it_expires(
    house: Running, user: str, listing: Listing, clock: MovableClock
) -> None:
    key = short_term(access_keys(house, user), lasting=3600)
    assert listing(key) == []
    clock.move(timedelta(minutes=61))
    heard = refused(listing, key)
    clock.move(-timedelta(minutes=61))
    assert heard == ("AccessDeniedException", "Bearer Token has expired")


def test_a_short_term_key_of_a_session_ends_with_the_session(
    house: Running, listing: Listing, clock: MovableClock
) -> None:
    session = house.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    keys = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    key = short_term(keys, lasting=43200)
    assert listing(key) == []
    clock.move(timedelta(minutes=16))
    heard = refused(listing, key)
    clock.move(-timedelta(minutes=16))
    assert heard == ("AccessDeniedException", "Bearer Token has expired")


def test_keys_of_each_kind_open_openais_door_while_they_live(house: Running, user: str, clock: MovableClock) -> None:
    keys = access_keys(house, user)
    session = house.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    temporary = ":".join(session[part] for part in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    lasting = [create(house, user)["ServiceCredentialSecret"], f"{keys.access_key}:{keys.secret_key}"]
    passing = [short_term(keys, lasting=600), temporary]
    assert [models(house, key) for key in (*lasting, *passing)] == [200] * 4
    assert models(house, temporary.rpartition(":")[0]) == 401
    clock.move(timedelta(minutes=16))
    heard = [models(house, key) for key in (*lasting, *passing)]
    clock.move(-timedelta(minutes=16))
    assert heard == [200, 200, 401, 401]


def models(house: Running, key: str) -> int:
    """The status that OpenAI's door answers with when it is asked for its models."""
    return httpx.get(f"{house.endpoint}/v1/models", headers={"authorization": f"Bearer {key}"}).status_code


@pytest.mark.parametrize(
    "bent",
    [
        {"host": "elsewhere.amazonaws.com"},
        {"action": "GetCallerIdentity"},
        {"service": "sts"},
    ],
)
def test_a_presigned_request_for_something_else_is_no_key(
    house: Running, user: str, listing: Listing, bent: dict[str, Any]
) -> None:
    assert refused(listing, short_term(access_keys(house, user), **bent)) == ("AccessDeniedException", INVALID)


@pytest.mark.parametrize("key", ["x", "ABSKnobody", "bedrock-api-key-", "bedrock-api-key-%%%", "bedrock-api-key-QUJD"])
def test_what_is_no_key_is_refused(listing: Listing, key: str) -> None:
    assert refused(listing, key) == ("AccessDeniedException", INVALID)


def test_a_key_that_would_live_longer_than_twelve_hours_is_refused(house: Running, user: str, listing: Listing) -> None:
    key = short_term(access_keys(house, user), lasting=12 * 3600 + 1)
    assert refused(listing, key) == ("AccessDeniedException", INVALID)


def test_a_short_term_key_with_a_wrong_secret_is_refused(house: Running, user: str, listing: Listing) -> None:
    keys = access_keys(house, user)
    bad = Credentials(keys.access_key, "wrong")
    assert refused(listing, short_term(bad)) == ("AccessDeniedException", INVALID)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/", {"x-amz-target": "SageMaker.ListModels", "content-type": "application/x-amz-json-1.1"}),
        ("/?Action=GetCallerIdentity&Version=2011-06-15", {}),
    ],
)
def test_a_key_opens_no_other_service(house: Running, user: str, path: str, more: dict[str, str]) -> None:
    key = create(house, user)["ServiceCredentialSecret"]
    answer = httpx.post(house.endpoint + path, headers={"authorization": f"Bearer {key}", **more}, content=b"{}")
    assert answer.status_code in (400, 403)
    assert "API keys open Bedrock only" in answer.text


@pytest.mark.parametrize(
    ("host", "path", "region"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", "/model/x/converse", "eu-west-1"),
        (
            "127.0.0.1:4580",
            "/model/arn%3Aaws%3Abedrock%3Aap-northeast-1%3A123%3Acustom-model%2Fx/invoke",
            "ap-northeast-1",
        ),
        ("127.0.0.1:4580", "/model/x/converse", "us-east-1"),
    ],
)
def test_a_long_term_key_speaks_to_the_region_of_its_host_or_arn(host: str, path: str, region: str) -> None:
    request = HttpRequest(method="POST", raw_path=path, raw_query="", headers={"host": host})
    assert bearer.region_of(request, default="us-east-1") == region
