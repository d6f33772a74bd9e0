"""Objects that own operations read and write for their caller: each only where the caller's policies allow it."""

from pathlib import Path

from outcrop.access.caller import Caller
from outcrop.access.needs.required_permissions import RequiredPermission
from outcrop.api.door import own_signature
from outcrop.buckets.names import parse_s3_uri
from outcrop.errors import Invalid
from outcrop.house import House


def fetched(house: House, caller: Caller, uri: str, folder: Path, *, most_bytes: int, instead: str) -> Path:
    """The object as a file in `folder`. Raises Denied, and Invalid for one too large, saying what to do `instead`."""
    from outcrop.data import fetching

    bucket, key = parse_s3_uri(uri)
    may(house, caller, "s3:GetObject", bucket, key)
    record = house.buckets.find(bucket, key)
    if record.size > most_bytes:
        raise Invalid(f"{uri}: {record.size // 10**6:,} MB; {most_bytes // 10**6} MB at most are read here. {instead}")
    folder.mkdir(exist_ok=True)
    file = folder / (Path(key).name or "data")
    fetching.copy(house.buckets, record, file)
    return file


def may(house: House, caller: Caller, action: str, bucket: str, key: str) -> None:
    """Raises Denied for a caller who may not do this with the object."""
    need = RequiredPermission(action=action, resource=f"arn:aws:s3:::{bucket}/{key}")
    own_signature.check_allowed(house, caller, need, region="us-east-1")
