"""Keys that a service has in the account, `alias/aws/s3`: made at their first use, one in each region.

Their policy lets everybody of the account in through that service and nobody else, so nobody disables, rotates or
deletes them. https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-cmk
"""

import json

from outcrop import arn as arns
from outcrop.errors import MachineTrouble
from outcrop.keys.key import ALIAS, TARGET, KmsAlias, KmsKey, alias_arn
from outcrop.keys.keys import AWS, Keys
from outcrop.keys.specs import SPECS, SYMMETRIC, KeyUsage
from outcrop.store.resources import NameTaken, Resource

_USES = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
_DESCRIPTIONS = {
    "s3": "Default key that protects my S3 objects when no other key is defined",
}


def managed_key(keys: Keys, service: str, region: str) -> KmsKey:
    """The service's own key in a region, made where it is missing."""
    name = f"alias/aws/{service}"
    for _ in range(2):
        alias = keys.store.resources.find(ALIAS, region, name)
        if alias is not None:
            row = keys.row(region, KmsAlias.of(alias).key_id)
            assert row is not None, "nobody may delete the key of a service"
            return keys.find(row.arn)
        try:
            return _made(keys, service, region, name)
        except NameTaken:
            continue  # another process was faster
    raise MachineTrouble(f"{name}: the key could not be made. Look at the log of the server.")


def _made(keys: Keys, service: str, region: str, name: str) -> KmsKey:
    with keys.store.transaction():
        key = keys.create(
            region=region,
            spec=SPECS[SYMMETRIC],
            usage=KeyUsage.ENCRYPT_DECRYPT,
            description=_DESCRIPTIONS[service],
            policy=_policy(keys.account, service, region),
            tags={},
            manager=AWS,
        )
        now = keys.clock.now()
        arn = alias_arn(region, keys.account, name)
        keys.store.resources.add(
            Resource(arn=arn, kind=ALIAS, region=region, name=name, created=now, updated=now, document={TARGET: key.id})
        )
    return key


def _policy(account: str, service: str, region: str) -> str:
    through = {"kms:CallerAccount": account, "kms:ViaService": f"{service}.{region}.amazonaws.com"}
    statements = [
        {
            "Sid": f"Allow access through {service} for all principals in the account that are authorized to use it",
            "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": _USES, "Resource": "*",
            "Condition": {"StringEquals": through},
        },
        {
            "Sid": "Allow direct access to key metadata to the account", "Effect": "Allow",
            "Principal": {"AWS": arns.iam(account, "root")},
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*"], "Resource": "*",
        },
    ]  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Id": f"auto-{service}-2", "Statement": statements}, indent=2)
