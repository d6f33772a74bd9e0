"""No member of a request is accepted and dropped in silence: of every operation that works here, each is looked at,
refused by its name, or on the list of those that S3, IAM, STS or Bedrock pass over too, with the reason.

Each member is sent alone beside what the operation needs. The lists below hold for whichever operation is named.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from outcrop.api.iam import absent as iam_absent
from outcrop.api.operations import OPERATIONS
from outcrop.protocol import service_model
from outcrop.protocol.shapes import ListShape, Shape, StructureShape
from tests.support.member_house import Furnished, furnished

DEEPEST = 4
NONE_OF_THEM = "there is none of what is listed, so no filter and no page changes the answer"
HARMLESS: dict[str, dict[str, str]] = {
    "s3": {
        "Body": "the bytes, which the handler gets as a stream",
        "ContentLength": "the length of the body, which the HTTP server and the reception hold it to",
        "ContentMD5": "a document's own digest, checked by the door: `s3_bodies.py`",
        "ChecksumAlgorithm": "which checksum of a document is sent, itself checked by the door: `s3_bodies.py`",
        "MFA": "S3 reads it where deletions need a second factor, which cannot be set here",
        "RequestPayer": "a consent to be charged, which S3 takes and ignores where the owner pays, as of every bucket here",
        "SkipDestinationValidation": "about destinations of notifications; an empty configuration has none",
        "ConfirmRemoveSelfBucketAccess": "a consent to shut oneself out, which nobody is kept from",
        "BucketKeyEnabled": "S3 passes it over for an object that no key of KMS encrypts",
        "CompleteMultipartUpload.SSECustomerAlgorithm": "of the caller's key, which is looked at where there is one",
        "CompleteMultipartUpload.SSECustomerKeyMD5": "of the caller's key, which is looked at where there is one",
        "Id": "of a configuration of which none can be set, so none has this id",
    },
    "iam": {
        "AssignmentStatus": NONE_OF_THEM,
        "ListInstanceProfiles.PathPrefix": NONE_OF_THEM,
        "ListServerCertificates.PathPrefix": NONE_OF_THEM,
        "ContextEntries.ContextKeyType": "what a value is compared as is said by the operator of the condition",
        "DeleteOpenIDConnectProvider.OpenIDConnectProviderArn": "deleting what is not there is no error",
    },
    "sts": {},
    "s3vectors": {},
    "kms": {},
    "logs": {
        "interleaved": "events of several streams always come interleaved, as in CloudWatch Logs since 2019",
        "unmask": "there are no data protection policies here, so nothing is masked",
        "sequenceToken": "CloudWatch Logs takes any since 2023, and looks at none",
        **{
            f"entity{member}": "the answer says that the entity was not kept"
            for member in (".keyAttributes", ".attributes")
        },
    },
    "cloudwatch": {
        f"EntityMetricData.Entity{member}": "CloudWatch takes metrics without it too, unless it is to be strict"
        for member in ("", ".KeyAttributes", ".Attributes")
    },
    "bedrock": {
        "sortBy": "its one value is the time of creation, by which every listing is sorted",
    },
}
"""By the path of the member, for every operation or behind the name of one."""
ALWAYS_REFUSED = {
    *iam_absent.ALWAYS_ABSENT,
    "DecodeAuthorizationMessage",
    "GetCredentialReport",
    "GetObjectRetention",
    "PutObjectRetention",
    "GetObjectLegalHold",
    "PutObjectLegalHold",
}
"""Operations on what nobody can make here: no member of theirs could be kept."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    made = furnished(tmp_path_factory.mktemp("members") / "home")
    yield made
    made.platform.store.close()


def members_of(shape: Shape | None, path: str = "", deep: int = 0) -> Iterator[tuple[str, Shape]]:
    """Every member by its path, those inside of structures and of lists of structures too."""
    inner = shape.member if isinstance(shape, ListShape) else shape
    if not isinstance(inner, StructureShape) or deep == DEEPEST or inner.is_document_type:
        return
    for name, member in inner.members.items():
        here = f"{path}.{name}" if path else name
        yield here, member
        yield from members_of(member, here, deep + 1)


def with_member(house: Furnished, shape: StructureShape, params: dict[str, Any], path: str) -> Any:
    """The request with this member set, and what has to be around it."""
    name, _, rest = path.partition(".")
    member = shape.members[name]
    value = params.get(name, house.sample(member, name))
    if rest:
        inner = member.member if isinstance(member, ListShape) else member
        assert isinstance(inner, StructureShape), path
        first = (value[0] if value else {}) if isinstance(value, list) else value
        value = with_member(house, inner, dict(first), rest)
        value = [value] if isinstance(member, ListShape) else value
    return {**params, name: value}


def dropped(house: Furnished, service: str, operation: str) -> Iterator[str]:
    """The members that nobody looks at and nobody refuses by name."""
    shape = service_model.operation(service, operation).input_shape
    if shape is None:
        return
    house.furnish()
    harmless = HARMLESS[service]
    for path, _ in members_of(shape):
        params = with_member(house, shape, house.base(service, operation), path)
        seen, refusal = house.looked_at(service, operation, params)
        by_name = any(name.lower() in refusal.lower() for name in path.split("."))
        if path not in seen and not by_name and not {path, f"{operation}.{path}"} & harmless.keys():
            yield path


@pytest.mark.parametrize(
    ("service", "operation"),
    [(service, name) for service in HARMLESS for name in OPERATIONS[service]],
)
def test_no_member_is_dropped_in_silence(house: Furnished, service: str, operation: str) -> None:
    if operation in ALWAYS_REFUSED:
        house.furnish()
        assert house.looked_at(service, operation, house.base(service, operation))[1]
    else:
        assert list(dropped(house, service, operation)) == []


@pytest.mark.parametrize("service", list(HARMLESS))
def test_what_is_harmless_is_a_member_that_exists(service: str) -> None:
    known = {
        spelled
        for name in OPERATIONS[service]
        for path, _ in members_of(service_model.operation(service, name).input_shape)
        for spelled in (path, f"{name}.{path}")
    }
    assert HARMLESS[service].keys() <= known
