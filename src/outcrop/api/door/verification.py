"""Authentication of a request: who sent it. The proof it carries is read, checked against what access knows, and named.

Signature Version 4 everywhere, Version 2 for S3 beside it, API keys for Bedrock. Whatever the kind, what comes out is a
caller, the region, and what the proof says of the body. It reads rows by their keys, so call it through `House.ask`.
"""

from collections.abc import Iterator
from urllib.parse import unquote

from outcrop.access.caller import Caller
from outcrop.access.decisions import refused
from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.access.policies.bucket_policy import ANONYMOUS
from outcrop.access.policies.evaluation import Decision
from outcrop.errors import Denied, ServiceRefusal
from outcrop.house import House
from outcrop.protocol import service_model
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.paths import query_pairs
from outcrop.protocol.routing import Routed
from outcrop.protocol.signing import bearer, signature, sigv2, sigv4
from outcrop.protocol.signing.proof import UNSIGNED_PAYLOAD, Verified, known_of_proof, only_one_mechanism
from outcrop.protocol.virtual_hosts import addressed

DEFAULT_REGION = "us-east-1"
# Parts of the proof itself; the other x-amz- keys of a presigned URL are headers that moved into its query.
_OF_THE_PROOF = frozenset({
    "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signature", "x-amz-signedheaders",
    "x-amz-security-token", "x-amz-content-sha256",
})  # fmt: skip


def verify(house: House, request: HttpRequest, routed: Routed) -> tuple[Verified, Caller]:
    """The verified proof of a request, and its caller. Refuses in the words of the service that was asked.

    A presigned request of S3 leaves with the headers that it brought in its query.
    """
    if bearer.claims(request):
        return _by_key(house, request, routed)
    is_s3 = routed.service == "s3"
    if is_s3 and sigv2.claims(request):
        return _by_version_2(house, request)
    if is_s3:
        _check_scheme(request)
        if "authorization" not in request.headers and (admitted := _stranger(house, request)) is not None:
            return admitted
    signed = sigv4.read(request, protocol=routed.protocol)
    credential = house.access.secret_for(signed.key_id)
    verified = sigv4.verify(
        signed,
        credential,
        request,
        protocol=routed.protocol,
        service=service_model.signing_name(routed.service),
        now=house.clock.now(),
    )
    assert credential is not None, "verify refuses unknown keys"
    if is_s3:
        kind = "REST-HEADER" if signed.lifetime_s is None else "REST-QUERY-STRING"
        known = known_of_proof(kind, "AWS4-HMAC-SHA256", age=house.clock.now() - signed.moment)
        verified = verified._replace(known=known)
        if signed.lifetime_s is not None:
            _take_headers_of_query(request)
    return verified, credential.caller


def _stranger(house: House, request: HttpRequest) -> tuple[Verified, Caller] | None:
    """The stranger who signs nothing, at a bucket whose policy lets such in.

    None for a request with a proof, and anywhere else.

    Nothing of its body was read yet; whether the policy allows this very request is decided in the corridor.
    """
    try:
        if signature.read(request) is not None:
            return None
    except (signature.Ambiguous, signature.Illegible):
        return None  # it states a proof, which is refused where it is read for good
    bucket = unquote(addressed(request).raw_path.lstrip("/").partition("/")[0])
    if not bucket or not house.access.admits_strangers(bucket):
        return None
    region = house.buckets.head(bucket).region
    stated = request.headers.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
    caller = Caller(arn="", account=house.account, user_id=ANONYMOUS, key_id="")
    return Verified(region=region, payload_hash=stated), caller


def turn_away(house: House, request: HttpRequest, routed: Routed) -> None:
    """Refuse an unauthenticated request before its body is read: no proof, an unknown key, an invalid token."""
    if bearer.claims(request):
        _by_key(house, request, routed)
        return
    signed = sigv4.read(request, protocol=routed.protocol)
    if house.access.secret_for(signed.key_id) is None:
        sigv4.verify(
            signed,
            None,
            request,
            protocol=routed.protocol,
            service=service_model.signing_name(routed.service),
            now=house.clock.now(),
        )


