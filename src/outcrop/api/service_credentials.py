"""IAM: the service specific credentials of users, which are the long-term API keys of Bedrock."""

from typing import Any

from outcrop.access import refusals
from outcrop.access.service_credential_records import ServiceCredential
from outcrop.access.service_credentials import ServiceCredentials
from outcrop.api.call import Answered, Call, Handler
from outcrop.api.iam_answers import page
from outcrop.api.iam_keys import user_name
from outcrop.api.platform import Platform


def create_service_specific_credential(platform: Platform, call: Call) -> Answered:
    name = call.params["UserName"]
    made, key = _rooms(platform).create(
        name, call.params["ServiceName"], age_days=call.params.get("CredentialAgeDays")
    )  # fmt: skip
    return {"ServiceSpecificCredential": _shown(platform, name, made) | {"ServiceCredentialSecret": key}}


def list_service_specific_credentials(platform: Platform, call: Call) -> Answered:
    service = call.params.get("ServiceName")
    if call.params.get("AllUsers"):
        if "UserName" in call.params:
            raise refusals.invalid_input("UserName and AllUsers exclude each other. Send one of them.")
        found = _rooms(platform).of_everyone(service=service)
    else:
        name = user_name(platform, call)
        found = [(name, each) for each in _rooms(platform).of_user(name, service=service)]
    return page(
        call,
        "ServiceSpecificCredentials",
        found,
        key=lambda pair: pair[1].id,
        shape=lambda pair: _shown(platform, *pair),
    )


def update_service_specific_credential(platform: Platform, call: Call) -> Answered:
    status = call.params["Status"]
    if status == "Expired":
        raise refusals.invalid_input("Status: a credential expires by itself. Set Active or Inactive.")
    _rooms(platform).set_active(
        user_name(platform, call), call.params["ServiceSpecificCredentialId"], active=status == "Active"
    )
    return {}


def reset_service_specific_credential(platform: Platform, call: Call) -> Answered:
    name = user_name(platform, call)
    renewed, key = _rooms(platform).reset(name, call.params["ServiceSpecificCredentialId"])
    return {"ServiceSpecificCredential": _shown(platform, name, renewed) | {"ServiceCredentialSecret": key}}


def delete_service_specific_credential(platform: Platform, call: Call) -> Answered:
    _rooms(platform).delete(user_name(platform, call), call.params["ServiceSpecificCredentialId"])
    return {}


def _rooms(platform: Platform) -> ServiceCredentials:
    return platform.access.service_credentials


def _shown(platform: Platform, user: str, credential: ServiceCredential) -> dict[str, Any]:
    return {
        "CreateDate": credential.created,
        "ExpirationDate": credential.expires,
        "ServiceName": credential.service,
        "ServiceCredentialAlias": credential.alias,
        "ServiceSpecificCredentialId": credential.id,
        "UserName": user,
        "Status": credential.status(platform.clock.now()),
    }


OPERATIONS: dict[str, Handler] = {
    "CreateServiceSpecificCredential": create_service_specific_credential,
    "DeleteServiceSpecificCredential": delete_service_specific_credential,
    "ListServiceSpecificCredentials": list_service_specific_credentials,
    "ResetServiceSpecificCredential": reset_service_specific_credential,
    "UpdateServiceSpecificCredential": update_service_specific_credential,
}
