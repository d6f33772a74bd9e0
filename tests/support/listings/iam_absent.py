"""IAM's listings of what nobody can make here: without rows, and asked for sizes and tokens as any other."""

from typing import Any

from tests.support.listings.iam_rows import ROLE, USER, make_owners
from tests.support.listings.listing import Listing


def none_of(operation: str, rows: str, *, asked: dict[str, Any] | None = None, chooses: str | None = None) -> Listing:
    """`rows`: the member that would hold them; `chooses`: a filter, which has nothing to choose among."""
    return Listing(
        service="iam",
        operation=operation,
        prepare=make_owners,
        rows=lambda answer: answer[rows],
        name_of=str,
        most=0,
        asked=lambda _: asked or {},
        not_filters=frozenset({chooses} if chooses else ()),
        size="MaxItems",
        tokens={"Marker": "Marker"},
        refusal="ValidationError",
    )


def none_at_once(operation: str, rows: str) -> Listing:
    return Listing(service="iam", operation=operation, rows=lambda answer: answer[rows], name_of=str, most=0)


LISTINGS = [
    none_of("ListInstanceProfiles", "InstanceProfiles", chooses="PathPrefix"),
    none_of("ListInstanceProfilesForRole", "InstanceProfiles", asked={"RoleName": ROLE}),
    none_of("ListMFADevices", "MFADevices", asked={"UserName": USER}),
    none_of("ListSSHPublicKeys", "SSHPublicKeys", asked={"UserName": USER}),
    none_of("ListServerCertificates", "ServerCertificateMetadataList", chooses="PathPrefix"),
    none_of("ListSigningCertificates", "Certificates", asked={"UserName": USER}),
    none_of("ListVirtualMFADevices", "VirtualMFADevices", chooses="AssignmentStatus"),
    none_at_once("ListOpenIDConnectProviders", "OpenIDConnectProviderList"),
    none_at_once("ListSAMLProviders", "SAMLProviderList"),
]
