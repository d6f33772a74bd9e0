"""Names of hubs and of what is in them: the public hub's, those of the account, and their ARNs."""

import re
from dataclasses import dataclass
from enum import StrEnum

from outcrop import arn as arns
from outcrop.errors import Invalid
from outcrop.sagemaker.hub.refusals import not_found

PUBLIC = "SageMakerPublicHub"
_AWS = "aws"
"In the place of an account: the public hub is nobody's."
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")


class ContentType(StrEnum):
    """The kind of a content."""

    MODEL = "Model"
    NOTEBOOK = "Notebook"
    REFERENCE = "ModelReference"
    DATA_SET = "DataSet"
    JSON_DOC = "JsonDoc"


@dataclass(frozen=True, kw_only=True)
class HubPlace:
    """A hub of a region, by its name."""

    name: str
    region: str
    account: str

    @property
    def is_public(self) -> bool:
        return self.name == PUBLIC

    @property
    def arn(self) -> str:
        return arns.sagemaker(self.region, _AWS if self.is_public else self.account, f"hub/{self.name}")

    def content_arn(self, kind: ContentType, name: str, version: str | None = None) -> str:
        """The ARN of a content, or of one version of it."""
        account = _AWS if self.is_public else self.account
        behind = "" if version is None else f"/{version}"
        return arns.sagemaker(self.region, account, f"hub-content/{self.name}/{kind}/{name}{behind}")


def hub_named(identifier: str, *, region: str, account: str) -> HubPlace:
    """The hub that a name or an ARN means. Raises ResourceNotFound for one of another region or account."""
    if not arns.is_arn(identifier):
        return HubPlace(name=identifier, region=region, account=account)
    parsed = arns.parse(identifier)
    place = HubPlace(name=parsed.tail if parsed else "", region=region, account=account)
    # Of the public hub clients write the account that they know: their own.
    own = parsed is not None and parsed.region == region and parsed.account in (account, _AWS)
    if not own or (parsed is not None and parsed.account == _AWS and not place.is_public):
        raise not_found(f"{identifier}: no hub of this account in {region}.")
    return place


def public_model_of(arn: str, *, region: str) -> str:
    """The name of the model of the public hub that an ARN means. Raises Invalid, ResourceNotFound."""
    parsed = arns.parse(arn)
    parts = [] if parsed is None else parsed.resource.split("/")
    if parsed is None or len(parts) not in (4, 5) or parts[:3] != ["hub-content", PUBLIC, ContentType.MODEL.value]:
        raise Invalid(f"SageMakerPublicHubContentArn: {arn} is no model of {PUBLIC}. ListHubContents tells their ARNs.")
    if parsed.region != region:
        raise not_found(f"{arn}: a model of {parsed.region}, and this hub is in {region}. Name the ARN of {region}.")
    return parts[3]


def version_key(version: str) -> tuple[int, int, int]:
    """The three numbers of a version, by which versions are compared. Raises Invalid."""
    found = _VERSION.fullmatch(version)
    if found is None:
        raise Invalid(f"{version}: not a version. Write three numbers of up to four digits, such as 1.0.0.")
    first, second, third = map(int, found.groups())
    return first, second, third
