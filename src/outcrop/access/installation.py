"""The first start of an installation: an account, its administrator with an access key, and a service role for jobs.

Whoever comes second, in this process or another, at the same moment or a year later, finds what the first one made.
"""

import json
from dataclasses import dataclass, field

from outcrop import arn as arns
from outcrop.access.credentials import Credentials
from outcrop.access.identities import ADMINISTRATOR, Identities
from outcrop.access.names import Kind, arn_of
from outcrop.access.policies.attachments import Attachments
from outcrop.access.policies.managed import ADMINISTRATOR as ADMINISTRATOR_POLICY
from outcrop.access.policies.managed import SAGEMAKER_FULL_ACCESS
from outcrop.access.records.records import InstallationRow, Records
from outcrop.access.session_marks import MarkRecords
from outcrop.clock import Clock
from outcrop.errors import MachineTrouble
from outcrop.keys import root_key
from outcrop.keys.root_key import Sealer
from outcrop.settings import Settings

SERVICE_ROLE = "OutcropServiceRole"
SERVICE_ROLE_PATH = "/service-role/"
SAGEMAKER_ROLE = "sagemaker_execution_role"
"Notebooks ask IAM for a role of this name where they do not run as one."
SERVICES = ("bedrock.amazonaws.com", "sagemaker.amazonaws.com")
_CHECK = "installation"

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": list(SERVICES)}, "Action": "sts:AssumeRole"}],
}
INVOKE_ACCESS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": "*"}],
}
KNOWLEDGE_ACCESS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["bedrock:Retrieve", "bedrock:RetrieveAndGenerate", "bedrock:Rerank"],
            "Resource": "*",
        }
    ],
}
TRAINING_ACCESS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ec2:CreateNetworkInterface",
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "ecr:GetAuthorizationToken",
            ],
            "Resource": "*",
        }
    ],
}
"There is neither EC2 nor ECR here; SDK 3.x of SageMaker trains with no role that may not do this."
S3_ACCESS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The account, access key and service role that a person needs to use this installation."""

    account: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    service_role_arn: str


@dataclass(frozen=True, kw_only=True)
class AccountRooms:
    """The rules of this room, set up for one account."""

    records: Records
    identities: Identities
    attachments: Attachments
    credentials: Credentials
    account: str


def ensure(records: Records, settings: Settings, clock: Clock) -> AccountRooms:
    """The account of this home, made at the first start.

    Raises MachineTrouble when the database belongs to a service key that is not here.
    """
    row = records.installation()
    sealer = _fitting(row, settings) if row else root_key.read_or_make_key(settings)
    with records.alone():
        row = records.installation()
        if row is None:
            row = InstallationRow(account=arns.new_account(), seal_check=sealer.seal(_CHECK, about=_CHECK))
            records.add_installation(row)
            rooms = _rooms(records, sealer, row.account, clock)
            _furnish(rooms)
            return rooms
    if not _fits(sealer, row):  # another process made the account between the two looks
        sealer = _fitting(row, settings)
    return _rooms(records, sealer, row.account, clock)


def reseal(rooms: AccountRooms, new: Sealer) -> None:
    """Seal everything in the access tables with another root key. The caller has a transaction open."""
    rooms.credentials.reseal(new)
    rooms.records.set_seal_check(new.seal(_CHECK, about=_CHECK))


def _fits(sealer: Sealer, row: InstallationRow) -> bool:
    return sealer.open(row.seal_check, about=_CHECK) == _CHECK


def _fitting(row: InstallationRow, settings: Settings) -> Sealer:
    sealer = root_key.fitting_key(settings, lambda each: _fits(each, row))
    if sealer is None:
        raise MachineTrouble(
            f"{root_key.origin(settings)}: this is the service key of another installation than the database. "
            "Put back the key file and the database from the same backup."
        )
    return sealer


def describe(rooms: AccountRooms) -> Installation:
    """The installation with the administrator's oldest access key that is active, secret included."""
    key = next(each for each in rooms.credentials.keys(ADMINISTRATOR) if not rooms.records.keys.is_inactive(each.id))
    credential = rooms.credentials.find(key.id)
    assert credential is not None, "a key that was just read is gone"
    return Installation(
        account=rooms.account,
        access_key_id=key.id,
        secret_access_key=credential.secret,
        service_role_arn=arn_of(rooms.account, "role", SERVICE_ROLE_PATH, SERVICE_ROLE),
    )


def _furnish(rooms: AccountRooms) -> None:
    rooms.identities.create_user(ADMINISTRATOR)
    rooms.attachments.attach(Kind.USER, ADMINISTRATOR, ADMINISTRATOR_POLICY)
    rooms.credentials.create_key(ADMINISTRATOR)
    for name, path, description in (
        (SERVICE_ROLE, SERVICE_ROLE_PATH, "Jobs of Outcrop run under this role unless they name another."),
        (SAGEMAKER_ROLE, "/", "The role that notebooks for SageMaker look for."),
    ):
        rooms.identities.create_role(name, path=path, trust=json.dumps(TRUST), description=description)
        rooms.attachments.put_inline(Kind.ROLE, name, "S3Access", json.dumps(S3_ACCESS))
        rooms.attachments.put_inline(Kind.ROLE, name, "InvokeModel", json.dumps(INVOKE_ACCESS))
        rooms.attachments.put_inline(Kind.ROLE, name, "AskKnowledgeBases", json.dumps(KNOWLEDGE_ACCESS))
    rooms.attachments.attach(Kind.ROLE, SAGEMAKER_ROLE, SAGEMAKER_FULL_ACCESS)
    rooms.attachments.put_inline(Kind.ROLE, SAGEMAKER_ROLE, "Training", json.dumps(TRAINING_ACCESS))


def _rooms(records: Records, sealer: Sealer, account: str, clock: Clock) -> AccountRooms:
    identities = Identities(
        records=records,
        groups=records.groups,
        service_credentials=records.service_credentials,
        account=account,
        clock=clock,
    )
    attachments = Attachments(
        records=records, versions=records.versions, identities=identities, account=account, clock=clock
    )
    credentials = Credentials(
        records=records,
        marks=MarkRecords(records),
        identities=identities,
        sealer=sealer,
        account=account,
        clock=clock,
    )
    return AccountRooms(
        records=records, identities=identities, attachments=attachments, credentials=credentials, account=account
    )
