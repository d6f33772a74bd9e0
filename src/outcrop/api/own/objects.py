"""Objects that own operations read and write for their caller: each only where the caller's policies allow it.

The commands act as the administrator, and what is put in the house is sealed and opened in its own name. So both are
held against the caller here: the object, and the key of KMS that seals it.
"""

from pathlib import Path

from outcrop.api.door import object_keys
from outcrop.api.own.operation import OwnCall
from outcrop.buckets.names import Place, parse_s3_uri
from outcrop.catalog import model_files
from outcrop.errors import Invalid


def fetched(call: OwnCall, uri: str, folder: Path, *, most_bytes: int, instead: str) -> Path:
    """The object as a file in `folder`. Raises Denied, and Invalid for one too large, saying what to do `instead`."""
    from outcrop.data import fetching

    place = parse_s3_uri(uri)
    may(call, "s3:GetObject", *place)
    record = call.house.buckets.find(*place)
    call.demand_key(object_keys.DECRYPT, record.details.encryption, place)
    if record.size > most_bytes:
        raise Invalid(f"{uri}: {record.size // 10**6:,} MB; {most_bytes // 10**6} MB at most are read here. {instead}")
    folder.mkdir(exist_ok=True)
    file = folder / (Path(place.key).name or "data")
    fetching.copy(call.house.buckets, record, file)
    return file


def may(call: OwnCall, action: str, bucket: str, key: str) -> None:
    """Raises Denied for a caller who may not do this with the object."""
    call.demand(action, f"arn:aws:s3:::{bucket}/{key}")


def may_write_below(call: OwnCall, bucket: str, prefix: str) -> None:
    """Raises Denied for a caller who may not put objects below a prefix, or not by the bucket's key."""
    call.touches(f"arn:aws:s3:::{bucket}")  # what will lie below is not known yet
    may(call, "s3:PutObject", bucket, f"{prefix}*")
    call.demand_key(object_keys.GENERATE_DATA_KEY, call.house.buckets.encryption_for(bucket), Place(bucket, prefix))


def may_read_model(call: OwnCall, bucket: str, prefix: str) -> None:
    """Raises Denied for a caller who may not read every file below a prefix, Invalid where no model is."""
    call.touches(f"arn:aws:s3:::{bucket}")
    may(call, "s3:GetObject", bucket, f"{prefix}*")
    buckets = call.house.buckets
    if not buckets.exists(bucket) and not buckets.is_mounted(bucket):
        return  # another S3's, which decides itself
    found = {record.key.removeprefix(prefix): record for record in buckets.under(bucket, prefix)}
    sizes = {name: record.size for name, record in found.items()}
    for name in model_files.wanted_files(sizes, place=f"s3://{bucket}/{prefix}"):
        may(call, "s3:GetObject", bucket, f"{prefix}{name}")
        call.demand_key(object_keys.DECRYPT, found[name].details.encryption, Place(bucket, f"{prefix}{name}"))
