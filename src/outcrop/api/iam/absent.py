"""Kinds of IAM resources that nobody can make here, so none exists: no listing names one, none is found.

Cleanup scripts and Terraform ask for all of them before they delete a user or a role, and go on at "none" and at
NoSuchEntity. What would make or set one is not built, and says so by name.
"""

from typing import Any

from outcrop.access.names import Kind
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.iam.access_keys import user_name
from outcrop.api.iam.answers import page
from outcrop.errors import ServiceRefusal
from outcrop.house import House

_LISTS = {
    "ListInstanceProfiles": "InstanceProfiles",
    "ListInstanceProfilesForRole": "InstanceProfiles",
    "ListMFADevices": "MFADevices",
    "ListSSHPublicKeys": "SSHPublicKeys",
    "ListServerCertificates": "ServerCertificateMetadataList",
    "ListSigningCertificates": "Certificates",
    "ListVirtualMFADevices": "VirtualMFADevices",
}
"""Listings in pages, and the member that would hold what they list."""
_OF_A_USER = ("ListMFADevices", "ListSSHPublicKeys", "ListSigningCertificates")
"""They are about the caller where no user is named."""
_WHOLE = {"ListOpenIDConnectProviders": "OpenIDConnectProviderList", "ListSAMLProviders": "SAMLProviderList"}
"""Listings of one page."""
_LOGIN = "Login Profile for User {UserName} cannot be found."
_PROFILE = "Instance Profile {InstanceProfileName} cannot be found."
_DEVICE = "MFA Device with serial number {SerialNumber} cannot be found."
_OIDC = "OpenIDConnect Provider not found for arn {OpenIDConnectProviderArn}"
_SAML = "SAML Provider not found for arn {SAMLProviderArn}"
_SERVER = "The Server Certificate with name {ServerCertificateName} cannot be found."
_SIGNING = "The Certificate with id {CertificateId} cannot be found."
_SSH = "The Public Key with id {SSHPublicKeyId} cannot be found."
_REPORT = "The report with job id {JobId} cannot be found."
_ABSENT = {
    "AddClientIDToOpenIDConnectProvider": _OIDC,
    "AddRoleToInstanceProfile": _PROFILE,
    "DeactivateMFADevice": _DEVICE,
    "DeleteInstanceProfile": _PROFILE,
    "DeleteSAMLProvider": _SAML,
    "DeleteSSHPublicKey": _SSH,
    "DeleteServerCertificate": _SERVER,
    "DeleteVirtualMFADevice": _DEVICE,
    "GetInstanceProfile": _PROFILE,
    "GetMFADevice": _DEVICE,
    "GetOpenIDConnectProvider": _OIDC,
    "GetSAMLProvider": _SAML,
    "GetSSHPublicKey": _SSH,
    "GetServerCertificate": _SERVER,
    "GetServiceLastAccessedDetails": _REPORT,
    "GetServiceLastAccessedDetailsWithEntities": _REPORT,
    "GetOrganizationsAccessReport": _REPORT,
    "ListInstanceProfileTags": _PROFILE,
    "ListMFADeviceTags": _DEVICE,
    "ListOpenIDConnectProviderTags": _OIDC,
    "ListSAMLProviderTags": _SAML,
    "ListServerCertificateTags": _SERVER,
    "RemoveClientIDFromOpenIDConnectProvider": _OIDC,
    "RemoveRoleFromInstanceProfile": _PROFILE,
    "ResyncMFADevice": _DEVICE,
    "TagInstanceProfile": _PROFILE,
    "TagMFADevice": _DEVICE,
    "TagOpenIDConnectProvider": _OIDC,
    "TagSAMLProvider": _SAML,
    "TagServerCertificate": _SERVER,
    "UntagInstanceProfile": _PROFILE,
    "UntagMFADevice": _DEVICE,
    "UntagOpenIDConnectProvider": _OIDC,
    "UntagSAMLProvider": _SAML,
    "UntagServerCertificate": _SERVER,
    "UpdateLoginProfile": _LOGIN,
    "UpdateOpenIDConnectProviderThumbprint": _OIDC,
    "UpdateSAMLProvider": _SAML,
    "UpdateSSHPublicKey": _SSH,
    "UpdateServerCertificate": _SERVER,
}
"""Operations on one thing by its name, and IAM's sentence about one that is not there."""
_ABSENT_OF_A_USER = {
    "ChangePassword": _LOGIN,
    "DeleteLoginProfile": _LOGIN,
    "DeleteSigningCertificate": _SIGNING,
    "GetLoginProfile": _LOGIN,
    "UpdateSigningCertificate": _SIGNING,
}
"""Operations on things of a user that need not name the user."""
ALWAYS_ABSENT = frozenset({*_ABSENT, *_ABSENT_OF_A_USER})
"""Operations that have no other answer than NoSuchEntity."""


def list_none(house: House, call: Call) -> Answered:
    """An empty page. Raises NoSuchEntity where the user or role that is named is not there."""
    if call.operation in _OF_A_USER:
        house.access.identities.get(Kind.USER, user_name(house, call))
    _check_owner(house, call)
    return page(call, _LISTS[call.operation], list[str](), key=str, shape=str)


def list_none_at_once(_house: House, call: Call) -> Answered:
    return {_WHOLE[call.operation]: []}


def not_there(house: House, call: Call) -> Answered:
    """Raises NoSuchEntity: about the user or role that is named, else about the thing."""
    _check_owner(house, call)
    raise _no_such(_ABSENT[call.operation].format_map(call.params))


def user_has_none(house: House, call: Call) -> Answered:
    """Raises NoSuchEntity about the user, or about the thing that this user has none of."""
    named = {**call.params, "UserName": user_name(house, call)}
    house.access.identities.get(Kind.USER, named["UserName"])
    raise _no_such(_ABSENT_OF_A_USER[call.operation].format_map(named))


def delete_open_id_connect_provider(_house: House, _call: Call) -> Answered:
    """Deleting one that is not there is no error, as IAM documents."""
    return {}


def get_account_password_policy(house: House, _call: Call) -> Answered:
    raise _no_such(f"The Password Policy with domain name {house.account} cannot be found.")


def delete_account_password_policy(_house: House, _call: Call) -> Answered:
    raise _no_such("The account policy with name PasswordPolicy cannot be found.")


def get_credential_report(_house: House, _call: Call) -> Answered:
    raise ServiceRefusal("ReportNotPresent", "No report is present. Generating one is not built.", http_status=410)


def _check_owner(house: House, call: Call) -> None:
    for kind in (Kind.USER, Kind.ROLE):
        name: Any = call.params.get(f"{kind.value.capitalize()}Name")
        if name is not None:
            house.access.identities.get(kind, name)


def _no_such(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("NoSuchEntity", sentence, http_status=404)


OPERATIONS: dict[str, Handler] = {
    **dict.fromkeys(_LISTS, list_none),
    **dict.fromkeys(_WHOLE, list_none_at_once),
    **dict.fromkeys(_ABSENT, not_there),
    **dict.fromkeys(_ABSENT_OF_A_USER, user_has_none),
    "DeleteAccountPasswordPolicy": delete_account_password_policy,
    "DeleteOpenIDConnectProvider": delete_open_id_connect_provider,
    "GetAccountPasswordPolicy": get_account_password_policy,
    "GetCredentialReport": get_credential_report,
}