def _by_version_2(house: House, request: HttpRequest) -> tuple[Verified, Caller]:
    signed = sigv2.read(request)
    credential = house.access.secret_for(signed.key_id)
    verified = sigv2.verify(signed, credential, request, now=house.clock.now())
    assert credential is not None, "verify refuses unknown keys"
    kind = "REST-QUERY-STRING" if signed.presigned else "REST-HEADER"
    if signed.presigned:
        _take_headers_of_query(request)
    return verified._replace(known=known_of_proof(kind, "AWS")), credential.caller


def _by_key(house: House, request: HttpRequest, routed: Routed) -> tuple[Verified, Caller]:
    if routed.service not in bearer.SERVICES:
        text = f"API keys open Bedrock only, not {routed.service}. Sign the request with an access key."
        raise Denied(text)
    if "X-Amz-Signature=" in request.raw_query:
        raise only_one_mechanism(routed.protocol)
    return verify_key(house, request)


def verify_key(house: House, request: HttpRequest) -> tuple[Verified, Caller]:
    """Whose API key the request brings; refuses one that is none, and who may not use any."""
    key = bearer.token(request)
    presigned = bearer.presigned(key)
    kind = "LONG_TERM" if presigned is None else "SHORT_TERM"
    if presigned is None:
        caller = _owner(house, key)
        verified = Verified(region=bearer.region_of(request, default=DEFAULT_REGION))
    else:
        caller, verified = _short_term(house, presigned)
    check_may_use_keys(house, caller, kind=kind, region=verified.region)
    return verified, caller


def _owner(house: House, key: str) -> Caller:
    found = house.access.service_credentials.find(key)
    if found is None:
        raise bearer.invalid()
    if found.expires is not None and found.expires <= house.clock.now():
        raise bearer.expired()
    return found.caller


def _short_term(house: House, presigned: HttpRequest) -> tuple[Caller, Verified]:
    try:
        signed = sigv4.read(presigned, protocol="rest-json")
        credential = house.access.secret_for(signed.key_id)
        verified = sigv4.verify(
            signed, credential, presigned, protocol="rest-json", service="bedrock", now=house.clock.now()
        )
    except ServiceRefusal as error:
        late = "expired" in error.message
        raise (bearer.expired() if late else bearer.invalid()) from error
    assert credential is not None, "verifying refuses unknown keys"
    return credential.caller, verified


def check_may_use_keys(house: House, caller: Caller, *, kind: str, region: str) -> None:
    """The permission that API keys need beside that of the operation."""
    need = RequiredPermission(action="bedrock:CallWithBearerToken")
    context = {"bedrock:bearerTokenType": kind, "aws:RequestedRegion": region}
    verdict = house.access.decisions.of_caller(caller, need, context)
    if verdict.decision is not Decision.ALLOWED:
        raise refused(caller, need, verdict)


def _check_scheme(request: HttpRequest) -> None:
    authorization = request.headers.get("authorization")
    if authorization is not None and not authorization.startswith("AWS4-HMAC-SHA256"):
        raise ServiceRefusal(
            "InvalidArgument", "Unsupported Authorization Type", http_status=400, ArgumentName="Authorization"
        )


def _take_headers_of_query(request: HttpRequest) -> None:
    """Take x-amz- headers of a presigned URL from its query. A header that is sent too stands.

    Those who presign move them there, under the signature.
    """
    moved = {name: value for name, value in _moved(request) if name not in request.headers}
    if moved:
        request.headers = {**moved, **request.headers}


def _moved(request: HttpRequest) -> Iterator[tuple[str, str]]:
    for key, raw in query_pairs(request.raw_query):
        name, value = unquote(key).lower(), unquote(raw)
        if not name.startswith("x-amz-") or name in _OF_THE_PROOF:
            continue
        if not value.isprintable():
            # As a header it could not have been sent; in an answer it would begin a header of its own.
            text = f"{name}: a header holds no control characters. Leave them out of the URL."
            raise ServiceRefusal("InvalidArgument", text, http_status=400, ArgumentName=name)
        yield name, value
