"""Authentication by bearer key: what OpenAI's clients send as `api_key`.

Bedrock's API keys, long-term (`ABSK…`) and short-term (`bedrock-api-key-…`), and access keys in a form of ours:
`ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with `:SESSION_TOKEN` behind it for temporary credentials. Whatever the kind, whose
key it is needs the permission bedrock:CallWithBearerToken, beside that of what it asks for.
"""

import hmac
import re
from typing import NamedTuple

from outcrop.access.caller import Caller
from outcrop.access.names import is_temporary_key
from outcrop.api.door import verification
from outcrop.api.openai import refusals
from outcrop.errors import ServiceRefusal
from outcrop.house import House
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.signing import bearer
from outcrop.protocol.signing.proof import only_one_mechanism

_ACCESS_KEY = re.compile(r"(?P<id>[A-Z0-9]{16,128}):(?P<secret>[^:]+)(?::(?P<token>.+))?")


class KeyOwner(NamedTuple):
    """The caller whose key came with a request, and the region that the request is for."""

    caller: Caller
    region: str


def owner_of(house: House, request: HttpRequest) -> KeyOwner:
    """The owner of the key of a request. Refuses one that brings none, or one that opens nothing."""
    if not bearer.claims(request):
        raise refusals.no_key()
    if "X-Amz-Signature=" in request.raw_query:
        raise only_one_mechanism("rest-json")
    pair = _ACCESS_KEY.fullmatch(bearer.token(request))
    if pair is not None:
        return _of_access_key(house, request, pair)
    try:
        verified, caller = verification.verify_key(house, request)
    except ServiceRefusal as refusal:
        raise refusals.wrong_key() from refusal
    return KeyOwner(caller, verified.region)


def _of_access_key(house: House, request: HttpRequest, pair: re.Match[str]) -> KeyOwner:
    key_id, secret, token = pair["id"], pair["secret"], pair["token"] or ""
    credential = house.access.secret_for(key_id)
    # All is compared, whether or not there is such a key: the time of a refusal tells nothing.
    kept = ("", "") if credential is None else (credential.secret, credential.session_token or "")
    is_right = all([_is_same(kept[0], secret), _is_same(kept[1], token)])
    if credential is None or not is_right:
        raise refusals.wrong_key()
    if credential.expires is not None and credential.expires <= house.clock.now():
        raise refusals.wrong_key()
    region = bearer.region_of(request, default=verification.DEFAULT_REGION)
    kind = "SHORT_TERM" if is_temporary_key(key_id) else "LONG_TERM"
    verification.check_may_use_keys(house, credential.caller, kind=kind, region=region)
    return KeyOwner(credential.caller, region)


def _is_same(kept: str, sent: str) -> bool:
    """Whether they are equal, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(kept.encode(), sent.encode("utf-8", "surrogateescape"))
