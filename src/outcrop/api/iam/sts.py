"""STS: who is asking, and temporary credentials."""

from typing import Any

from outcrop.access.credentials import Issued
from outcrop.access.request_context import circumstances
from outcrop.access.session_marks import parse_marks
from outcrop.api.door.call import (
    Answered,
    Call,
    Handler,
    quick,
)
from outcrop.errors import ServiceRefusal
from outcrop.house import House

_UNBUILT = ("SerialNumber", "TokenCode", "ProvidedContexts")


@quick
def get_caller_identity(_house: House, call: Call) -> Answered:
    return {"UserId": call.caller.user_id, "Account": call.caller.account, "Arn": call.caller.arn}


def assume_role(house: House, call: Call) -> Answered:
    _refuse_unbuilt(call)
    session = house.access.sessions.assume_role(
        call.caller,
        role_arn=call.params["RoleArn"],
        session_name=call.params["RoleSessionName"],
        duration_s=call.params.get("DurationSeconds"),
        policy=call.params.get("Policy"),
        policy_arns=[each["arn"] for each in call.params.get("PolicyArns") or [] if "arn" in each],
        external_id=call.params.get("ExternalId"),
        asked=parse_marks(
            call.params.get("Tags") or (), call.params.get("TransitiveTagKeys") or (), call.params.get("SourceIdentity")
        ),
        context=circumstances(call),
    )
    role = {"AssumedRoleId": session.caller.user_id, "Arn": session.caller.arn}
    return {
        "Credentials": _credentials(session.issued),
        "AssumedRoleUser": role,
        "SourceIdentity": session.source_identity,
    }


def get_session_token(house: House, call: Call) -> Answered:
    _refuse_unbuilt(call)
    issued = house.access.sessions.session_of_user(call.caller, duration_s=call.params.get("DurationSeconds"))
    return {"Credentials": _credentials(issued)}


def get_access_key_info(house: House, call: Call) -> Answered:
    key_id = call.params["AccessKeyId"]
    if house.access.identities.records.keys.find(key_id) is None and house.access.secret_for(key_id) is None:
        sentence = f"AccessKeyId: {key_id} is no access key of this installation, and others are not known here."
        raise ServiceRefusal("ValidationError", sentence, http_status=400)
    return {"Account": house.account}


def decode_authorization_message(_house: House, _call: Call) -> Answered:
    sentence = "The message is not valid: refusals here are in plain words, and none is encoded."
    raise ServiceRefusal("InvalidAuthorizationMessageException", sentence, http_status=400)


def _credentials(issued: Issued) -> dict[str, Any]:
    return {
        "AccessKeyId": issued.key_id,
        "SecretAccessKey": issued.secret,
        "SessionToken": issued.session_token,
        "Expiration": issued.expires,
    }


def _refuse_unbuilt(call: Call) -> None:
    # Each of these narrows or marks a session; one that was taken in and forgotten would be a lie in a policy.
    for member in _UNBUILT:
        if call.params.get(member):
            sentence = f"{member} is not built in Outcrop yet. Ask for the session without it."
            raise ServiceRefusal("ValidationError", sentence, http_status=400)


OPERATIONS: dict[str, Handler] = {
    "AssumeRole": assume_role,
    "DecodeAuthorizationMessage": decode_authorization_message,
    "GetAccessKeyInfo": get_access_key_info,
    "GetCallerIdentity": get_caller_identity,
    "GetSessionToken": get_session_token,
}
