"""Does a request that botocore signed verify, and is each change to it refused with AWS's own code?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from outcrop.errors import ServiceRefusal
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.signing import proof, sigv4

SCHEME = "AWS4-HMAC-SHA256 "
KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "ap-northeast-1"
HOST = "http://127.0.0.1:4580"
INVOKE = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Acustom-model-deployment%2Fabc/invoke"


@dataclass(frozen=True, kw_only=True)
class Key:
    secret: str = SECRET
    session_token: str | None = None
    expires: datetime | None = None


def signed(
    service: str = "bedrock",
    method: str = "POST",
    path: str = INVOKE,
    body: bytes = b'{"prompt": "hi"}',
    token: str | None = None,
    headers: dict[str, str] | None = None,
    presign: bool = False,
) -> HttpRequest:
    credentials = Credentials(KEY, SECRET, token)
    request = AWSRequest(method=method, url=HOST + path, headers=headers or {}, data=body)
    if presign:
        signer = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
        signer(credentials, service, REGION, expires=3600).add_auth(request)
    else:
        (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, REGION).add_auth(request)
    sent = request.prepare()
    url = urlsplit(sent.url)
    wire = {name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in sent.headers.items()}
    return HttpRequest(
        method=sent.method, raw_path=url.path, raw_query=url.query, headers={"host": url.netloc} | wire, body=body
    )


def verify(
    request: HttpRequest,
    *,
    protocol: str = "rest-json",
    service: str = "bedrock",
    key: Key | None = Key(),
    later: timedelta = timedelta(),
) -> proof.Verified:
    stated = sigv4.read(request, protocol=protocol)
    now = datetime.now(UTC) + later
    return sigv4.verify(stated, key, request, protocol=protocol, service=service, now=now)


def refusal(request: HttpRequest, **how: object) -> ServiceRefusal:
    with pytest.raises(ServiceRefusal) as raised:
        verify(request, **how)  # type: ignore[arg-type]
    return raised.value


@pytest.mark.parametrize(
    "path",
    [
        INVOKE,
        "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
        "/custom-models?nameContains=a%20b%2Bc&maxResults=3&byCustomizationType=FINE_TUNING",
        "/model/arn:aws:bedrock:us-east-1:123456789012:prompt/ID:1/converse",
        "/knowledgebases/",
        "/a//b/../c/?x",
        "/",
    ],
)
def test_what_botocore_signs_verifies(path: str) -> None:
    assert verify(signed(path=path)).region == REGION


@pytest.mark.parametrize(
    "path", ["/b/k", "/b//k/../x%20y/%E6%97%A5?tagging", "/b?list-type=2&prefix=a%2Fb", "/b/a%2Bb~c"]
)
@pytest.mark.parametrize("presign", [False, True])
def test_what_botocore_signs_for_s3_verifies(path: str, presign: bool) -> None:
    request = signed("s3", "GET", path, b"", presign=presign)
    assert verify(request, protocol="rest-xml", service="s3").region == REGION


def test_a_presigned_call_of_sts_verifies() -> None:
    request = signed("sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", b"", presign=True)
    assert verify(request, protocol="query", service="sts").region == REGION


def with_header(name: str, value: str) -> Callable[[HttpRequest], HttpRequest]:
    return lambda request: replace(request, headers=dict(request.headers) | {name: value})


MUTATIONS: dict[str, Callable[[HttpRequest], HttpRequest]] = {
    "method": lambda request: replace(request, method="PUT"),
    "path": lambda request: replace(request, raw_path=request.raw_path + "x"),
    "query": lambda request: replace(request, raw_query="a=b"),
    "host": with_header("host", "elsewhere:4580"),
    "a signed header": with_header("content-type", "text/plain"),
    "the signature": lambda r: with_header("authorization", r.headers["authorization"][:-1] + "?")(r),
    "the region": lambda r: with_header("authorization", r.headers["authorization"].replace(REGION, "us-east-1"))(r),
}


@pytest.mark.parametrize("what", [*MUTATIONS, "body"])
@pytest.mark.parametrize(
    ("protocol", "code", "status"),
    [
        ("rest-json", "InvalidSignatureException", 403),
        ("json", "InvalidSignatureException", 400),
        ("query", "SignatureDoesNotMatch", 403),
    ],
)
def test_a_changed_request_is_refused(what: str, protocol: str, code: str, status: int) -> None:
    request = signed(headers={"content-type": "application/json"})
    changed = replace(request, body=b"{}") if what == "body" else MUTATIONS[what](request)
    error = refusal(changed, protocol=protocol)
    assert (error.code, error.http_status) == (code, status)
    assert error.message.startswith("The request signature we calculated does not match")


@pytest.mark.parametrize("what", MUTATIONS)
def test_a_changed_request_to_s3_is_refused_with_what_should_have_been_signed(what: str) -> None:
    request = signed("s3", "PUT" if what != "method" else "GET", "/b/k", headers={"content-type": "application/json"})
    error = refusal(MUTATIONS[what](request), protocol="rest-xml", service="s3")
    assert (error.code, error.http_status) == ("SignatureDoesNotMatch", 403)
    assert error.members["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert set(error.members) == {"AWSAccessKeyId", "StringToSign", "CanonicalRequest"}


def test_an_order_to_s3_that_is_not_under_the_signature_is_refused() -> None:
    request = with_header("x-amz-copy-source", "secret/key")(signed("s3", "PUT", "/b/k"))
    error = refusal(request, protocol="rest-xml", service="s3")
    assert (error.code, error.members) == ("AccessDenied", {"HeadersNotSigned": "x-amz-copy-source"})


@pytest.mark.parametrize(
    ("protocol", "code", "status"),
    [
        ("rest-json", "UnrecognizedClientException", 403),
        ("json", "UnrecognizedClientException", 400),
        ("query", "InvalidClientTokenId", 403),
        ("rest-xml", "InvalidAccessKeyId", 403),
    ],
)
def test_an_unknown_key_is_refused(protocol: str, code: str, status: int) -> None:
    error = refusal(signed(), protocol=protocol, key=None)
    assert (error.code, error.http_status) == (code, status)


@pytest.mark.parametrize(
    ("protocol", "code", "status"),
    [
        ("rest-json", "MissingAuthenticationTokenException", 403),
        ("json", "MissingAuthenticationTokenException", 403),
        ("query", "MissingAuthenticationToken", 403),
        ("rest-xml", "AccessDenied", 403),
    ],
)
def test_an_unsigned_request_is_refused(protocol: str, code: str, status: int) -> None:
    unsigned = HttpRequest(method="GET", raw_path="/", raw_query="", headers={"host": "h"}, body=b"")
    error = refusal(unsigned, protocol=protocol)
    assert (error.code, error.http_status) == (code, status)


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        (SCHEME + "Credential=AK/20260101/r/bedrock/aws4_request, Signature=0", "'SignedHeaders' parameter"),
        (SCHEME + "Credential=AK/20260101/r, SignedHeaders=host, Signature=0", "Credential must have the form"),
        (SCHEME + "Credential=AK/20260102/r/bedrock/aws4_request, SignedHeaders=host, Signature=0", "is not that"),
        (SCHEME + "Credential=AK/20260101/r/bedrock/aws4_request, SignedHeaders=x, Signature=0", "'host' must be"),
        ("AWS AKID:sig", "only signing method"),
        ("Basic Zm9v", "only signing method"),
    ],
)
def test_an_unreadable_signature_is_refused(authorization: str, message: str) -> None:
    headers = {"host": "h", "x-amz-date": "20260101T000000Z", "authorization": authorization}
    error = refusal(HttpRequest(method="GET", raw_path="/", raw_query="", headers=headers, body=b""))
    assert error.code == "IncompleteSignatureException"
    assert message in error.message


@pytest.mark.parametrize(
    ("later", "text"),
    [(timedelta(minutes=16), "Signature expired: "), (timedelta(minutes=-16), "Signature not yet current: ")],
)
def test_a_clock_beyond_a_quarter_of_an_hour_is_refused(later: timedelta, text: str) -> None:
    verify(signed(), later=later * 0.9)
    error = refusal(signed(), later=later)
    assert error.code == "InvalidSignatureException"
    assert error.message.startswith(text)
    s3 = refusal(signed("s3", "GET", "/b/k", b""), protocol="rest-xml", service="s3", later=later)
    assert (s3.code, s3.http_status) == ("RequestTimeTooSkewed", 403)


def test_a_presigned_url_lives_as_long_as_it_says() -> None:
    request = signed("s3", "GET", "/b/k", b"", presign=True)
    verify(request, protocol="rest-xml", service="s3", later=timedelta(minutes=59))
    error = refusal(request, protocol="rest-xml", service="s3", later=timedelta(minutes=61))
    assert (error.code, error.message) == ("AccessDenied", "Request has expired")


def test_a_signature_for_another_service_is_refused() -> None:
    error = refusal(signed("s3", "GET", "/", b""))
    assert error.message == "Credential should be scoped to correct service: 'bedrock'."


def test_the_key_of_a_session_needs_its_token_and_its_time() -> None:
    session = Key(session_token="token", expires=datetime.now(UTC) + timedelta(minutes=5))
    verify(signed(token="token"), key=session)
    assert refusal(signed(), key=session).code == "UnrecognizedClientException"
    assert refusal(signed(token="other"), key=session).code == "UnrecognizedClientException"
    assert refusal(signed(token="token")).code == "UnrecognizedClientException"
    assert refusal(signed(token="token"), key=session, later=timedelta(minutes=6)).code == "ExpiredTokenException"


@pytest.mark.parametrize(
    ("protocol", "service", "wrong", "expired", "late"),
    [
        ("json", "sagemaker", "UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"),
        ("query", "sts", "InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch"),
        ("rest-xml", "s3", "InvalidToken", "ExpiredToken", "RequestTimeTooSkewed"),
    ],
)
def test_each_family_has_its_own_words_for_sessions_and_clocks(
    protocol: str, service: str, wrong: str, expired: str, late: str
) -> None:
    session = Key(session_token="token", expires=datetime.now(UTC) + timedelta(minutes=5))
    named = {"protocol": protocol, "service": service, "key": session}
    assert refusal(signed(service, token="other"), **named).code == wrong
    assert refusal(signed(service, token="token"), later=timedelta(minutes=6), **named).code == expired
    assert refusal(signed(service, token="token"), later=timedelta(minutes=16), **named).code == late


@pytest.mark.parametrize("twice", ["X-Amz-Credential", "X-Amz-Signature", "X-Amz-Expires"])
def test_a_part_of_a_presigned_url_that_is_given_twice_is_refused(twice: str) -> None:
    request = signed("s3", "GET", "/b/k", b"", presign=True)
    bent = replace(request, raw_query=f"{request.raw_query}&{twice}=1")
    assert refusal(bent, protocol="rest-xml", service="s3").code == "AuthorizationHeaderMalformed"


class AuthorityAuth(SigV4Auth):  # type: ignore[misc]
    """Signs as the JavaScript SDK does over HTTP/2, where the host travels as `:authority`."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        headers = super().headers_to_sign(request)
        headers[":authority"] = headers["host"]
        del headers["host"]
        return headers


