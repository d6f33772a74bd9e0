"""Files on record: a row each, and the bytes in a bucket, where S3's clients find them too.

The bucket is `outcrop-openai-<account>`: what is uploaded lies under `files/<id>/`, what fine-tuning jobs leave under
`fine-tuning/`, and responses that are kept under `responses/`.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outcrop import arn as arns
from outcrop.buckets.names import Place, parse_s3_uri
from outcrop.house import House
from outcrop.settings import DEFAULT_REGION
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

KIND = "openai-file"
PROCESSED = "processed"
"The state of every file: whether it holds good records, the job that learns from it tells."
FINE_TUNE, RESULTS = "fine-tune", "fine-tune-results"
_STRANGE = re.compile(r"[^\w.()\[\] -]")
_LONGEST_NAME = 120


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file that can be told of and sent."""

    id: str
    filename: str
    purpose: str
    size: int
    created: datetime
    place: Place

    @property
    def members(self) -> dict[str, Any]:
        """The file as OpenAI's form has it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": int(self.created.timestamp()),
            "expires_at": None,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": PROCESSED,
            "status_details": None,
        }


def bucket_name(house: House) -> str:
    return f"outcrop-openai-{house.account}"


def make_bucket(house: House) -> str:
    """The bucket's name; it is made where it is not there."""
    name = bucket_name(house)
    if not house.buckets.exists(name):
        house.buckets.create(name, DEFAULT_REGION)
    return name


def new_file_id() -> str:
    return f"file-{arns.new_id(24)}"


def place_of(house: House, file_id: str, filename: str) -> Place:
    """Where the bytes of a file lie. Its name stays the last part of the key: problems of a dataset name it."""
    return Place(bucket_name(house), f"files/{file_id}/{key_name(filename)}")


def key_name(filename: str) -> str:
    """The name of a file as the last part of a key, and of a path on this machine."""
    plain = _STRANGE.sub("_", filename)[-_LONGEST_NAME:].lstrip(".")
    return plain or "file"


def add(house: House, region: str, file: StoredFile) -> None:
    """Put a file on record whose bytes are there."""
    row = Resource(
        arn=arns.bedrock(region, house.account, f"{KIND}/{file.id}"),
        kind=KIND,
        region=region,
        name=file.id,
        status=PROCESSED,
        created=file.created,
        updated=file.created,
        document={
            "filename": file.filename,
            "purpose": file.purpose,
            "size": file.size,
            "bucket": file.place.bucket,
            "key": file.place.key,
        },
    )
    house.store.resources.add(row)


def file_of(row: Resource) -> StoredFile:
    """The file of a row. Raises Damaged."""
    with understood(row.arn):
        document = row.document
        return StoredFile(
            id=str(row.name),
            filename=str(document["filename"]),
            purpose=str(document["purpose"]),
            size=int(document["size"]),
            created=row.created,
            place=Place(str(document["bucket"]), str(document["key"])),
        )


def find(house: House, region: str, file_id: str) -> StoredFile | None:
    row = house.store.resources.find(KIND, region, file_id)
    return None if row is None else file_of(row)


def remove(house: House, region: str, file: StoredFile) -> None:
    """Forget a file, row and bytes."""
    house.store.resources.remove(arns.bedrock(region, house.account, f"{KIND}/{file.id}"))
    if house.buckets.exists(file.place.bucket):
        house.buckets.remove(*file.place)


def uri_of(file: StoredFile) -> str:
    return f"s3://{file.place.bucket}/{file.place.key}"


def id_in(uri: str) -> str:
    """The id of the file that an S3 URI names; the URI itself for an object that nobody uploaded here."""
    bucket, key = parse_s3_uri(uri)
    parts = key.split("/")
    is_ours = bucket.startswith("outcrop-openai-") and len(parts) == 3 and parts[0] == "files"
    return parts[1] if is_ours else uri
