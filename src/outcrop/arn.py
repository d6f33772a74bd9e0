"""Amazon resource names and the random ids in them. Every ARN of the house is made and taken apart here."""

import hashlib
import re
import secrets
import string
from dataclasses import dataclass

PARTITION = "aws"
_ID_ALPHABET = string.ascii_lowercase + string.digits
_CAPITALS = string.ascii_uppercase + string.digits
_ACCOUNT = re.compile(r"^[0-9]{12}$")


@dataclass(frozen=True, kw_only=True)
class Arn:
    """`arn:aws:<service>:<region>:<account>:<resource>`; the resource may hold colons and slashes itself."""

    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{PARTITION}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def kind(self) -> str:
        """The part before the first slash: `custom-model`, `role`, `foundation-model`."""
        return self.resource.split("/", 1)[0]

    @property
    def tail(self) -> str:
        """The part after the first slash, or "" when there is none."""
        return self.resource.partition("/")[2]


def parse(text: str) -> Arn | None:
    """The ARN in `text`, or None when it is none."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or parts[1] != PARTITION:
        return None
    return Arn(service=parts[2], region=parts[3], account=parts[4], resource=parts[5])


def is_arn(text: str) -> bool:
    return text.startswith(f"arn:{PARTITION}:") and text.count(":") >= 5


def tagged(arn: str) -> str:
    """The ARN that a resource's tags hang on: a log group's own, without its `:*` or a stream."""
    if not arn.startswith(f"arn:{PARTITION}:logs:"):
        return arn
    return ":".join(arn.split(":", 7)[:7])


def bedrock(region: str, account: str, resource: str) -> str:
    """An ARN of Bedrock: bedrock("us-east-1", "123456789012", "custom-model-deployment/abc")."""
    return f"arn:{PARTITION}:bedrock:{region}:{account}:{resource}"  # several for each invocation


def foundation_model(region: str, model_id: str) -> str:
    """The ARN of a foundation model, which belongs to no account."""
    return bedrock(region, "", f"foundation-model/{model_id}")


def sagemaker(region: str, account: str, resource: str) -> str:
    """An ARN of SageMaker: sagemaker("us-east-1", "123456789012", "training-job/abc")."""
    return str(Arn(service="sagemaker", region=region, account=account, resource=resource))


def s3vectors(region: str, account: str, bucket: str, index: str = "") -> str:
    """An ARN of S3 Vectors, a vector bucket's or that of an index in it."""
    resource = f"bucket/{bucket}/index/{index}" if index else f"bucket/{bucket}"
    return str(Arn(service="s3vectors", region=region, account=account, resource=resource))


def iam(account: str, resource: str) -> str:
    """An ARN of IAM, which has no region: iam("123456789012", "role/OutcropServiceRole")."""
    return str(Arn(service="iam", region="", account=account, resource=resource))


def canonical_user(account: str) -> str:
    """The 64 hexadecimal digits by which S3 names an account."""
    return hashlib.sha256(account.encode()).hexdigest()


def new_id(length: int = 12) -> str:
    """A random id in Bedrock's form: 12 characters of a-z and 0-9."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(length))


def new_agents_id() -> str:
    """A random id in the form of Bedrock's agents and knowledge bases: 10 characters of A-Z and 0-9."""
    return "".join(secrets.choice(_CAPITALS) for _ in range(10))


def new_account() -> str:
    """A random account of 12 digits that does not begin with 0."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def is_account(text: str) -> bool:
    return _ACCOUNT.match(text) is not None
