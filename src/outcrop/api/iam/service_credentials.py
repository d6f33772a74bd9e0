"""IAM: the service specific credentials of users, which are the long-term API keys of Bedrock."""

from typing import Any

from outcrop.access import refusals
from outcrop.access.records.keys import ServiceCredential
from outcrop.access.service_credentials import ServiceCredentials
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.iam.access_keys import user_name
from outcrop.api.iam.answers import page
from outcrop.house import House


def create_service_specific_credential(house: House, call: Call) -> Answered:
    name = call.params["UserName"]
    made, key = _rooms(house).create(
        name, call.params["ServiceName"], age_days=call.params.get("CredentialAgeDays")
    )  # fmt: skip
    return {"ServiceSpecificCredential": _shown(house, name, made) | {"ServiceCredentialSecret": key}}


def list_service_specific_credentials(house: House, call: Call) -> Answered:
    service = call.params.get("ServiceName")
    if call.params.get("AllUsers"):
        if "UserName" in call.params:
            raise refusals.invalid_input("UserName and AllUsers exclude each other. Send one of them.")
        found = _rooms(house).of_everyone(service=service)
    else:
        name = user_name(house, call)
        found = [(name, each) for each in _rooms(house).of_user(name, service=service)]
    return page(
        call,
        "ServiceSpecificCredentials",
        found,
        key=lambda pair: pair[1].id,
        shape=lambda pair: _shown(house, *pair),
    )


def update_service_specific_credential(house: House, call: Call) -> Answered:
    status = call.params["Status"]
    if status == "Expired":
        raise refusals.invalid_input("Status: a credential expires by itself. Set Active or Inactive.")
    _rooms(house).set_active(
        user_name(house, call), call.params["ServiceSpecificCredentialId"], active=status == "Active"
    )
    return {}


def reset_service_specific_credential(house: House, call: Call) -> Answered:
    name = user_name(house, call)
    renewed, key = _rooms(house).reset(name, call.params["ServiceSpecificCredentialId"])
    return {"ServiceSpecificCredential": _shown(house, name, renewed) | {"ServiceCredentialSecret": key}}


def delete_service_specific_credential(house: House, call: Call) -> Answered:
    _rooms(house).delete(user_name(house, call), call.params["ServiceSpecificCredentialId"])
    return {}


def _rooms(house: House) -> ServiceCredentials:
    return house.access.service_credentials


def _shown(house: House, user: str, credential: ServiceCredential) -> dict[str, Any]:
    return {
        "CreateDate": credential.created,
        "ExpirationDate": credential.expires,
        "ServiceName": credential.service,
        "ServiceCredentialAlias": credential.alias,
        "ServiceSpecificCredentialId": credential.id,
        "UserName": user,
        "Status": credential.status(house.clock.now()),
    }


OPERATIONS: dict[str, Handler] = {
    "CreateServiceSpecificCredential": create_service_specific_credential,
    "DeleteServiceSpecificCredential": delete_service_specific_credential,
    "ListServiceSpecificCredentials": list_service_specific_credentials,
    "ResetServiceSpecificCredential": reset_service_specific_credential,
    "UpdateServiceSpecificCredential": update_service_specific_credential,
}