def signed_over_http2() -> HttpRequest:
    request = AWSRequest(method="POST", url=HOST + INVOKE, data=b"{}")
    AuthorityAuth(Credentials(KEY, SECRET), "bedrock", REGION).add_auth(request)
    assert "SignedHeaders=:authority;x-amz-date" in request.headers["Authorization"]
    # The server hands the pseudo header on as `host`.
    wire = {name.lower(): str(value) for name, value in request.headers.items()}
    return HttpRequest(
        method="POST", raw_path=INVOKE, raw_query="", headers={"host": "127.0.0.1:4580", **wire}, body=b"{}"
    )


def test_the_host_may_be_signed_as_the_authority_of_http2() -> None:
    assert verify(signed_over_http2()).region == REGION


def test_the_authority_that_was_signed_is_the_host_that_was_asked() -> None:
    request = signed_over_http2()
    request.headers = {**request.headers, "host": "127.0.0.1:4581"}
    assert refusal(request).code == "InvalidSignatureException"


def test_a_header_called_authority_does_not_stand_for_the_host() -> None:
    # HTTP/1 has no such header; one that slips through is not what the signature is checked against.
    request = signed_over_http2()
    request.headers = {**request.headers, "host": "127.0.0.1:4581", ":authority": "127.0.0.1:4580"}
    assert refusal(request).code == "InvalidSignatureException"


def test_a_signature_over_neither_host_nor_authority_is_refused() -> None:
    request = signed_over_http2()
    stated = request.headers["authorization"].replace(":authority;", "")
    request.headers = {**request.headers, "authorization": stated}
    answer = refusal(request)
    assert answer.message == "'host' must be a signed header."
