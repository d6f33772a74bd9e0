"""What nobody can make here is not there, and so it is told: what cleanup scripts and Terraform ask for on their way."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.api.iam import absent as iam_absent
from outcrop.protocol import service_model
from tests.support.policies import policy, trusting
from tests.support.servers import Running

ARN = "arn:aws:iam::123456789012:"
VALUES: dict[str, Any] = {
    "AuthenticationCode1": "123456",
    "AuthenticationCode2": "654321",
    "CertificateId": "A" * 24,
    "ClientID": "c",
    "Encoding": "SSH",
    "InstanceProfileName": "profile",
    "JobId": "0" * 36,
    "NewPassword": "p",
    "OldPassword": "p",
    "OpenIDConnectProviderArn": f"{ARN}oidc-provider/example.com",
    "RoleName": "absent",
    "SAMLProviderArn": f"{ARN}saml-provider/corp",
    "SSHPublicKeyId": "APKA" + "A" * 16,
    "SerialNumber": f"{ARN}mfa/phone",
    "ServerCertificateName": "certificate",
    "ServiceNamespace": "s3",
    "Status": "Inactive",
    "TagKeys": ["a"],
    "Tags": [{"Key": "a", "Value": "b"}],
    "ThumbprintList": ["0" * 40],
}


def code_of(action: Any, **asked: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        action(**asked)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def method(iam: Any, operation: str) -> Any:
    names = {name: method for method, name in iam.meta.method_to_api_mapping.items()}
    return getattr(iam, names[operation])


def required(operation: str, **given: Any) -> dict[str, Any]:
    shape = service_model.operation("iam", operation).input_shape
    return {name: {**VALUES, **given}[name] for name in (shape.required_members if shape is not None else [])}


@pytest.fixture(scope="module")
def person(server: Running) -> str:
    """One user for all of them, who may do anything in IAM, and a role of the same name."""
    iam, name = server.client("iam"), "without-anything"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy("Allow", "iam:*"))
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting({"Service": "ec2.amazonaws.com"}))
    return name


@pytest.fixture(scope="module")
def own(server: Running, person: str) -> Any:
    key = server.client("iam").create_access_key(UserName=person)["AccessKey"]
    return server.client("iam", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])


@pytest.mark.parametrize("operation", sorted(iam_absent.ALWAYS_ABSENT))
def test_what_is_not_there_is_told_as_iam_tells_it(own: Any, person: str, operation: str) -> None:
    asked = required(operation, UserName=person, RoleName=person)
    assert code_of(method(own, operation), **asked) == ("NoSuchEntity", 404)


@pytest.mark.parametrize("operation", [*iam_absent._LISTS, *iam_absent._WHOLE])
def test_a_listing_of_what_nobody_can_make_is_empty(iam: Any, person: str, operation: str) -> None:
    asked = required(operation, RoleName=person)
    if operation in iam_absent._OF_A_USER:
        asked["UserName"] = person
        assert code_of(method(iam, operation), UserName="nobody") == ("NoSuchEntity", 404)
    answer = method(iam, operation)(**asked)
    member = {**iam_absent._LISTS, **iam_absent._WHOLE}[operation]
    assert answer[member] == []
    assert answer.get("IsTruncated", False) is False
    if operation in iam_absent._LISTS:
        assert method(iam, operation)(**asked, MaxItems=1)[member] == []
        assert code_of(method(iam, operation), **asked, Marker="x") == ("ValidationError", 400)


def test_a_user_lists_what_is_its_own(own: Any) -> None:
    assert own.list_mfa_devices()["MFADevices"] == []
    assert own.list_ssh_public_keys()["SSHPublicKeys"] == []
    assert own.list_signing_certificates()["Certificates"] == []
    assert code_of(own.get_login_profile) == ("NoSuchEntity", 404)


def test_the_account_has_no_password_policy_and_no_report(iam: Any) -> None:
    assert code_of(iam.get_account_password_policy) == ("NoSuchEntity", 404)
    assert code_of(iam.delete_account_password_policy) == ("NoSuchEntity", 404)
    assert code_of(iam.get_credential_report) == ("ReportNotPresent", 410)


def test_a_provider_that_is_not_there_may_be_deleted(iam: Any) -> None:
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=VALUES["OpenIDConnectProviderArn"])


def test_a_role_and_a_user_go_the_way_terraform_takes(iam: Any) -> None:
    """Its destroy of `aws_iam_role` and of `aws_iam_user` with `force_destroy`, call by call."""
    iam.create_role(RoleName="tf", AssumeRolePolicyDocument=trusting({"Service": "ec2.amazonaws.com"}))
    for profile in iam.list_instance_profiles_for_role(RoleName="tf")["InstanceProfiles"]:
        iam.remove_role_from_instance_profile(RoleName="tf", InstanceProfileName=profile["InstanceProfileName"])
    assert iam.list_attached_role_policies(RoleName="tf")["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName="tf")["PolicyNames"] == []
    iam.delete_role(RoleName="tf")

    iam.create_user(UserName="tf")
    key = iam.create_access_key(UserName="tf")["AccessKey"]["AccessKeyId"]
    assert iam.list_groups_for_user(UserName="tf")["Groups"] == []
    iam.delete_access_key(UserName="tf", AccessKeyId=key)
    assert iam.list_ssh_public_keys(UserName="tf")["SSHPublicKeys"] == []
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"] == []
    assert iam.list_mfa_devices(UserName="tf")["MFADevices"] == []
    assert code_of(iam.delete_login_profile, UserName="tf") == ("NoSuchEntity", 404)
    assert iam.list_signing_certificates(UserName="tf")["Certificates"] == []
    assert iam.list_service_specific_credentials(UserName="tf")["ServiceSpecificCredentials"] == []
    iam.delete_user(UserName="tf")
    assert code_of(iam.delete_user, UserName="tf") == ("NoSuchEntity", 404)


def test_what_would_make_one_is_not_built_and_says_so(iam: Any, server: Running) -> None:
    for operation, asked in (
        ("CreateInstanceProfile", {"InstanceProfileName": "p"}),
        ("CreateLoginProfile", {"UserName": "u", "Password": "p"}),
        ("CreateVirtualMFADevice", {"VirtualMFADeviceName": "v"}),
        ("UpdateAccountPasswordPolicy", {"MinimumPasswordLength": 8}),
        ("GenerateCredentialReport", {}),
    ):
        assert code_of(method(iam, operation), **asked) == ("NotImplemented", 501)
    sts = server.client("sts")
    assert code_of(sts.get_federation_token, Name="jane") == ("NotImplemented", 501)
    refused = ("InvalidAuthorizationMessageException", 400)
    assert code_of(sts.decode_authorization_message, EncodedMessage="x") == refused
