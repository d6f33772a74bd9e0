"""A job's way to the buckets: always under its service role, with Bedrock's sentences when that role may not."""

from dataclasses import dataclass
from pathlib import Path

from outcrop.access.policies.evaluation import Decision
from outcrop.buckets.names import parse_s3_uri
from outcrop.customization.rooms import Rooms
from outcrop.errors import Invalid, Refusal

_PROBE = ".write_access_check_file.tmp"


@dataclass(frozen=True, kw_only=True)
class DataAccess:
    """Reads and writes objects as `role_arn`."""

    house: Rooms
    role_arn: str

    def open(self, uri: str) -> Path:
        """The object as a file. Raises Invalid when it is not there or the role may not read it."""
        bucket, key = parse_s3_uri(uri)
        try:
            self._check("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
            return self.house.buckets.path_of(bucket, key)
        except Refusal as error:
            raise Invalid(
                f"Could not validate GetObject permissions to access Amazon S3 bucket: {bucket} at key {key} "
                f"({error.message})"
            ) from error

    def check_output(self, uri: str) -> None:
        """Raises Invalid when results could not be written below `uri`."""
        bucket, prefix = parse_s3_uri(uri)
        key = "/".join(part for part in (prefix.strip("/"), _PROBE) if part)
        try:
            self.put(bucket, key, b"", content_type="text/plain")
            self.house.buckets.remove(bucket, key)
        except Refusal as error:
            raise Invalid(
                f"Could not validate PutObject permissions to access S3 bucket: {bucket} at key {key} ({error.message})"
            ) from error

    def put(self, bucket: str, key: str, content: bytes, *, content_type: str) -> None:
        """Raises Refusal."""
        self._check("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")
        self.house.buckets.put_bytes(bucket, key, content, content_type=content_type)

    def put_file(self, bucket: str, key: str, path: Path, *, content_type: str) -> None:
        """As `put`, for what may be larger than memory."""
        self._check("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")
        self.house.buckets.put_file(bucket, key, path, content_type=content_type)

    def _check(self, action: str, resource: str) -> None:
        decision = self.house.access.role_may(self.role_arn, action, resource)
        if decision is not Decision.ALLOWED:
            raise Invalid(f"the role {self.role_arn} does not allow {action} on {resource}")
