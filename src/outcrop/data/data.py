"""Objects that a service reads and writes for somebody, always under a role of theirs.

    data = Data(access, buckets)
    own = data.under(role_arn, source_arn=job_arn)      # raises Invalid: the service may not take on the role
    own.fetch("s3://bucket/train.jsonl", folder / "train.jsonl")
    own.put("s3://bucket/out/metrics.csv", b"...", content_type="text/csv")

Nothing here knows a kind of job. Every single use asks again whether the role is there, trusts the service for this
purpose, and allows the action: a role that was changed or deleted while a job waited or ran is refused from then on.
That the caller may hand the role over (iam:PassRole) is decided at the door, with the rest of the request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from outcrop import arn as arns
from outcrop.access.access import BEDROCK, Access
from outcrop.access.policies.evaluation import Decision
from outcrop.buckets.buckets import Buckets
from outcrop.buckets.encryption import EncryptionMethod, ObjectEncryption
from outcrop.buckets.names import Place, parse_s3_uri
from outcrop.buckets.records import ObjectRecord
from outcrop.data import fetching
from outcrop.errors import Invalid, Refusal

_PROBE = ".write_access_check_file.tmp"
_READ = "Could not validate {action} permissions to access Amazon S3 bucket: {bucket} at {what} {key}"
_WRITE = "Could not validate {action} permissions to access S3 bucket: {bucket} at {what} {key}"


@dataclass(frozen=True, kw_only=True)
class RoleData:
    """Objects as one role may use them, for one job or resource of a service."""

    access: Access
    buckets: Buckets
    role_arn: str
    source_arn: str
    "ARN of what the role is taken on for; trust policies may ask for it as aws:SourceArn."
    service: str
    kms_key_id: str = ""
    "The key of KMS that seals what is put; empty: the bucket decides."

    def find(self, uri: str) -> ObjectRecord:
        """The object on record, its bytes known to be there. Raises Invalid where it is not, or may not be read."""
        place = parse_s3_uri(uri)
        self.check_role()
        with _told(_READ, "s3:GetObject", place):
            self._check("s3:GetObject", _arn_of(place))
            record = self.buckets.find(*place)
            self._check_key("Decrypt", record.details.encryption, place)
            self.buckets.check(record)
            return record

    def open(self, uri: str) -> BinaryIO:
        """The object as a file, to be read only; what is sealed is opened as it is read. Raises Invalid, as `find`."""
        record = self.find(uri)
        with _told(_READ, "s3:GetObject", Place(record.bucket, record.key)):
            return self.buckets.open(record)

    def read(self, uri: str) -> bytes:
        """All bytes of a small object. Raises Invalid, as `find`."""
        with self.open(uri) as file:
            return file.read()

    def list_objects(self, uri: str) -> Iterator[ObjectRecord]:
        """Every object whose key begins with that of `uri`, in order. Raises Invalid where they may not be listed."""
        place = parse_s3_uri(uri)
        self.check_role()
        with _told(_READ, "s3:ListBucket", place, what="prefix"):
            self._check("s3:ListBucket", f"arn:aws:s3:::{place.bucket}", {"s3:prefix": place.key})
            self.buckets.head(place.bucket)
        return self.buckets.under(*place)

    def fetch(self, uri: str, file: Path) -> None:
        """Copy the object to `file`, which appears whole and verified or not at all.

        Raises Invalid, MachineTrouble for bytes that are not the object's, and OSError.
        """
        with fetching.appearing(file) as part:
            self._copy(uri, part)

    def fetch_all(self, uri: str, folder: Path) -> list[Path]:
        """Copy every object that `list_objects` tells of into a new `folder`, which appears when all of them are whole.

        A file is named by what follows the last slash of the prefix in its key; keys that end in a slash stand for
        folders, and are left out. Raises as `fetch`, and Invalid for keys that no folder can hold, or where none is.
        """
        place = parse_s3_uri(uri)
        keys = [record.key for record in self.list_objects(uri)]
        names = fetching.names_of(keys, prefix=place.key)
        if not names:
            raise Invalid(f"{uri}: no object begins with this. Name a folder that holds files, s3://bucket/folder/.")
        with fetching.appearing(folder) as part:
            for key, name in names.items():
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                self._copy(f"s3://{place.bucket}/{key}", part / name)
        return [folder / name for name in names.values()]

    def put(self, uri: str, content: bytes, *, content_type: str) -> None:
        """Write an object. Raises Refusal."""
        place, encryption = self._writable(uri)
        self.buckets.put_bytes(*place, content, content_type=content_type, encryption=encryption)

    def put_file(self, uri: str, file: Path, *, content_type: str) -> None:
        """Write a file as an object; it may be larger than memory. Raises Refusal."""
        place, encryption = self._writable(uri)
        self.buckets.put_file(*place, file, content_type=content_type, encryption=encryption)

    def check_output(self, uri: str) -> None:
        """Raises Invalid when results could not be written below `uri`: a probe is put there and taken away."""
        bucket, prefix = parse_s3_uri(uri)
        probe = Place(bucket, "/".join(part for part in (prefix.strip("/"), _PROBE) if part))
        self.check_role()
        with _told(_WRITE, "s3:PutObject", probe):
            self._check("s3:PutObject", _arn_of(probe))
            encryption = self._encryption(probe)
            self.buckets.put_bytes(*probe, b"", content_type="text/plain", encryption=encryption)
            self.buckets.remove(*probe)  # the service's own: roles that write results seldom may delete

    def remove(self, uri: str) -> None:
        """Remove an object; one that is not there is no error. Raises Invalid where it may not be removed."""
        place = parse_s3_uri(uri)
        self.check_role()
        with _told(_WRITE, "s3:DeleteObject", place):
            self._check("s3:DeleteObject", _arn_of(place))
            self.buckets.remove(*place)

    def check_role(self) -> None:
        """Raises Invalid when the role is gone, or the service may not take it on for this purpose any more."""
        try:
            self.access.assert_passable(self.role_arn, self.service, source_arn=self.source_arn)
        except Invalid as refused:
            raise Invalid(f"Could not assume provided IAM role. ({refused.message})") from refused

    def _writable(self, uri: str) -> tuple[Place, ObjectEncryption | None]:
        """The place of an object to be put, and its encryption. Raises Invalid where it may not be put."""
        place = parse_s3_uri(uri)
        self.check_role()
        with _told(_WRITE, "s3:PutObject", place):
            self._check("s3:PutObject", _arn_of(place))
            return place, self._encryption(place)

    def _encryption(self, place: Place) -> ObjectEncryption | None:
        """The encryption of an object to be put. Raises Refusal where the role may not use the key."""
        asked = ObjectEncryption(method=EncryptionMethod.KMS, key_arn=self.kms_key_id) if self.kms_key_id else None
        encryption = self.buckets.encryption_for(place.bucket, asked)
        self._check_key("GenerateDataKey", encryption, place)
        return encryption

    def _check_key(self, operation: str, encryption: ObjectEncryption | None, place: Place) -> None:
        """Raises Invalid when the key's policy, its grants and the role's policies do not let the role use it."""
        if encryption is None or encryption.method is EncryptionMethod.S3:
            return
        if encryption.method is EncryptionMethod.CUSTOMER:
            raise Invalid(
                f"s3://{place.bucket}/{place.key} is encrypted with a key of the caller (SSE-C), which no job has. Put "
                "the object with SSE-S3 or SSE-KMS."
            )
        verdict = self.access.role_may_use_key(
            self.role_arn,
            operation,
            encryption.key_arn,
            service="s3",
            pairs=encryption.context(place),
            context=_INSIDE,
        )
        if verdict is not Decision.ALLOWED:
            raise Invalid(f"the role {self.role_arn} does not allow kms:{operation} on {encryption.key_arn}")

    def _copy(self, uri: str, file: Path) -> None:
        record = self.find(uri)
        with _told(_READ, "s3:GetObject", Place(record.bucket, record.key)):
            fetching.copy(self.buckets, record, file)

    def _check(self, action: str, resource: str, about: dict[str, str] | None = None) -> None:
        """Raises Invalid when the role's policies do not allow the action."""
        source = arns.parse(self.source_arn)
        region = {"aws:RequestedRegion": source.region} if source is not None and source.region else {}
        context = {**_INSIDE, **region, **(about or {})}
        if self.access.role_may(self.role_arn, action, resource, context) is not Decision.ALLOWED:
            raise Invalid(f"the role {self.role_arn} does not allow {action} on {resource}")


