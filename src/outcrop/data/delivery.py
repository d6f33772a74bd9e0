"""Objects that a service writes in its own name, where the bucket's policy lets it: logs, which nobody's role delivers.

Every write asks the policy again, so a bucket that was closed to the service is closed from then on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outcrop.access.access import BEDROCK, Access
from outcrop.access.policies.bucket_policy import service_may
from outcrop.access.request_context import of_service
from outcrop.buckets.buckets import Buckets
from outcrop.buckets.encryption import EncryptionMethod, ObjectEncryption
from outcrop.buckets.names import Place
from outcrop.buckets.settings_records import POLICY
from outcrop.errors import Denied

_PUT = "s3:PutObject"


@dataclass(frozen=True, kw_only=True)
class ServiceDelivery:
    """The buckets of an account, as one service may write to them for what `source_arn` names."""

    access: Access
    "Which knows whether the policy of a KMS key lets the service seal what it writes."
    buckets: Buckets
    account: str
    source_arn: str
    service: str = BEDROCK
    more: Mapping[str, str] = field(default_factory=dict)
    "Condition keys of what the service sends with each object."

    def may_put(self, bucket: str, key: str) -> bool:
        """Whether the bucket's policy lets the service put this object. Raises NoSuchBucket."""
        return self._may(bucket, _PUT, _arn(bucket, key), self.more)

    def may_read_acl(self, bucket: str) -> bool:
        """Whether the bucket's policy lets the service look whose the bucket is. Raises NoSuchBucket."""
        return self._may(bucket, "s3:GetBucketAcl", f"arn:aws:s3:::{bucket}", {})

    def _may(self, bucket: str, action: str, resource: str, more: Mapping[str, str]) -> bool:
        self.buckets.head(bucket)
        policy: str | None = self.buckets.setting(bucket, POLICY)
        context = {**of_service(self.service), **self._about, **more}
        return service_may(policy, self.service, action=action, resource=resource, context=context)

    @property
    def _about(self) -> dict[str, str]:
        return {"aws:SourceAccount": self.account, "aws:SourceArn": self.source_arn}

    def put(
        self, bucket: str, key: str, content: bytes, *, content_type: str, metadata: dict[str, str] | None = None
    ) -> None:
        """Write an object. Raises Denied where the bucket's policy does not let the service, and S3's refusals."""
        if not self.may_put(bucket, key):
            raise Denied(
                f"s3://{bucket}/{key}: the bucket's policy does not let {self.service} put objects there. Allow it "
                "s3:PutObject with s3.put_bucket_policy."
            )
        encryption = self.buckets.encryption_for(bucket)
        if encryption is not None and encryption.method is EncryptionMethod.KMS:
            self._check_key(encryption, Place(bucket, key))
        self.buckets.put_bytes(
            bucket, key, content, content_type=content_type, metadata=metadata, encryption=encryption
        )

    def _check_key(self, encryption: ObjectEncryption, place: Place) -> None:
        may = self.access.service_may_use_key(
            self.service,
            "GenerateDataKey",
            encryption.key_arn,
            service="s3",
            pairs=encryption.context(place),
            about=self._about,
        )
        if not may:
            raise Denied(
                f"{encryption.key_arn}: the key of s3://{place.bucket} does not let {self.service} use it. Allow it "
                "kms:GenerateDataKey with kms.put_key_policy."
            )

    def let_in(self, bucket: str, prefix: str, *, sid: str) -> None:
        """Add to the bucket's policy that the service may put objects whose keys begin with `prefix`."""
        before = self.buckets.setting(bucket, POLICY)
        policy: dict[str, Any] = json.loads(before) if before else {"Version": "2012-10-17", "Statement": []}
        said = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        taken = {statement.get("Sid") for statement in said}
        free = next(
            name for name in (sid, *(f"{sid}{number}" for number in range(2, len(said) + 3))) if name not in taken
        )
        policy["Statement"] = [*said, self._statement(bucket, prefix, free)]
        self.buckets.set_setting(bucket, POLICY, json.dumps(policy))

    def _statement(self, bucket: str, prefix: str, sid: str) -> dict[str, Any]:
        """The statement that Bedrock's user guide has for this."""
        own = self.source_arn.split(":", 5)[:5]
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": self.service},
            "Action": [_PUT],
            "Resource": [_arn(bucket, f"{prefix}*")],
            "Condition": {
                "StringEquals": {"aws:SourceAccount": self.account},
                "ArnLike": {"aws:SourceArn": f"{':'.join(own)}:*"},
            },
        }


def _arn(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"