@dataclass(frozen=True, kw_only=True)
class Data:
    """The objects in buckets, for services that use them on somebody's behalf."""

    access: Access
    buckets: Buckets

    def under(self, role_arn: str, *, source_arn: str, service: str = BEDROCK, kms_key_id: str = "") -> RoleData:
        """Objects as this role may use them, for what `source_arn` names. Raises Invalid, see `check_role`.

        `kms_key_id` seals what is put.
        """
        found = RoleData(
            access=self.access,
            buckets=self.buckets,
            role_arn=role_arn,
            source_arn=source_arn,
            service=service,
            kms_key_id=kms_key_id,
        )
        found.check_role()
        return found


_INSIDE = {"aws:SecureTransport": "true", "aws:ViaAWSService": "false", "aws:PrincipalIsAWSService": "false"}
"Of a request that the service makes with the role's credentials, and which never leaves this machine."


@contextmanager
def _told(sentence: str, action: str, place: Place, *, what: str = "key") -> Iterator[None]:
    """Refusals in Bedrock's sentence, with the reason behind it."""
    try:
        yield
    except Refusal as refused:
        verb = action.partition(":")[2]
        told = sentence.format(action=verb, bucket=place.bucket, what=what, key=place.key)
        raise Invalid(f"{told} ({refused.message})") from refused


def _arn_of(place: Place) -> str:
    return f"arn:aws:s3:::{place.bucket}/{place.key}"
